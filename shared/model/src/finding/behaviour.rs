//! The activity that GuardDuty's anomaly model has seen before, and has not,
//! <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_findings-summary.html#finding-anomalous>.
//!
//! The model learns from management events and, for S3, from data events too. So it tells of calls that
//! CloudTrail's event history does not have.

use serde_json::Value;

use super::{Finding, printable};

/// More of a list would hide the rest.
const MOST_VALUES: usize = 50;

/// An aspect that is compared with earlier activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aspect {
    /// The API that was called.
    Api,
    /// The autonomous system that the call came from.
    AutonomousSystem,
    /// The caller's program, by its own name.
    UserAgent,
    /// The bucket that was called.
    Bucket,
    /// The name of the principal.
    UserName,
    /// The kind of the principal.
    UserType,
}

/// Whose activity it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The activity of the principal.
    Principal,
    /// The activity of the whole account.
    Account,
    /// The activity of everybody who uses the bucket.
    Bucket,
}

/// How often it was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frequency {
    /// Not in the time that the model was trained on.
    Unseen,
    /// Less than once a month.
    Rare,
    /// A few times a month.
    Infrequent,
    /// Daily to weekly.
    Frequent,
}

/// Values that were seen equally often. Printable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// How often they were seen.
    pub frequency: Frequency,
    /// The kind of the values.
    pub aspect: Aspect,
    /// The subject in whose activity they were seen.
    pub whose: Whose,
    /// The values: `GetObject`, `64496 Example Org`.
    pub values: Vec<String>,
}

impl Finding {
    /// The anomaly model's statements, first the behavior that it has not seen before. Empty: the finding has nothing
    /// of it.
    pub fn behaviour(&self) -> Vec<Behaviour> {
        let info = &self.detail.service.additional_info;
        let unseen = [&info.value.unusual_behavior, &info.unusual_behavior];
        let seen = [&info.value.profiled_behavior, &info.profiled_behavior];
        let mut all: Vec<_> = unseen
            .into_iter()
            .chain(seen)
            .filter_map(Value::as_object)
            .flatten()
            .filter_map(|(name, value)| Behaviour::read(name, value.as_str()?))
            .collect();
        all.sort_by_key(|behaviour| behaviour.order());
        all.dedup();
        all
    }

    /// Whether the principal was seen calling the API of the finding before, by GuardDuty's model. `None`:
    /// it does not say.
    pub fn api_was_seen(&self) -> Option<Frequency> {
        let api = self.api()?;
        self.seen(Aspect::Api, |value| value == api)
    }

    /// Whether the principal was seen in the autonomous system of the finding before, by GuardDuty's
    /// model. `None`: it does not say.
    pub fn network_was_seen(&self) -> Option<Frequency> {
        let asn = self.remote()?.asn?;
        let asn = asn.trim_start_matches("AS");
        self.seen(Aspect::AutonomousSystem, |value| {
            value.split(' ').next() == Some(asn)
        })
    }

    /// The principal's own activity counts, not that of others in the account.
    fn seen(&self, aspect: Aspect, is_it: impl Fn(&str) -> bool) -> Option<Frequency> {
        let own = |of: &Behaviour| of.aspect == aspect && of.whose == Whose::Principal;
        let behaviour = self.behaviour();
        let mut found = behaviour.iter().filter(|of| own(of));
        let found = found.find(|of| of.values.iter().any(|value| is_it(value)))?;
        Some(found.frequency)
    }
}

impl Behaviour {
    /// Reads a member such as `unusualAPIsUserIdentityProfiling` or `rareProfiledASNsBucketProfiling`.
    fn read(name: &str, text: &str) -> Option<Self> {
        const FREQUENCIES: [(&str, Frequency); 4] = [
            ("unusual", Frequency::Unseen),
            ("rareProfiled", Frequency::Rare),
            ("infrequentProfiled", Frequency::Infrequent),
            ("frequentProfiled", Frequency::Frequent),
        ];
        const ASPECTS: [(&str, Aspect); 6] = [
            ("APIs", Aspect::Api),
            ("ASNs", Aspect::AutonomousSystem),
            ("UserAgents", Aspect::UserAgent),
            ("Buckets", Aspect::Bucket),
            ("UserNames", Aspect::UserName),
            ("UserTypes", Aspect::UserType),
        ];
        let (frequency, rest) = begins(&FREQUENCIES, name.strip_suffix("Profiling")?)?;
        let (aspect, whose) = begins(&ASPECTS, rest)?;
        let whose = match whose {
            "UserIdentity" => Whose::Principal,
            "Account" => Whose::Account,
            "Bucket" => Whose::Bucket,
            _ => return None,
        };
        let values = match aspect {
            Aspect::AutonomousSystem => systems(text),
            _ => text.split(',').map(shown).collect(),
        };
        let mut values: Vec<_> = values
            .into_iter()
            .filter(|value| !value.is_empty())
            .collect();
        values.truncate(MOST_VALUES);
        (!values.is_empty()).then_some(Self {
            frequency,
            aspect,
            whose,
            values,
        })
    }

    fn order(&self) -> (u8, u8) {
        let frequency = match self.frequency {
            Frequency::Unseen => 0,
            Frequency::Rare => 1,
            Frequency::Infrequent => 2,
            Frequency::Frequent => 3,
        };
        let whose = match self.whose {
            Whose::Principal => 0,
            Whose::Account => 1,
            Whose::Bucket => 2,
        };
        (frequency, whose)
    }
}

