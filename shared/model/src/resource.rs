//! The target of a step, as policies see it.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::Finding;

/// The kinds of resources, by their names in the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A bucket.
    Bucket,
    /// An account.
    Account,
    /// An IAM user.
    User,
    /// An IAM role.
    Role,
    /// An instance.
    Instance,
    /// A Lambda function.
    Function,
}

impl Kind {
    /// The name of the entity type.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bucket => "Bucket",
            Self::Account => "Account",
            Self::User => "User",
            Self::Role => "Role",
            Self::Instance => "Instance",
            Self::Function => "Function",
        }
    }
}

/// The name of the tags among the unread attributes.
const TAGS: &str = "tags";

/// With more tags that decide, not every choice is tried, since each tag doubles the choices.
const MOST_TAGS: usize = 4;

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// A string.
    Text(String),
    /// A boolean.
    Flag(bool),
}

/// The target of a step: the bucket, the account, the user, the role, the instance, the function.
///
/// An attacker may be able to set tags, and must not escape by one. So only such tags count as are known to be older
/// than the activity; the others are kept apart, to say of them that they did not.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Its entity type.
    pub kind: Kind,
    /// The id of its account.
    pub account: String,
    /// Its Region, or `global`.
    pub region: String,
    /// Its ARN.
    pub arn: String,
    /// Its name, or the id of an instance.
    pub name: String,
    /// Attributes of the schema that are known.
    pub attributes: BTreeMap<&'static str, Attribute>,
    /// Attributes of the schema that could not be read.
    pub unread: BTreeSet<&'static str>,
    /// The tags that count.
    pub tags: BTreeMap<String, String>,
    doubtful: BTreeMap<String, String>,
    /// The role whose credentials an instance or a function has.
    pub role: Option<Box<Resource>>,
}

impl Resource {
    fn new(kind: Kind, account: &str, region: &str, arn: String, name: &str) -> Self {
        Self {
            kind,
            account: account.to_owned(),
            region: region.to_owned(),
            arn,
            name: name.to_owned(),
            attributes: BTreeMap::new(),
            unread: BTreeSet::new(),
            tags: BTreeMap::new(),
            doubtful: BTreeMap::new(),
            role: None,
        }
    }

    /// A bucket of the finding's account.
    pub fn bucket(finding: &Finding, region: &str, name: &str) -> Self {
        let arn = format!("arn:{}:s3:::{name}", finding.partition());
        Self::new(Kind::Bucket, &finding.account_id, region, arn, name)
    }

    /// The finding's account.
    pub fn account(finding: &Finding) -> Self {
        let account = &finding.account_id;
        let arn = format!("arn:{}:iam::{account}:root", finding.partition());
        Self::new(Kind::Account, account, &finding.region, arn, account)
    }

    /// A user of the finding's account. `arn`: `None` if it was not read, and with it the path.
    pub fn user(finding: &Finding, name: &str, arn: Option<&str>) -> Self {
        Self::entity(Kind::User, finding, name, arn)
    }

    /// A role of the finding's account. `arn` as of [`Resource::user`].
    pub fn role(finding: &Finding, name: &str, arn: Option<&str>) -> Self {
        Self::entity(Kind::Role, finding, name, arn)
    }

    fn entity(kind: Kind, finding: &Finding, name: &str, arn: Option<&str>) -> Self {
        let (account, partition) = (&finding.account_id, finding.partition());
        let word = match kind {
            Kind::Role => "role",
            _ => "user",
        };
        let pathless = || format!("arn:{partition}:iam::{account}:{word}/{name}");
        let full = arn.map_or_else(pathless, ToOwned::to_owned);
        let mut entity = Self::new(kind, account, "global", full, name);
        if let Some(path) = arn.and_then(path) {
            entity = entity.text("path", path);
        }
        entity
    }

    /// The finding's instance, where the finding says that it is.
    pub fn instance(finding: &Finding, id: &str) -> Self {
        Self::instance_in(finding, &finding.instance_region(), id)
    }

    /// The finding's instance, in the Region where it was found.
    pub fn instance_in(finding: &Finding, region: &str, id: &str) -> Self {
        let account = &finding.account_id;
        let arn = format!(
            "arn:{}:ec2:{region}:{account}:instance/{id}",
            finding.partition()
        );
        Self::new(Kind::Instance, account, region, arn, id)
    }

    /// The finding's Lambda function.
    pub fn function(finding: &Finding, name: &str) -> Self {
        let (account, region) = (&finding.account_id, &finding.region);
        let arn = finding.function_arn(name);
        Self::new(Kind::Function, account, region, arn, name)
    }

    /// With an attribute of the schema's.
    #[must_use]
    pub fn text(mut self, name: &'static str, value: &str) -> Self {
        let value = Attribute::Text(value.to_owned());
        self.attributes.insert(name, value);
        self
    }

    /// With an attribute of the schema's.
    #[must_use]
    pub fn flag(mut self, name: &'static str, value: bool) -> Self {
        self.attributes.insert(name, Attribute::Flag(value));
        self
    }

    /// With an attribute of the schema's of which is not known what it is.
    #[must_use]
    pub fn unread(mut self, name: &'static str) -> Self {
        self.unread.insert(name);
        self
    }

    /// With the role whose credentials the instance or the function has.
    #[must_use]
    pub fn with_role(mut self, role: Self) -> Self {
        self.role = Some(Box::new(role));
        self
    }

