//! The resources that a finding names.

use serde_json::Value;

use jiff::Timestamp;

use super::{Finding, Principal, ids, needed, partition_of, printable};
use crate::error::{Error, Result};

/// A bucket as the finding describes it, for people; [`Finding::buckets`] has the names for calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket<'a> {
    /// The name, not held against the grammar of bucket names.
    pub name: String,
    /// `Source` or `Destination`, by the call that was made.
    pub role: Option<&'a str>,
    /// When the bucket was made.
    pub created_at: Option<Timestamp>,
    /// `PUBLIC` or `NOT_PUBLIC`, when GuardDuty made the finding.
    pub effective_permission: Option<&'a str>,
}

/// A network interface as the finding describes it, for people: the instance may have others now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface<'a> {
    /// The id, not held against the grammar of such ids.
    pub id: Option<&'a str>,
    /// The private IPv4 address.
    pub private_address: Option<&'a str>,
    /// The public IPv4 address.
    pub public_address: Option<&'a str>,
    /// The ids of its security groups.
    pub groups: Vec<&'a str>,
}

impl Finding {
    /// The names of the buckets, each once.
    ///
    /// # Errors
    /// [`Error::Malformed`] if one has no name or not a bucket's, or if there
    /// are more than one invocation has the time to contain.
    pub fn buckets(&self) -> Result<Vec<String>> {
        const MOST: usize = 100;
        let buckets = &self.detail.resource.s3_bucket_details;
        if buckets.len() > MOST {
            return Err(Error::malformed(
                self.path("resource.s3BucketDetails"),
                format!(
                    "names {} buckets, and at most {MOST} are contained for one finding: block their \
                     public access by hand",
                    buckets.len(),
                ),
            ));
        }
        let mut names = Vec::new();
        for (index, bucket) in buckets.iter().enumerate() {
            let member = self.path(&format!("resource.s3BucketDetails[{index}].name"));
            let name = ids::bucket(&member, needed(&member, &bucket.name)?)?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The buckets as the finding describes them, in its order; one that is both source and
    /// destination is there twice.
    pub fn described_buckets(&self) -> Vec<Bucket<'_>> {
        let buckets = self.detail.resource.s3_bucket_details.iter();
        buckets
            .map(|bucket| Bucket {
                name: printable(bucket.name.as_deref().unwrap_or_default()),
                role: bucket.role.as_deref(),
                created_at: bucket.created_at,
                effective_permission: bucket.public_access.effective_permission.as_deref(),
            })
            .collect()
    }

    /// The tags that `bucket` had when GuardDuty made the finding, as keys and values. `None`: the
    /// finding does not say.
    pub fn bucket_tags(&self, bucket: &str) -> Option<Vec<(&str, &str)>> {
        let buckets = &self.detail.resource.s3_bucket_details;
        let described = buckets
            .iter()
            .find(|described| described.name.as_deref() == Some(bucket))?;
        tags(&described.tags)
    }

    /// The tags that the instance had when GuardDuty made the finding, as keys and values. `None`: the
    /// finding does not say.
    pub fn instance_tags(&self) -> Option<Vec<(&str, &str)>> {
        tags(&self.detail.resource.instance_details.as_ref()?.tags)
    }

    /// `ACTOR` or `TARGET`, where GuardDuty says it.
    pub fn resource_role(&self) -> Option<&str> {
        self.detail.service.resource_role.as_deref()
    }

    /// True if the finding has the section that describes an instance.
    pub fn has_instance(&self) -> bool {
        self.detail.resource.instance_details.is_some()
    }

    /// True if the finding shows the instance on an Outpost.
    pub fn is_on_outpost(&self) -> bool {
        let details = self.detail.resource.instance_details.as_ref();
        details.is_some_and(|details| details.outpost_arn.is_some())
    }

    /// The id of the instance. If there is no section about the instance, the session's name or the principal's own
    /// identity gives the instance. GuardDuty leaves the section out where the instance is terminated, or where the
    /// call was made in another Region,
    /// <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_findings-summary.html>.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::Error::Malformed) if the finding has none or it is not an
    /// instance's.
    pub fn instance_id(&self) -> Result<String> {
        let details = self.detail.resource.instance_details.as_ref();
        let id = details.and_then(|details| details.instance_id.as_ref());
        match self.acting_instance() {
            Some(acting) if id.is_none_or(String::is_empty) => Ok(acting),
            _ => self.described_instance(),
        }
    }

    /// The id of the instance that the finding describes.
    ///
    /// # Errors
    /// As [`Finding::instance_id`].
    pub fn described_instance(&self) -> Result<String> {
        let member = self.path("resource.instanceDetails.instanceId");
        let details = self.detail.resource.instance_details.as_ref();
        let id = details.map_or(&None, |details| &details.instance_id);
        ids::instance(&member, needed(&member, id)?)
    }

    /// The id of the instance whose credentials were used, by the principal.
    fn acting_instance(&self) -> Option<String> {
        let instance = match self.principal().ok()? {
            Principal::RoleSession { session, .. } => session?.name,
            Principal::InstanceIdentity { instance } => instance?,
            _ => return None,
        };
        ids::instance("principalId", &instance).ok()
    }

    /// The Region of the instance, as far as the finding tells: the one of its Availability Zone, else the finding's.
    pub fn instance_region(&self) -> String {
        let of_zone = self.zone().and_then(ids::region_of_zone);
        let of_zone = of_zone.filter(|region| partition_of(region) == self.partition());
        of_zone.unwrap_or_else(|| self.region.clone())
    }

    /// The instance's Availability Zone.
    pub(super) fn zone(&self) -> Option<&str> {
        let details = self.detail.resource.instance_details.as_ref()?;
        details.availability_zone.as_deref()
    }

    /// True if the instance may be in another Region than [`Finding::instance_region`]. CloudTrail records a call in
    /// the Region where it was made, and the credentials of an instance work in each; see
    /// <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_data-sources.html>. A part of an attack sequence
    /// may have no Region but that of what contains it, such as a role, which is global.
    pub fn instance_may_be_elsewhere(&self) -> bool {
        self.finding_type.resource() == "IAMUser"
            || self.api().is_some()
            || self.handed_over_to().is_some()
    }

    /// The ARN of the instance's profile, for people.
    pub fn instance_profile(&self) -> Option<&str> {
        let details = self.detail.resource.instance_details.as_ref()?;
        details.iam_instance_profile.arn.as_deref()
    }

    /// The ARN of the instance's profile, for calls. `None`: the finding has none, or not a profile's.
    pub fn instance_profile_arn(&self) -> Option<&str> {
        let arn = self.instance_profile()?;
        let path = arn.strip_prefix(&format!(
            "arn:{}:iam::{}:instance-profile/",
            self.partition(),
            self.account_id
        ))?;
        let member = self.path("resource.instanceDetails.iamInstanceProfile.arn");
        ids::instance_profile(&member, path).ok().map(|_| arn)
    }

    /// The instance's Auto Scaling group, by the tag that only Auto Scaling sets,
    /// <https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-tagging.html>. `None`: the
    /// finding shows none, or a name that no group can have.
    pub fn auto_scaling_group(&self) -> Option<&str> {
        let tags = self.instance_tags()?;
        let (_, name) = *tags
            .iter()
            .find(|(key, _)| *key == "aws:autoscaling:groupName")?;
        let printable = name
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~') && byte != b':');
        ((1..=255).contains(&name.len()) && printable).then_some(name)
    }

    /// The name of the Lambda function.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the finding has none, or it is not a function's. Also if the ARN beside it is that of
    /// another function, account or Region.
    pub fn function_name(&self) -> Result<String> {
        let details = self.detail.resource.lambda_details.as_ref();
        let member = self.path("resource.lambdaDetails.functionName");
        let name = details.map_or(&None, |details| &details.function_name);
        let name = ids::function(&member, needed(&member, name)?)?;
        let own = self.function_arn(&name);
        let told = details.and_then(|details| details.function_arn.as_deref());
        // A version or an alias may follow.
        let agrees = |told: &str| told == own || told.starts_with(&format!("{own}:"));
        if told.is_none_or(agrees) {
            return Ok(name);
        }
        Err(Error::malformed(
            self.path("resource.lambdaDetails.functionArn"),
            format!("is not that of the function {name} in the finding's account and Region"),
        ))
    }

    /// The ARN of the finding's function of this name, without a version.
    pub fn function_arn(&self, name: &str) -> String {
        let (partition, region, account) = (self.partition(), &self.region, &self.account_id);
        format!("arn:{partition}:lambda:{region}:{account}:function:{name}")
    }

    /// The version of the function that acted, for people: `$LATEST` or a number.
    pub fn function_version(&self) -> Option<&str> {
        let details = self.detail.resource.lambda_details.as_ref()?;
        details.function_version.as_deref()
    }

    /// The ARN of the function's role, for calls. `None`: the finding has none, or not a role of its account.
    pub fn function_role(&self) -> Option<&str> {
        let details = self.detail.resource.lambda_details.as_ref()?;
        let own = format!("arn:{}:iam::{}:role/", self.partition(), self.account_id);
        let arn = details.role.as_deref()?;
        let name = arn.strip_prefix(&own)?.rsplit('/').next()?;
        let member = self.path("resource.lambdaDetails.role");
        ids::name(&member, name).ok().map(|_| arn)
    }

    /// The tags that the function had when GuardDuty made the finding, as keys and values. `None`: the finding
    /// does not say.
    pub fn function_tags(&self) -> Option<Vec<(&str, &str)>> {
        tags(&self.detail.resource.lambda_details.as_ref()?.tags)
    }

    /// The instance's network interfaces as the finding describes them.
    pub fn interfaces(&self) -> Vec<Interface<'_>> {
        let details = self.detail.resource.instance_details.as_ref();
        let interfaces = details.map_or(&[][..], |details| &details.network_interfaces);
        interfaces
            .iter()
            .map(|interface| Interface {
                id: interface.network_interface_id.as_deref(),
                private_address: interface.private_ip_address.as_deref(),
                public_address: interface.public_ip.as_deref(),
                groups: interface
                    .security_groups
                    .iter()
                    .filter_map(|group| group.group_id.as_deref())
                    .collect(),
            })
            .collect()
    }
}

