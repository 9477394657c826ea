//! What a command can be narrowed to. A word that is mistyped is wrong usage: it must not look as if there were
//! nothing of the kind.

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use remediation::catalogue::Category;
use remediation::record::Incident;

use crate::incidents;

/// One of the functions.
pub(crate) fn function() -> impl TypedValueParser<Value = Category> {
    category(&["s3", "iam", "ec2", "triage"])
}

/// One of the functions that contain.
pub(crate) fn containing() -> impl TypedValueParser<Value = Category> {
    category(&["s3", "iam", "ec2"])
}

fn category(words: &'static [&'static str]) -> impl TypedValueParser<Value = Category> {
    PossibleValuesParser::new(words.iter().copied())
        .try_map(|word| Category::from_word(&word).ok_or("there is no such function"))
}

/// What an incident may be.
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
    /// A person was told, and must decide.
    Notified,
    /// Planned, and nothing changed.
    DryRun,
    /// No matter for the function.
    Ignored,
    /// Begun and not reported yet, or cut off.
    Containing,
    /// Put back by a person.
    Released,
    /// Planned, and waiting for a person, who may still approve it.
    AwaitsApproval,
}

impl Status {
    /// True if the incident is that.
    pub(crate) fn is_of(self, incident: &Incident) -> bool {
        if self == Self::AwaitsApproval {
            return incidents::awaits(incident);
        }
        let word = self.to_possible_value();
        word.is_some_and(|word| word.get_name() == incident.status)
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
            "gdr approve x --category lambda",
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
}