    /// With the tags that it has now; `shown` are those that the finding says it had. Those that are the
    /// same in both are trusted, and those of AWS's own (`aws:`), which nobody else can set,
    /// <https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html>.
    #[must_use]
    pub fn tags<'a>(
        mut self,
        now: impl IntoIterator<Item = (&'a str, &'a str)>,
        shown: Option<&[(&str, &str)]>,
    ) -> Self {
        for (key, value) in now {
            let shown = shown.is_some_and(|shown| shown.contains(&(key, value)));
            let tags = if shown || key.starts_with("aws:") {
                &mut self.tags
            } else {
                &mut self.doubtful
            };
            tags.insert(key.to_owned(), value.to_owned());
        }
        self
    }

    /// With tags that could not be read; `shown` are those that the finding says it had. None of them counts, and
    /// each of them may stand.
    #[must_use]
    pub fn unread_tags(self, shown: Option<&[(&str, &str)]>) -> Self {
        let mut unread = self.unread(TAGS);
        let shown = shown.unwrap_or_default().iter();
        let shown = shown.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        unread.doubtful.extend(shown);
        unread
    }

    /// True if its tags could not be read.
    pub fn tags_are_unread(&self) -> bool {
        self.unread.contains(TAGS)
    }

    /// The kind of the target.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its ARN.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// Its name, or the id of an instance.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same if only AWS's own tags counted. `None`: it has no others.
    pub fn without_set_tags(&self) -> Option<Self> {
        let mut without = self.clone();
        let (own, set) = std::mem::take(&mut without.tags)
            .into_iter()
            .partition(|(key, _)| key.starts_with("aws:"));
        without.tags = own;
        let set: BTreeMap<String, String> = set;
        if set.is_empty() {
            return None;
        }
        without.doubtful.extend(set);
        Some(without)
    }

    /// The same for each other choice of the tags that count, among those that people set and that have such a key. An
    /// unread tag does not count here, and counts in some of these.
    pub fn tag_worlds(&self, decides: impl Fn(&str) -> bool) -> Vec<Self> {
        let unread = self.tags_are_unread();
        let set = if unread { &self.doubtful } else { &self.tags };
        let keys = set.keys().map(String::as_str);
        let keys: Vec<_> = keys
            .filter(|key| !key.starts_with("aws:") && decides(key))
            .collect();
        let worlds = choices(keys.len()).into_iter().map(|chosen| {
            let mut world = self.clone();
            let (from, to) = if unread {
                (&mut world.doubtful, &mut world.tags)
            } else {
                (&mut world.tags, &mut world.doubtful)
            };
            for index in chosen {
                to.extend(from.remove_entry(keys[index]));
            }
            world
        });
        worlds.collect()
    }

    /// The same if all its tags counted. `None`: they do.
    pub fn with_doubtful_tags(&self) -> Option<Self> {
        if self.doubtful.is_empty() {
            return None;
        }
        let mut claimed = self.clone();
        claimed.tags.append(&mut claimed.doubtful);
        Some(claimed)
    }
}

/// Each choice of some of so many; from more than a few it gives only one, all but one, and all.
fn choices(of: usize) -> Vec<Vec<usize>> {
    let chosen = |is: &dyn Fn(usize) -> bool| (0..of).filter(|index| is(*index)).collect();
    if of <= MOST_TAGS {
        let some = 1..1_usize << of;
        return some
            .map(|some| chosen(&|index| some >> index & 1 == 1))
            .collect();
    }
    let one = (0..of).map(|one| vec![one]);
    let all_but_one = (0..of).map(|one| chosen(&|index| index != one));
    one.chain(all_but_one).chain([chosen(&|_| true)]).collect()
}

/// The path of a user or role: `/` or `/ci/deploy/`.
fn path(arn: &str) -> Option<&str> {
    let resource = arn.splitn(6, ':').nth(5)?;
    let start = resource.find('/')?;
    let end = resource.rfind('/')?;
    resource.get(start..=end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::user_finding;

    #[test]
    fn the_path_of_an_arn_is_between_kind_and_name() {
        for (arn, expected) in [
            ("arn:aws:iam::111122223333:user/mallory", Some("/")),
            (
                "arn:aws:iam::111122223333:user/ci/deploy/mallory",
                Some("/ci/deploy/"),
            ),
            (
                "arn:aws:iam::111122223333:role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX",
                Some("/aws-service-role/x.amazonaws.com/"),
            ),
            ("mallory", None),
        ] {
            assert_eq!(path(arn), expected, "{arn}");
        }
    }

    #[test]
    fn each_choice_among_a_few_tags_is_tried_and_the_extremes_of_many() {
        assert_eq!(choices(0), [[0; 0]; 0]);
        assert_eq!(choices(2), [vec![0], vec![1], vec![0, 1]]);
        assert_eq!(choices(4).len(), 15);
        assert_eq!(choices(9).len(), 19);
    }

    #[test]
    fn a_tag_counts_only_if_the_finding_shows_it_and_it_is_still_set() {
        let finding = user_finding("mallory");
        let now = [
            ("kept", "yes"),
            ("changed", "new"),
            ("added", "later"),
            ("aws:autoscaling:groupName", "web"),
        ];
        let shown = [("kept", "yes"), ("changed", "old"), ("removed", "yes")];
        let resource = Resource::instance(&finding, "i-0abc1234").tags(now, Some(&shown));
        let trusted: Vec<_> = resource.tags.keys().map(String::as_str).collect();
        assert_eq!(trusted, ["aws:autoscaling:groupName", "kept"]);
        let claimed = resource.with_doubtful_tags().expect("some are not trusted");
        assert_eq!(claimed.tags.len(), 4);
        // Findings about users and roles show no tags.
        let user = Resource::user(&finding, "mallory", None).tags([("ci", "yes")], None);
        assert!(user.tags.is_empty());
    }
}
