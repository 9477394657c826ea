//! The containment of each actor and resource of a sequence, and its function; or why there is none. Pure.

mod instances;
mod words;

use serde_json::{Map, Value, json};

use self::words::{by_hand, what};
use crate::category::Category;
use crate::decision::{self, Decision, ResponseSettings};
use crate::finding::{Actor, Finding, Resource, Sequence};

/// How many containments one sequence can have. GuardDuty's sequences have a handful of resources; somebody who invents
/// more must not have everything contained.
pub(super) const LIMIT: usize = 20;

/// A containment that one function makes.
#[derive(Clone, Debug)]
pub struct Target {
    /// The function.
    pub function: Category,
    /// The contained targets, by the names under which the record keeps them.
    pub names: Vec<String>,
    /// The function's response, in words.
    pub what: String,
    /// The event that the function is handed: the sequence's own, which names this one resource.
    pub event: Value,
}

/// The assessment of an actor or a resource.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Indices of [`Assessment::targets`].
    pub targets: Vec<usize>,
    /// Why there is none, or not more.
    pub notes: Vec<String>,
}

/// The assessment of a sequence.
#[derive(Debug, Default)]
pub struct Assessment {
    /// The containments, each once: credentials come first, since they act.
    pub targets: Vec<Target>,
    /// One for each of [`Sequence::actors`].
    pub actors: Vec<Verdict>,
    /// One for each of [`Sequence::resources`].
    pub resources: Vec<Verdict>,
}

/// Assesses `sequence`, which is that of `finding`, which is that of `event`.
pub fn assess(
    event: &Value,
    finding: &Finding,
    sequence: &Sequence,
    policy: &ResponseSettings,
) -> Assessment {
    let mut assessor = Assessor {
        base: without_sequence(event),
        finding,
        sequence,
        policy,
        targets: Vec::new(),
    };
    let actors = sequence.actors.iter();
    let actors = actors.map(|actor| assessor.actor(actor)).collect();
    let resources = sequence.resources.iter();
    let resources = resources.map(|one| assessor.resource(one)).collect();
    Assessment {
        targets: assessor.targets,
        actors,
        resources,
    }
}

struct Assessor<'a> {
    /// The event without what describes the sequence.
    base: Value,
    finding: &'a Finding,
    sequence: &'a Sequence,
    policy: &'a ResponseSettings,
    targets: Vec<Target>,
}

/// The account and Region of a resource, as the sequence has them.
#[derive(Clone, Copy, Default)]
struct Place<'a> {
    account: Option<&'a str>,
    region: Option<&'a str>,
}

/// The sequence's statements about a credential, from several places.
#[derive(Clone, Debug, Default)]
struct Credential {
    key: Option<String>,
    principal_id: Option<String>,
    user_name: Option<String>,
    user_type: Option<String>,
}

