//! The answers of GuardDuty's anomaly model: whether the principal did so before, and what is unusual. Pure.
//!
//! It is taken where CloudTrail does not tell, above all of S3 data events, which the event history does not have.
//! CloudTrail names the calls, so its answer counts if there is one.

use super::answer::{Answer, Question, THE_FINDING, listed};
use crate::finding::{Aspect, Behaviour, Finding, Frequency, Whose};

/// The questions that the model answers.
pub(super) const QUESTIONS: [Question; 2] = [Question::WhereBefore, Question::History];

/// Values in a sentence.
const MOST: usize = 5;

const MODEL: &str = "GuardDuty's anomaly model, in the finding";

/// Answers what is not answered yet, or only by that it is not known.
pub(super) fn fill_in(finding: &Finding, answers: &mut Vec<Answer>) {
    let told = [
        network(finding).map(|text| (Question::WhereBefore, text)),
        api(finding).map(|text| (Question::History, text)),
    ];
    for (question, text) in told.into_iter().flatten() {
        let known = |answer: &Answer| answer.question == question && answer.known;
        if answers.iter().any(known) {
            continue;
        }
        let open = answers
            .iter()
            .position(|answer| answer.question == question);
        let also = open.map(|index| answers.remove(index));
        let also = also.map_or_else(String::new, |open| {
            format!("; {} does not tell: {}", open.source, open.answer)
        });
        answers.push(Answer::known(question, &format!("{text}{also}"), MODEL));
    }
}

/// Whether the principal called the API before.
fn api(finding: &Finding) -> Option<String> {
    let api = finding.api()?;
    Some(match finding.api_was_seen()? {
        Frequency::Unseen => format!(
            "no: GuardDuty has not seen {api} called by this principal in the time that its model was \
             trained on"
        ),
        often => format!(
            "yes: GuardDuty has seen {api} called by this principal {}. This says nothing about the \
             calls of this finding",
            how_often(often),
        ),
    })
}

/// A network in which the principal was never seen, nor at that address. A principal seen in the network was not
/// necessarily seen at the address.
fn network(finding: &Finding) -> Option<String> {
    let asn = finding.remote()?.asn?;
    (finding.network_was_seen()? == Frequency::Unseen).then(|| {
        format!(
            "no: GuardDuty has not seen this principal in the network AS{} in the time that its model was \
             trained on",
            asn.trim_start_matches("AS"),
        )
    })
}

/// All that the model says, what it has not seen before first.
pub(super) fn answer(finding: &Finding) -> Option<Answer> {
    let behaviour = finding.behaviour();
    let (unseen, seen): (Vec<_>, Vec<_>) = behaviour
        .iter()
        .partition(|of| of.frequency == Frequency::Unseen);
    // The rest only explains what is unusual.
    let usual: Vec<_> = seen
        .into_iter()
        .filter(|of| of.whose == Whose::Principal)
        .collect();
    let parts = [("never seen before", unseen), ("usual", usual)];
    let parts: Vec<_> = parts
        .into_iter()
        .filter(|(_, of)| !of.is_empty())
        .map(|(what, of)| {
            let each: Vec<_> = of.into_iter().map(told).collect();
            format!("{what}: {}", each.join("; "))
        })
        .collect();
    let text = parts.join(". ");
    (!parts.is_empty()).then(|| Answer::known(Question::Unusual, &text, THE_FINDING))
}

fn told(behaviour: &Behaviour) -> String {
    let aspect = match behaviour.aspect {
        Aspect::Api => "API",
        Aspect::AutonomousSystem => "network",
        Aspect::UserAgent => "program",
        Aspect::Bucket => "bucket",
        Aspect::UserName => "user",
        Aspect::UserType => "kind of user",
    };
    let whose = match behaviour.whose {
        Whose::Principal => "of this principal",
        Whose::Account => "in this account",
        Whose::Bucket => "of this bucket",
    };
    let often = match behaviour.frequency {
        Frequency::Unseen => String::new(),
        often => format!(", {}", how_often(often)),
    };
    let values = listed(&behaviour.values, MOST);
    format!("{aspect} {whose}{often}: {values}")
}