fn begins<'a, T: Copy>(known: &[(&str, T)], text: &'a str) -> Option<(T, &'a str)> {
    known
        .iter()
        .find_map(|(word, what)| Some((*what, text.strip_prefix(word)?)))
}

/// `asnNumber: 64496 asnOrg: Example Org asnNumber: …` as `64496 Example Org`.
fn systems(text: &str) -> Vec<String> {
    let each = text.split("asnNumber:").skip(1);
    each.map(|one| {
        let (number, owner) = one.split_once("asnOrg:").unwrap_or((one, ""));
        shown(&format!("{} {}", shown(number), shown(owner)))
    })
    .collect()
}

fn shown(text: &str) -> String {
    printable(text.trim().trim_end_matches(',').trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::finding;
    use serde_json::json;

    fn profile() -> Value {
        json!({
            "anomalies": { "anomalousAPIs": "s3.amazonaws.com:[GetObject:success]" },
            "profiledBehavior": {
                "rareProfiledAPIsUserIdentityProfiling": "ListBuckets , GetBucketAcl",
                "frequentProfiledAPIsUserIdentityProfiling": "PutObject",
                "frequentProfiledAPIsAccountProfiling": "GetObject",
                "frequentProfiledASNsUserIdentityProfiling":
                    "asnNumber: 64500 asnOrg: Example Home asnNumber: 64501 asnOrg: Example Office",
                "infrequentProfiledUserAgentsBucketProfiling": "",
            },
            "unusualBehavior": {
                "unusualAPIsUserIdentityProfiling": "GetObject",
                "unusualASNsUserIdentityProfiling": "asnNumber: 64496 asnOrg: Example Org\u{202e}",
                "unusualBucketsUserIdentityProfiling": "payroll",
                "unusualUserNamesBucketProfiling": "alice",
                "numberOfPast24HoursAPIsBucketProfiling": "12",
                "isUnusualUserIdentity": "false",
            },
        })
    }

    fn called(api: &str, asn: &str, info: Value) -> Finding {
        finding(json!({ "service": {
            "action": { "awsApiCallAction": { "api": api,
                "remoteIpDetails": { "organization": { "asn": asn } } } },
            "additionalInfo": info,
        } }))
    }

    /// As it has been sent: in the JSON text, or beside it.
    fn both() -> [Value; 2] {
        [
            json!({ "value": profile().to_string(), "type": "default" }),
            profile(),
        ]
    }

    #[test]
    fn the_anomaly_model_is_read_from_both_members() {
        for info in both() {
            let behaviour = called("GetObject", "64496", info).behaviour();
            let told: Vec<_> = behaviour
                .iter()
                .map(|of| (of.frequency, of.aspect, of.whose, of.values.join("|")))
                .collect();
            for expected in [
                (
                    Frequency::Unseen,
                    Aspect::Api,
                    Whose::Principal,
                    "GetObject",
                ),
                (
                    Frequency::Unseen,
                    Aspect::AutonomousSystem,
                    Whose::Principal,
                    "64496 Example Org\\u{202e}",
                ),
                (
                    Frequency::Unseen,
                    Aspect::Bucket,
                    Whose::Principal,
                    "payroll",
                ),
                (Frequency::Unseen, Aspect::UserName, Whose::Bucket, "alice"),
                (
                    Frequency::Rare,
                    Aspect::Api,
                    Whose::Principal,
                    "ListBuckets|GetBucketAcl",
                ),
                (
                    Frequency::Frequent,
                    Aspect::AutonomousSystem,
                    Whose::Principal,
                    "64500 Example Home|64501 Example Office",
                ),
            ] {
                let (frequency, aspect, whose, values) = expected;
                let expected = (frequency, aspect, whose, values.to_owned());
                assert!(told.contains(&expected), "{expected:?}: {told:?}");
            }
            assert_eq!(told.len(), 8, "{told:?}");
            assert_eq!(told[0].0, Frequency::Unseen);
        }
    }

    #[test]
    fn only_the_principals_own_calls_count_as_prior_activity() {
        for info in both() {
            let seen = |api: &str, asn: &str| {
                let finding = called(api, asn, info.clone());
                (finding.api_was_seen(), finding.network_was_seen())
            };
            assert_eq!(
                seen("GetObject", "AS64496"),
                (Some(Frequency::Unseen), Some(Frequency::Unseen))
            );
            assert_eq!(
                seen("ListBuckets", "64500"),
                (Some(Frequency::Rare), Some(Frequency::Frequent))
            );
            assert_eq!(seen("PutObject", "1").0, Some(Frequency::Frequent));
            assert_eq!(seen("DeleteObject", "6449"), (None, None));
        }
        let nothing = called("GetObject", "64496", json!({ "value": "{}" }));
        assert_eq!(
            (nothing.api_was_seen(), nothing.behaviour()),
            (None, vec![])
        );
        for odd in [
            json!("x"),
            json!([1]),
            json!({ "unusualAPIsUserIdentityProfiling": 5 }),
        ] {
            let info = json!({ "unusualBehavior": odd });
            assert!(called("GetObject", "1", info).behaviour().is_empty());
        }
    }
}