impl Assessor<'_> {
    fn actor(&mut self, actor: &Actor) -> Verdict {
        if actor.user_uid.is_none() && actor.credential.is_none() {
            return no(match actor.process {
                Some(_) => "a process is contained with the instance or container that it runs on",
                None => "the sequence names no principal for it",
            });
        }
        let place = Place {
            account: owner(actor),
            region: None,
        };
        if let Some(key) = &actor.credential {
            let known = self.known(key);
            return known.and_then(|key| self.credential(key, place)).into();
        }
        // The keys that the sequence has of the same principal tell more than its name does.
        let sequence = self.sequence;
        let mut keys = sequence
            .resources
            .iter()
            .filter(|key| key.kind == "ACCESS_KEY" && key.principal_id == actor.user_uid)
            .peekable();
        if keys.peek().is_none() {
            return self.credential(Credential::of(actor), place).into();
        }
        all(keys.map(|key| self.resource(key)))
    }

    fn resource(&mut self, resource: &Resource) -> Verdict {
        let place = Place {
            account: resource.account.as_deref(),
            region: resource.region.as_deref(),
        };
        match resource.kind.as_str() {
            "S3_BUCKET" | "S3_OBJECT" => self.bucket(resource, place).into(),
            "ACCESS_KEY" => match resource.access_key() {
                Some(key) => {
                    let known = self.known(&key);
                    known.and_then(|key| self.credential(key, place)).into()
                }
                None => no("the sequence gives no id of it that is an access key's"),
            },
            "EC2_INSTANCE" => {
                let uid = resource.uid.as_deref().unwrap_or_default();
                self.instance(uid, place).into()
            }
            "EC2_NETWORK_INTERFACE" => self.interface(resource),
            // GuardDuty lists the compromised instances of these.
            "IAM_INSTANCE_PROFILE"
            | "AUTOSCALING_AUTO_SCALING_GROUP"
            | "EC2_LAUNCH_TEMPLATE"
            | "EC2_IMAGE"
            | "EC2_VPC"
            | "CLOUDFORMATION_STACK" => {
                if resource.instances.is_empty() {
                    return no(
                        "it is contained through its instances, and the sequence lists none",
                    );
                }
                let uids = resource.instances.iter();
                all(uids.map(|uid| self.instance(uid, place).into()))
            }
            kind => no(by_hand(kind)),
        }
    }

    fn bucket(&mut self, resource: &Resource, place: Place<'_>) -> Result<usize, String> {
        let Some(name) = resource.bucket() else {
            return Err("the sequence gives no name that is a bucket's".to_owned());
        };
        let mut bucket = json!({ "name": name });
        if resource.kind == "S3_BUCKET" && !resource.tags.is_empty() {
            bucket["tags"] = tags(resource);
        }
        let section = json!({ "resourceType": "S3Bucket", "s3BucketDetails": [bucket] });
        self.target(Category::S3, place, section)
    }

    fn credential(&mut self, credential: Credential, place: Place<'_>) -> Result<usize, String> {
        if credential.principal_id.is_none() {
            return Err(
                "the sequence gives no unique id of its principal, and a name may be another account's \
                 or have been reused"
                    .to_owned(),
            );
        }
        let mut details = Map::new();
        for (member, value) in [
            ("accessKeyId", credential.key),
            ("principalId", credential.principal_id),
            ("userName", credential.user_name),
            ("userType", credential.user_type),
        ] {
            details.extend(value.map(|value| (member.to_owned(), Value::from(value))));
        }
        let section = json!({ "resourceType": "AccessKey", "accessKeyDetails": details });
        self.target(Category::Iam, place, section)
    }

    /// All that the sequence says of an access key: as a resource, and as what an actor used.
    fn known(&self, key: &str) -> Result<Credential, String> {
        let resources = self.sequence.resources.iter();
        let resources = resources
            .filter(|one| one.kind == "ACCESS_KEY" && one.access_key().as_deref() == Some(key))
            .map(|one| Credential {
                principal_id: one.principal_id.clone(),
                user_name: one.user_name.clone(),
                user_type: one.user_type.clone(),
                ..Credential::default()
            });
        let actors = self.sequence.actors.iter();
        let actors = actors.filter(|actor| actor.credential.as_deref() == Some(key));
        let mut known = Credential {
            key: Some(key.to_owned()),
            ..Credential::default()
        };
        for said in resources.chain(actors.map(Credential::of)) {
            agree(&mut known.principal_id, said.principal_id)?;
            agree(&mut known.user_name, said.user_name)?;
            agree(&mut known.user_type, said.user_type)?;
        }
        Ok(known)
    }

    /// The containment of what `section` names, as its function would decide about it.
    fn target(
        &mut self,
        function: Category,
        place: Place<'_>,
        section: Value,
    ) -> Result<usize, String> {
        let own = self.policy.own_account.as_ref();
        let own = own.unwrap_or(&self.finding.account_id);
        let account = place.account.unwrap_or(&self.finding.account_id);
        if account != own {
            return Err(format!(
                "it is in account {account}, and this stack contains only in its own, {own}"
            ));
        }
        let mut event = self.base.clone();
        let detail = detail_of(&mut event);
        detail["accountId"] = json!(account);
        // What is global may say so in place of a Region.
        let region = place
            .region
            .filter(|region| region.ends_with(|end: char| end.is_ascii_digit()));
        detail["region"] = json!(region.unwrap_or(&self.finding.region));
        detail["resource"] = section;
        detail["handedOverTo"] = json!(function);
        let named = |error| format!("the sequence does not name it well enough: {error}");
        let finding = Finding::parse(&event).map_err(named)?;
        match decision::decide(function, &finding, self.policy) {
            Decision::Contain(_) => {}
            Decision::Notify(why) | Decision::Ignore(why) => return Err(why),
        }
        let what = what(function, &finding)?;
        let names = decision::targets(function, &finding).map_err(named)?;
        let same = |target: &Target| target.function == function && target.names == names;
        if let Some(index) = self.targets.iter().position(same) {
            return Ok(index);
        }
        if self.targets.len() == LIMIT {
            return Err(format!(
                "one sequence has {LIMIT} containments at most, and this would be one more: {what}"
            ));
        }
        self.targets.push(Target {
            function,
            names,
            what,
            event,
        });
        Ok(self.targets.len() - 1)
    }
}