fn tags(tags: &Value) -> Option<Vec<(&str, &str)>> {
    let pairs = tags.as_array()?.iter().filter_map(|tag| {
        let value = tag["value"].as_str().unwrap_or_default();
        Some((tag["key"].as_str()?, value))
    });
    Some(pairs.collect())
}

#[cfg(test)]
mod tests {
    use crate::fixtures::finding;
    use serde_json::json;

    #[test]
    fn a_bucket_that_is_both_source_and_destination_is_named_once_and_described_twice() {
        let finding = finding(json!({ "resource": { "s3BucketDetails": [
            { "name": "one", "type": "Source", "createdAt": 1513612691.551 },
            { "name": "two", "type": "Destination", "createdAt": 1620934206,
              "defaultServerSideEncryption": null, "publicAccess": null },
            { "name": "one", "type": "Destination", "createdAt": "2017-12-18T15:58:11.551Z",
              "publicAccess": { "effectivePermission": "PUBLIC" } },
        ] } }));
        assert_eq!(finding.buckets().unwrap(), ["one", "two"]);
        let described = finding.described_buckets();
        assert_eq!(described.len(), 3);
        assert_eq!(described[0].role, Some("Source"));
        assert_eq!(described[0].created_at, described[2].created_at);
        assert_eq!(described[1].effective_permission, None);
        assert_eq!(described[2].effective_permission, Some("PUBLIC"));
    }

