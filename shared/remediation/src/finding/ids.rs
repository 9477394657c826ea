//! The grammars that ids from a finding must meet before they go into a call or a policy document.
//!
//! A finding is input from outside. An id that does not meet AWS's own grammar is refused, so that
//! nothing like `*` or a quote can widen a policy or a request.

use crate::error::{Error, Result};

/// Twelve digits.
pub(super) fn account(member: &str, text: &str) -> Result<String> {
    check(member, text, "a 12-digit account id", |text| {
        text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// A Region name such as `eu-central-1`.
pub(super) fn region(member: &str, text: &str) -> Result<String> {
    check(member, text, "a Region name", |text| {
        (1..=32).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    })
}

/// A finding id: GuardDuty's are 32 hexadecimal digits; the model allows 300 characters.
pub(super) fn finding(member: &str, text: &str) -> Result<String> {
    check(member, text, "a finding id", |text| {
        (1..=300).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    })
}

/// A bucket name. Buckets from before 2018 in us-east-1 may be up to 255 characters long and use
/// capitals and underscores,
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>.
pub(super) fn bucket(member: &str, text: &str) -> Result<String> {
    check(member, text, "a bucket name", |text| {
        (3..=255).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    })
}

/// `i-` and 8 or 17 hexadecimal digits.
pub(super) fn instance(member: &str, text: &str) -> Result<String> {
    check(member, text, "an instance id", |text| {
        text.strip_prefix("i-").is_some_and(|digits| {
            matches!(digits.len(), 8 | 17)
                && digits
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        })
    })
}

/// An access key id: capitals and digits, 16 to 128 of them; AWS's own begin with `AKIA` (long
/// term) or `ASIA` (temporary).
pub(super) fn access_key(member: &str, text: &str) -> Result<String> {
    check(member, text, "an access key id", |text| {
        (16..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// The unique id of a user or role, `AIDA…` or `AROA…`.
pub(super) fn unique_id(member: &str, text: &str) -> Result<String> {
    check(member, text, "the unique id of an IAM entity", |text| {
        (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// A user, role or session name: `[\w+=,.@-]`, at most 64 characters. Role names and session names
/// have the same grammar.
pub(super) fn name(member: &str, text: &str) -> Result<String> {
    check(member, text, "an IAM name", |text| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|byte| {
                byte.is_ascii_alphanumeric()
                    || matches!(byte, b'_' | b'+' | b'=' | b',' | b'.' | b'@' | b'-')
            })
    })
}

fn check(member: &str, text: &str, what: &str, meets: impl Fn(&str) -> bool) -> Result<String> {
    if meets(text) {
        Ok(text.to_owned())
    } else {
        let shown: String = text
            .chars()
            .take(64)
            .flat_map(char::escape_default)
            .collect();
        Err(Error::malformed(member, format!("'{shown}' is not {what}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_could_widen_a_policy_are_refused() {
        for hostile in [
            "",
            "*",
            "a*",
            "a\"b",
            "a b",
            "a/b",
            "${aws:username}",
            "a\nb",
            "ü",
            "?",
        ] {
            assert!(name("m", hostile).is_err(), "{hostile:?}");
            assert!(bucket("m", hostile).is_err(), "{hostile:?}");
            assert!(instance("m", hostile).is_err(), "{hostile:?}");
            assert!(access_key("m", hostile).is_err(), "{hostile:?}");
            assert!(unique_id("m", hostile).is_err(), "{hostile:?}");
            assert!(account("m", hostile).is_err(), "{hostile:?}");
            assert!(finding("m", hostile).is_err(), "{hostile:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_member_and_shows_the_id_escaped_and_cut() {
        let error = instance(
            "detail.resource.instanceDetails.instanceId",
            &"\u{202e}".repeat(99),
        )
        .expect_err("not an instance id");
        let text = error.to_string();
        assert!(
            text.contains("detail.resource.instanceDetails.instanceId"),
            "{text}"
        );
        assert!(text.is_ascii() && text.len() < 800, "{text}");
    }

    #[test]
    fn ids_that_aws_gives_out_are_accepted() {
        assert!(instance("m", "i-99999999").is_ok());
        assert!(instance("m", "i-0abc1234def567890").is_ok());
        assert!(bucket("m", "my.bucket-1").is_ok());
        assert!(access_key("m", "AKIAIOSFODNN7EXAMPLE").is_ok());
        assert!(name("m", "svc+deploy=1,2.3@corp-x_y").is_ok());
    }
}
