//! The values of options that several commands take. A value that is mistyped is wrong usage: it must not look as
//! if there were nothing of the kind.

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use remediation::category::Category;
use remediation::record::Incident;
use remediation::settings::Spared;

use crate::report_view;

/// One of the functions.
pub(crate) fn function() -> impl TypedValueParser<Value = Category> {
    category(&Category::ALL)
}

/// One of the functions that contain.
pub(crate) fn containing() -> impl TypedValueParser<Value = Category> {
    category(&Category::CONTAINING)
}

fn category(offered: &[Category]) -> impl TypedValueParser<Value = Category> + use<> {
    PossibleValuesParser::new(offered.iter().map(|category| category.as_str()))
        .try_map(|word| Category::from_word(&word).ok_or("there is no such function"))
}

/// A status of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Status {
    /// All of it, as read back.
    Contained,
    /// Before the responder came.
    AlreadyContained,
    /// Some of it.
    Partial,
    /// None of it.
    Failed,
    /// Only notified: the on-call engineer decides.
    Notified,
    /// Planned, and nothing changed.
    DryRun,
    /// No matter for the function.
    Ignored,
    /// Begun and not reported yet, or cut off.
    Containing,
    /// Undone by an operator.
    Released,
    /// Planned, and an approver may still run it.
    AwaitsApproval,
}

impl Status {
    /// True if the incident is that.
    pub(crate) fn is_of(self, incident: &Incident) -> bool {
        if self == Self::AwaitsApproval {
            return report_view::awaits_approval(incident);
        }
        let word = self.to_possible_value();
        word.is_some_and(|word| word.get_name() == incident.status)
    }
}

/// A severity, 0 to 10.
pub(crate) fn severity(text: &str) -> Result<f64, String> {
    let number = text.parse().ok();
    number
        .filter(|number| (0.0..=10.0).contains(number))
        .ok_or_else(|| "a number from 0 to 10 is needed".to_owned())
}

/// One of some words.
pub(crate) fn one_of(words: &[&str], text: &str) -> Result<String, String> {
    match words {
        words if words.contains(&text) => Ok(text.to_owned()),
        [first @ .., last] => Err(format!("{} or {last} is needed", first.join(", "))),
        [] => Err("no word is known".to_owned()),
    }
}

/// An entry of a list of names that are never contained.
///
/// # Errors
/// If it would spare nobody.
pub(crate) fn exempt_principal(text: &str) -> Result<String, String> {
    let entry = text.trim();
    if !entry.is_empty() {
        Spared::parse(entry)?;
    }
    Ok(entry.to_owned())
}

/// A time, a date (its beginning, in UTC), or a number of hours, days or weeks before now.
pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    let ago = [('h', 1), ('d', 24), ('w', 7 * 24)]
        .into_iter()
        .find_map(|(unit, hours)| {
            let number = text.strip_suffix(unit)?.parse::<i64>().ok()?;
            (1..=36_500).contains(&number).then_some(number * hours)
        });
    if let Some(hours) = ago {
        return Timestamp::now()
            .checked_sub(SignedDuration::from_hours(hours))
            .map_err(|error| error.to_string());
    }
    if let Ok(date) = text.parse::<Date>()
        && let Ok(midnight) = TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0))
        && !text.contains('T')
    {
        return Ok(midnight);
    }
    text.parse().map_err(|_| {
        "a date (2026-03-01), a time (2026-03-01T12:00:00Z), or how long ago (12h, 90d, 2w) is needed".to_owned()
    })
}

/// The id of an account.
pub(crate) fn account(text: &str) -> Result<String, String> {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if (text.len(), digits) == (12, 12) {
        Ok(text.to_owned())
    } else {
        Err("the 12 digits of an account are needed".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use clap::error::ErrorKind;
    use remediation::report::Status as Reported;

    use super::*;
    use crate::Arguments;

    #[test]
    fn every_status_that_a_report_can_have_can_be_listed() {
        for reported in [
            Reported::Ignored,
            Reported::Notified,
            Reported::DryRun,
            Reported::Contained,
            Reported::AlreadyContained,
            Reported::Partial,
            Reported::Failed,
        ] {
            let status = Status::from_str(reported.as_str(), false).expect("a status");
            let incident = |status: &str| Incident {
                status: status.to_owned(),
                ..Incident::default()
            };
            assert!(status.is_of(&incident(reported.as_str())));
            assert!(!status.is_of(&incident("released")));
        }
    }

    #[test]
    fn a_mistyped_status_or_function_is_wrong_usage_and_not_an_empty_answer() {
        let parsed = |line: &str| Arguments::try_parse_from(line.split(' '));
        for wrong in [
            "gdr incidents --status contianed",
            "gdr incident x --category S3",
            "gdr release x --category S3",
            "gdr approve x --category lambdas",
            "gdr reject x --reason y --category users",
            "gdr breaker show --category S3",
            "gdr breaker reset --category triage",
        ] {
            let error = parsed(wrong).expect_err(wrong);
            assert_eq!(error.kind(), ErrorKind::InvalidValue, "{wrong}: {error}");
            assert_eq!(error.exit_code(), 2);
        }
        for right in [
            "gdr incidents --status containing",
            "gdr incidents --status awaits_approval",
            "gdr incident x --category triage",
            "gdr release x --category s3",
        ] {
            parsed(right).expect(right);
        }
    }

    #[test]
    fn who_is_never_contained_is_named_in_a_way_that_names_somebody() {
        assert_eq!(
            exempt_principal(" break-glass ").as_deref(),
            Ok("break-glass")
        );
        assert_eq!(exempt_principal("").as_deref(), Ok(""));
        assert!(exempt_principal("deploy-*").is_err());
    }

    #[test]
    fn a_time_may_be_a_date_a_time_or_days_ago() {
        let read = |text: &str| time(text).map(|time| time.to_string());
        assert_eq!(read("2026-03-01").as_deref(), Ok("2026-03-01T00:00:00Z"));
        assert_eq!(
            read("2026-03-01T12:30:00+02:00").as_deref(),
            Ok("2026-03-01T10:30:00Z")
        );
        let days = time("2d").unwrap();
        let ago = Timestamp::now().duration_since(days);
        assert_eq!(ago.as_hours(), 48);
        let ago = |text: &str| {
            let time = time(text).unwrap();
            Timestamp::now().duration_since(time).as_hours()
        };
        assert_eq!((ago("12h"), ago("2w")), (12, 14 * 24));
        for wrong in ["", "yesterday", "d", "-1d", "0d", "0h", "2026-02-30"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