    #[test]
    fn a_bucket_without_a_name_or_with_no_buckets_name_is_refused_by_its_place_in_the_list() {
        for name in [json!(null), json!(""), json!("*"), json!("10.0.0.1")] {
            let finding = finding(json!({ "resource": {
                "s3BucketDetails": [{ "name": "fine" }, { "name": name }] } }));
            let problem = finding.buckets().expect_err("not a name").to_string();
            assert!(
                problem.contains("`detail.resource.s3BucketDetails[1].name`"),
                "{problem}"
            );
        }
    }

    #[test]
    fn only_profiles_and_groups_of_this_account_are_requested() {
        let arn = |path: &str| format!("arn:aws:iam::111122223333:instance-profile/{path}");
        for (profile, asked) in [
            (arn("web"), true),
            (arn("team/blue/web"), true),
            (arn("*"), false),
            (arn("web?"), false),
            (arn(""), false),
            (arn("web\u{202e}"), false),
            (
                "arn:aws:iam::444455556666:instance-profile/web".to_owned(),
                false,
            ),
            ("web".to_owned(), false),
        ] {
            let finding = finding(json!({ "resource": { "instanceDetails": {
                "iamInstanceProfile": { "arn": profile } } } }));
            assert_eq!(finding.instance_profile_arn().is_some(), asked, "{profile}");
        }
        for (group, asked) in [
            ("web asg", true),
            ("", false),
            ("a:b", false),
            ("a\nb", false),
            (&"a".repeat(256), false),
        ] {
            let finding = finding(json!({ "resource": { "instanceDetails": {
                "tags": [{ "key": "aws:autoscaling:groupName", "value": group }] } } }));
            assert_eq!(finding.auto_scaling_group().is_some(), asked, "{group}");
        }
    }

