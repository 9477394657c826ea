//! The grammars that ids from a finding must meet before they go into a call or a policy document.
//!
//! A finding is input from outside. An id that breaks AWS's own grammar is refused, so that no `*` or quote can widen a
//! policy or a request.

use std::fmt::Display;

use crate::error::{Error, Result};

/// Twelve digits.
pub(super) fn account(member: impl Display, text: &str) -> Result<String> {
    check(member, text, "a 12-digit account id", |text| {
        text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// A Region name: words of small letters and a number, such as `eu-central-1`, `us-gov-west-1` or
/// `eusc-de-east-1`.
pub(super) fn region(member: impl Display, text: &str) -> Result<String> {
    check(member, text, "a Region name", |text| {
        let mut parts = text.rsplit('-');
        let number = parts.next().unwrap_or_default();
        let words: Vec<&str> = parts.collect();
        let is_word = |word: &&str| {
            (1..=16).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase())
        };
        (1..=2).contains(&number.len())
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && (2..=3).contains(&words.len())
            && words.iter().all(is_word)
            // They come from the right.
            && words.last().is_some_and(|area| matches!(area.len(), 2 | 4))
    })
}

/// The Region of an Availability Zone, by the zone's name. A Local or Wavelength Zone belongs to the Region with
/// which its name begins: `us-west-2-lax-1a`, `us-east-1-wl1-bos-wlz-1`,
/// <https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-availability-zones.html>. `None`: it is
/// no name of a zone.
pub(super) fn region_of_zone(text: &str) -> Option<String> {
    let is_number = |part: &str| {
        let digits = part.trim_end_matches(|last: char| last.is_ascii_lowercase());
        !digits.is_empty()
            && part.len() - digits.len() <= 1
            && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let parts: Vec<&str> = text.split('-').collect();
    let end = parts.iter().position(|part| is_number(part))?;
    let of_region = parts[..=end].join("-");
    let letter = |last: char| last.is_ascii_lowercase();
    // The name of a Region alone is no zone.
    let is_zone = of_region.ends_with(letter) != (end + 1 < parts.len());
    let name = of_region.trim_end_matches(letter);
    region("", name).ok().filter(|_| is_zone)
}

/// A finding id: GuardDuty's are 32 hexadecimal digits; the model allows 300 characters.
pub(super) fn finding(member: impl Display, text: &str) -> Result<String> {
    check(member, text, "a finding id", |text| {
        (1..=300).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    })
}

/// The ARN of the finding with this id,
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonguardduty.html>.
pub(super) fn finding_arn(member: impl Display, text: &str, id: &str) -> Result<String> {
    check(member, text, "the ARN of the finding", |text| {
        let parts: Vec<_> = text.splitn(6, ':').collect();
        let [
            "arn",
            partition,
            "guardduty",
            its_region,
            its_account,
            resource,
        ] = parts[..]
        else {
            return false;
        };
        let detector = resource
            .strip_prefix("detector/")
            .and_then(|rest| rest.strip_suffix(id)?.strip_suffix("/finding/"));
        partition.starts_with("aws")
            && partition
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
            && region("", its_region).is_ok()
            && account("", its_account).is_ok()
            && detector.is_some_and(|detector| {
                (1..=300).contains(&detector.len())
                    && detector.bytes().all(|byte| byte.is_ascii_alphanumeric())
            })
    })
}

/// A bucket name. Buckets from before March 2018 in us-east-1 may be up to 255 characters long, have
/// capitals and underscores, and dots beside each other; none may begin with a dot or look like an
/// IPv4 address,
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>.
pub(super) fn bucket(member: impl Display, text: &str) -> Result<String> {
    check(member, text, "a bucket name", |text| {
        (3..=255).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text
                .bytes()
                .all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
            && !is_like_an_address(text)
    })
}

fn is_like_an_address(text: &str) -> bool {
    let parts = text.split('.');
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    parts.clone().count() == 4 && parts.into_iter().all(is_number)
}

/// The key of an object: any characters, in at most 1,024 bytes,
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>.
pub(super) fn object_key(member: impl Display, text: &str) -> Result<String> {
    check(member, text, "the key of an object", |text| {
        (1..=1024).contains(&text.len())
    })
}

/// The id of an object's version: at most 1,024 bytes that need no escapes in a URL's query,
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html>.
pub(super) fn object_version(member: impl Display, text: &str) -> Result<String> {
    check(member, text, "the id of an object's version", |text| {
        (1..=1024).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    })
}

/// The entity tag of an object: a digest, with the number of parts of an upload in parts.
pub(super) fn etag(member: impl Display, text: &str) -> Result<String> {
    check(member, text, "an entity tag", |text| {
        (1..=128).contains(&text.len()) && text.bytes().all(|byte| is_word(byte) || byte == b'-')
    })
}

/// `i-` and 8 or 17 hexadecimal digits.
pub(super) fn instance(member: impl Display, text: &str) -> Result<String> {
    check(member, text, "an instance id", |text| {
        text.strip_prefix("i-").is_some_and(|digits| {
            matches!(digits.len(), 8 | 17)
                && digits
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        })
    })
}

/// An access key id: 16 to 128 of `\w`, <https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKey.html>.
/// Temporary ones begin with `ASIA`. Long-term ones begin with `AKIA`, but for those from before
/// AWS had prefixes.
pub(super) fn access_key(member: impl Display, text: &str) -> Result<String> {
    check(member, text, "an access key id", |text| {
        (16..=128).contains(&text.len()) && text.bytes().all(is_word)
    })
}

/// The unique id of a user or role, `AIDA…` or `AROA…`: up to 128 of `\w`,
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids>.
pub(super) fn unique_id(member: impl Display, text: &str) -> Result<String> {
    check(member, text, "the unique id of an IAM entity", |text| {
        (1..=128).contains(&text.len()) && text.bytes().all(is_word)
    })
}

/// A user, role or session name: `[\w+=,.@-]`, at most 64 characters. Role names and session names
/// have the same grammar.
pub(super) fn name(member: impl Display, text: &str) -> Result<String> {
    check(member, text, "an IAM name", |text| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|byte| {
                is_word(byte) || matches!(byte, b'+' | b'=' | b',' | b'.' | b'@' | b'-')
            })
    })
}

/// The name of a Lambda function: at most 64 of `[a-zA-Z0-9-_]`,
/// <https://docs.aws.amazon.com/lambda/latest/api/API_FunctionConfiguration.html>. The names of Lambda@Edge's
/// replicas, which have their Region before them with a point, are none.
pub(super) fn function(member: impl Display, text: &str) -> Result<String> {
    check(member, text, "the name of a Lambda function", |text| {
        (1..=64).contains(&text.len()) && text.bytes().all(|byte| is_word(byte) || byte == b'-')
    })
}

/// The path and name of an instance profile: names of at most 128 characters with slashes between them.
pub(super) fn instance_profile(member: impl Display, text: &str) -> Result<String> {
    check(member, text, "an instance profile", |text| {
        text.split('/').all(|name| {
            (1..=128).contains(&name.len())
                && name.bytes().all(|byte| {
                    is_word(byte) || matches!(byte, b'+' | b'=' | b',' | b'.' | b'@' | b'-')
                })
        })
    })
}

/// `\w` of AWS's patterns, which is ASCII.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn check(
    member: impl Display,
    text: &str,
    what: &str,
    meets: impl Fn(&str) -> bool,
) -> Result<String> {
    if meets(text) {
        Ok(text.to_owned())
    } else {
        let shown: String = text
            .chars()
            .take(64)
            .flat_map(char::escape_default)
            .collect();
        Err(Error::malformed(
            member.to_string(),
            format!("'{shown}' is not {what}"),
        ))
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
            assert!(region("m", hostile).is_err(), "{hostile:?}");
        }
    }

    #[test]
    fn letters_and_digits_that_only_look_like_those_of_ascii_are_refused() {
        assert!(account("m", "１１１１２２２２３３３３").is_err());
        assert!(account("m", "٠١٢٣٤٥٦٧٨٩٠١").is_err());
        assert!(region("m", "eu-cеntral-1").is_err());
        assert!(instance("m", "i-0аbc1234def567890").is_err());
        assert!(bucket("m", "раyroll").is_err());
        assert!(name("m", "аdmin").is_err());
        assert!(access_key("m", "AKIАIOSFODNN7EXAMPLE").is_err());
        assert!(unique_id("m", "АROAEXAMPLE").is_err());
    }

    #[test]
    fn regions_of_every_partition_are_accepted_and_nothing_else() {
        for of_aws in [
            "us-east-1",
            "ap-southeast-2",
            "mx-central-1",
            "cn-northwest-1",
            "us-gov-west-1",
            "us-isob-east-1",
            "eu-isoe-west-1",
            "eusc-de-east-1",
        ] {
            assert!(region("m", of_aws).is_ok(), "{of_aws}");
        }
        for other in [
            "region",
            "global",
            "us-east",
            "us-east-",
            "us-east-1a",
            "us--east-1",
            "-us-east-1",
            "us-east-111",
            "US-EAST-1",
            "usa-east-1",
            "east-1",
            "us-east-1.example.com",
            "us-east-1/../x",
            "us-a-b-c-1",
        ] {
            assert!(region("m", other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_zone_is_of_the_region_with_which_its_name_begins() {
        for (zone, of) in [
            ("eu-west-1b", Some("eu-west-1")),
            ("us-gov-west-1a", Some("us-gov-west-1")),
            ("eusc-de-east-1c", Some("eusc-de-east-1")),
            ("us-west-2-lax-1a", Some("us-west-2")),
            ("us-east-1-wl1-bos-wlz-1", Some("us-east-1")),
            ("us-east-1", None),
            ("use1-az1", None),
            ("eu-west-1bb", None),
            ("eu-west-1b-lax-1a", None),
            ("-1a", None),
            ("", None),
            ("evil.example/eu-west-1a", None),
        ] {
            assert_eq!(region_of_zone(zone).as_deref(), of, "{zone}");
        }
    }

    #[test]
    fn a_bucket_name_may_be_one_of_before_2018_but_no_address_and_no_path() {
        for of_s3 in [
            "abc",
            "My_Bucket",
            "a..b",
            "ab-",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.a",
            "logs--use1-az4--x-s3",
            &"a".repeat(255),
        ] {
            assert!(bucket("m", of_s3).is_ok(), "{of_s3}");
        }
        for other in [
            "ab",
            "...",
            "../b",
            ".ab",
            "-ab",
            "_ab",
            "192.168.5.4",
            "999.1.1.1",
            "a/../b",
            "a%2fb",
            "arn:aws:s3:::abc",
            &"a".repeat(256),
        ] {
            assert!(bucket("m", other).is_err(), "{other}");
        }
    }

    #[test]
    fn an_instance_id_is_of_eight_or_seventeen_small_hexadecimal_digits() {
        for other in [
            "i-1",
            "i-0ABC1234DEF567890",
            "i-0abc1234def56789",
            "i-0abc1234def5678901",
            "i-0abc123g",
            "eni-bfcffe88",
            "mi-0abc1234def567890",
            " i-99999999",
            "i-99999999\n",
        ] {
            assert!(instance("m", other).is_err(), "{other:?}");
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
    fn the_arn_of_a_finding_is_guardduty_s_and_names_its_id() {
        let arn = |text: &str| finding_arn("m", text, "16af");
        assert!(
            arn("arn:aws:guardduty:us-east-1:111122223333:detector/12abc/finding/16af").is_ok()
        );
        assert!(
            arn("arn:aws-us-gov:guardduty:us-gov-west-1:111122223333:detector/1/finding/16af")
                .is_ok()
        );
        for other in [
            "",
            "16af",
            "arn:aws:guardduty:us-east-1:111122223333:detector/12abc/finding/16ae",
            "arn:aws:guardduty:us-east-1:111122223333:detector/12abc/finding/a/finding/16af",
            "arn:aws:guardduty:us-east-1:1:detector/12abc/finding/16af",
            "arn:aws:guardduty:*:111122223333:detector/12abc/finding/16af",
            "arn:aws:inspector:us-east-1:111122223333:detector/12abc/finding/16af",
            "arn:AWS:guardduty:us-east-1:111122223333:detector/12abc/finding/16af",
            "arn:aws:guardduty:us-east-1:111122223333:detector//finding/16af",
        ] {
            assert!(arn(other).is_err(), "{other}");
        }
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