fn how_often(frequency: Frequency) -> &'static str {
    match frequency {
        Frequency::Unseen => "never",
        Frequency::Rare => "less than once a month",
        Frequency::Infrequent => "a few times a month",
        Frequency::Frequent => "daily to weekly",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{answered, finding};
    use crate::investigation::from_finding;
    use serde_json::{Value, json};

    fn read(profile: &Value) -> Finding {
        finding(json!({
            "type": "Exfiltration:S3/AnomalousBehavior",
            "service": {
                "action": { "awsApiCallAction": { "api": "GetObject", "serviceName": "s3.amazonaws.com",
                    "remoteIpDetails": { "ipAddressV4": "198.51.100.7",
                        "organization": { "asn": "64496" } } } },
                "additionalInfo": { "value": profile.to_string(), "type": "default" },
            },
        }))
    }

    fn unseen() -> Finding {
        read(&json!({
            "unusualBehavior": {
                "unusualAPIsUserIdentityProfiling": "GetObject",
                "unusualASNsUserIdentityProfiling": "asnNumber: 64496 asnOrg: Example Org",
                "unusualBucketsUserIdentityProfiling": "payroll",
            },
            "profiledBehavior": { "frequentProfiledAPIsUserIdentityProfiling": "PutObject , ListBuckets" },
        }))
    }

    #[test]
    fn a_data_event_that_was_never_seen_of_the_principal_is_no_prior_history() {
        let found = from_finding(&unseen());
        let history = answered(&found, Question::History);
        assert!(history.is_known(), "{history:?}");
        assert!(
            history
                .answer()
                .starts_with("no: GuardDuty has not seen GetObject"),
            "{history:?}"
        );
        assert_eq!(history.source(), MODEL);
        let there = answered(&found, Question::WhereBefore);
        assert!(there.answer().starts_with("no:") && there.answer().contains("AS64496"));
        let unusual = answered(&found, Question::Unusual).answer();
        for told in [
            "never seen before: API of this principal: GetObject",
            "bucket of this principal: payroll",
            "usual: API of this principal, daily to weekly: PutObject, ListBuckets",
        ] {
            assert!(unusual.contains(told), "{unusual}");
        }
    }

    #[test]
    fn calls_that_the_anomaly_model_knows_are_seen_and_missing_members_are_not_answered() {
        let often = read(&json!({ "profiledBehavior":
            { "frequentProfiledAPIsUserIdentityProfiling": "GetObject" } }));
        let found = from_finding(&often);
        let history = answered(&found, Question::History).answer();
        assert!(history.starts_with("yes:") && history.contains("daily to weekly"));
        let silent =
            read(&json!({ "unusualBehavior": { "unusualAPIsAccountProfiling": "GetObject" } }));
        let found = from_finding(&silent);
        assert!(
            found
                .answers
                .iter()
                .all(|answer| answer.question() != Question::History)
        );
    }

    #[test]
    fn an_answer_of_cloudtrail_is_kept_and_an_open_one_is_shown_beside_the_anomaly_model() {
        let finding = unseen();
        let known = Answer::known(Question::History, "yes: 3 calls", "CloudTrail");
        let mut answers = vec![known.clone()];
        fill_in(&finding, &mut answers);
        assert!(answers.contains(&known));
        let mut answers = vec![Answer::unknown(
            Question::History,
            "a data event",
            "CloudTrail",
        )];
        fill_in(&finding, &mut answers);
        let of_history: Vec<_> = answers
            .iter()
            .filter(|answer| answer.question() == Question::History)
            .collect();
        assert_eq!(of_history.len(), 1);
        assert!(of_history[0].is_known());
        assert!(
            of_history[0]
                .answer()
                .ends_with("CloudTrail does not tell: a data event")
        );
    }
}