impl Credential {
    fn of(actor: &Actor) -> Self {
        // The name of a role is also the end of its ARN, which issued the session.
        let issuer = actor.issuer.as_ref();
        let role = issuer.and_then(|arn| arn.rsplit_once('/'));
        let user_name = actor.user_name.clone();
        Self {
            key: actor.credential.clone(),
            principal_id: actor.user_uid.clone(),
            user_name: user_name.or_else(|| role.map(|(_, name)| name.to_owned())),
            user_type: actor.user_type.clone(),
        }
    }
}

/// The account that owns the principal. The one in which it acted need not be,
/// <https://docs.aws.amazon.com/guardduty/latest/APIReference/API_User.html>.
fn owner(actor: &Actor) -> Option<&str> {
    let issuer = actor.issuer.as_deref();
    let in_arn = issuer.and_then(|arn| arn.strip_prefix("arn:")?.split(':').nth(3));
    in_arn
        .filter(|account| !account.is_empty())
        .or(actor.account.as_deref())
}

/// As a finding on the resource alone would have them.
fn tags(resource: &Resource) -> Value {
    let tags = resource.tags.iter();
    let tags = tags.map(|(key, value)| json!({ "key": key, "value": value }));
    tags.collect()
}

fn agree(known: &mut Option<String>, said: Option<String>) -> Result<(), String> {
    match (known.as_ref(), said) {
        (Some(one), Some(other)) if *one != other => Err(format!(
            "the sequence contradicts itself about its principal: '{one}' and '{other}'"
        )),
        (None, said) => {
            *known = said;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The event without the part of it that describes the sequence, which can be long.
fn without_sequence(event: &Value) -> Value {
    let mut event = event.clone();
    if let Some(service) = detail_of(&mut event)["service"].as_object_mut() {
        service.remove("detection");
    }
    event
}

/// [`Finding::parse`] takes a whole event or the bare detail of one.
fn detail_of(event: &mut Value) -> &mut Value {
    if event.get("detail").is_some() {
        &mut event["detail"]
    } else {
        event
    }
}

fn no(why: impl Into<String>) -> Verdict {
    Verdict {
        targets: Vec::new(),
        notes: vec![why.into()],
    }
}

fn all(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let mut all = Verdict::default();
    for verdict in verdicts {
        for target in verdict.targets {
            if !all.targets.contains(&target) {
                all.targets.push(target);
            }
        }
        all.notes.extend(verdict.notes);
    }
    all
}

impl From<Result<usize, String>> for Verdict {
    fn from(target: Result<usize, String>) -> Self {
        match target {
            Ok(target) => Self {
                targets: vec![target],
                notes: Vec::new(),
            },
            Err(why) => no(why),
        }
    }
}

#[cfg(test)]
mod tests;