    #[test]
    fn a_hundred_buckets_are_contained_for_one_finding_and_one_more_is_too_many() {
        let of = |count: usize| {
            let names = (0..count).map(|number| format!("bucket-{number:03}"));
            let buckets: Vec<_> = names.map(|name| json!({ "name": name })).collect();
            finding(json!({ "resource": { "s3BucketDetails": buckets } })).buckets()
        };
        let names = of(100).expect("the names");
        assert_eq!(names.len(), 100);
        assert_eq!(names[99], "bucket-099");
        let problem = of(101).expect_err("too many").to_string();
        assert!(problem.contains("names 101 buckets"), "{problem}");
        assert!(problem.contains("at most 100"), "{problem}");
    }

    #[test]
    fn interfaces_groups_and_profile_are_read_from_the_finding_and_made_printable() {
        let finding = finding(json!({ "resource": { "instanceDetails": {
            "iamInstanceProfile": { "arn": "arn:aws:iam::111122223333:instance-profile/a\u{202e}b" },
            "networkInterfaces": [
                { "networkInterfaceId": "eni-1", "privateIpAddress": "10.0.0.1", "publicIp": "",
                  "ipv6Addresses": [], "securityGroups": [{ "groupId": "sg-1" }, { "groupId": "sg-2" }] },
                { "networkInterfaceId": "eni-2", "securityGroups": null },
                null,
            ],
        } } }));
        let profile = finding.instance_profile().expect("a profile");
        assert!(profile.ends_with("/a\\u{202e}b"), "{profile}");
        let interfaces = finding.interfaces();
        assert_eq!(interfaces.len(), 2);
        assert_eq!(interfaces[0].groups, ["sg-1", "sg-2"]);
        assert_eq!(interfaces[0].private_address, Some("10.0.0.1"));
        assert_eq!(interfaces[0].public_address, None);
        assert_eq!(interfaces[1].id, Some("eni-2"));
        assert!(interfaces[1].groups.is_empty());
    }
}
