//! Whether a finding is one of the samples that GuardDuty makes on request,
//! <https://docs.aws.amazon.com/guardduty/latest/ug/sample_findings.html>.

use super::Finding;

impl Finding {
    /// True for a sample. A sample is never enforced, so whoever could make a finding look like one
    /// would escape containment. Only what AWS alone can write counts:
    ///
    /// 1. the flag `sample` in `additionalInfo` or in the JSON text of its `value`, which decides where it is there;
    ///    one of the two suffices;
    /// 2. without a flag, the title's mark `[SAMPLE]`. No title begins with a name that somebody
    ///    chose, and neither IAM's names nor those of buckets may have a bracket;
    /// 3. without a flag, an id that AWS gives out and nobody chooses, set to the placeholder of the sample generator:
    ///    those of the instance, its interface or its profile, of the access key or the principal; and the bucket
    ///    `bucketName`, a name that S3 has given to nobody since 2018, where the finding names no other.
    ///
    /// Names that are chosen do not count, though the samples have placeholders for them too: a user
    /// can be called `GeneratedFindingUserName`, and a tag, a group, a role or a session anything.
    pub fn is_sample(&self) -> bool {
        self.flagged().unwrap_or_else(|| {
            let title = self.detail.title.as_deref().unwrap_or_default();
            title.starts_with("[SAMPLE]")
                || self.has_placeholder_instance()
                || self.has_placeholder_credentials()
                || self.has_placeholder_bucket()
        })
    }

    fn flagged(&self) -> Option<bool> {
        let info = &self.detail.service.additional_info;
        match (info.sample, info.value.sample) {
            (None, None) => None,
            (direct, in_value) => Some(direct == Some(true) || in_value == Some(true)),
        }
    }

    fn has_placeholder_instance(&self) -> bool {
        let Some(instance) = &self.detail.resource.instance_details else {
            return false;
        };
        // What follows the account in a real profile's ARN begins with `instance-profile/`. Its path
        // is chosen and may have colons, so only the whole of it counts.
        let profile = instance.iam_instance_profile.arn.as_deref();
        let resource = profile.and_then(|arn| arn.splitn(6, ':').nth(5));
        instance.instance_id.as_deref() == Some("i-99999999")
            || resource == Some("example/instance/profile")
            || instance
                .network_interfaces
                .iter()
                .any(|interface| interface.network_interface_id.as_deref() == Some("eni-bfcffe88"))
    }

    fn has_placeholder_credentials(&self) -> bool {
        let details = self.detail.resource.access_key_details.as_ref();
        details.is_some_and(|details| {
            details.access_key_id.as_deref() == Some("GeneratedFindingAccessKeyId")
                || details.principal_id.as_deref() == Some("GeneratedFindingPrincipalId")
        })
    }

    fn has_placeholder_bucket(&self) -> bool {
        let buckets = &self.detail.resource.s3_bucket_details;
        !buckets.is_empty()
            && buckets
                .iter()
                .all(|bucket| bucket.name.as_deref() == Some("bucketName"))
    }
}

#[cfg(test)]
mod tests {
    use crate::fixtures::{finding, user_detail};
    use serde_json::{Value, json};

    fn is_sample(changes: Value) -> bool {
        finding(changes).is_sample()
    }

    #[test]
    fn a_sample_is_known_by_its_flag_in_any_place() {
        for info in [
            json!({ "sample": true }),
            json!({ "sample": "true" }),
            json!({ "value": "{\"sample\":true}", "type": "default" }),
            json!({ "value": "{\"threatListName\":\"x\",\"sample\":true,\"agentDetails\":{}}" }),
            json!({ "sample": false, "value": "{\"sample\":true}" }),
            json!({ "sample": true, "value": "{}" }),
        ] {
            assert!(
                is_sample(json!({ "service": { "additionalInfo": info.clone() } })),
                "{info}"
            );
        }
        for info in [
            json!(null),
            json!({}),
            json!({ "sample": false }),
            json!({ "sample": null }),
            json!({ "sample": [true] }),
            json!({ "value": "not json", "type": "default" }),
            json!({ "value": "[true]" }),
            json!({ "value": "{}" }),
            json!({ "value": "{\"userAgent\":{\"fullUserAgent\":\"\\\",\\\"sample\\\":true\"}}" }),
            json!({ "value": "{\"userAgent\":{\"sample\":true}}" }),
            json!({ "value": "{\"value\":\"{\\\"sample\\\":true}\"}" }),
        ] {
            assert!(
                !is_sample(json!({ "service": { "additionalInfo": info.clone() } })),
                "{info}"
            );
        }
    }

    #[test]
    fn without_a_flag_a_sample_is_known_by_ids_that_aws_gives_out() {
        let by_id = [
            json!({ "title": "[SAMPLE] something" }),
            json!({ "resource": { "instanceDetails": { "instanceId": "i-99999999" } } }),
            json!({ "resource": { "instanceDetails": { "networkInterfaces":
                [{ "networkInterfaceId": "eni-bfcffe88" }] } } }),
            json!({ "resource": { "instanceDetails": { "iamInstanceProfile":
                { "arn": "arn:aws:iam::755484374681:example/instance/profile" } } } }),
            json!({ "resource": { "s3BucketDetails": [{ "name": "bucketName" }] } }),
            json!({ "resource": { "accessKeyDetails": { "accessKeyId": "GeneratedFindingAccessKeyId" } } }),
            json!({ "resource": { "accessKeyDetails": { "principalId": "GeneratedFindingPrincipalId" } } }),
        ];
        for mut changes in by_id {
            assert!(is_sample(changes.clone()), "{changes}");
            changes["service"] = json!({ "additionalInfo": { "sample": false } });
            assert!(!is_sample(changes.clone()), "the flag decides: {changes}");
        }
        assert!(!is_sample(json!({})));
    }

    #[test]
    fn nobody_escapes_containment_by_a_name_that_can_be_chosen() {
        let chosen = "GeneratedFindingUserName";
        let mut user = user_detail(chosen);
        assert!(!is_sample(user.clone()));
        user["title"] = json!(format!("{chosen} [SAMPLE]"));
        user["description"] = json!("[SAMPLE]");
        user["service"] = json!({
            "additionalInfo": { "value": "{\"userNames\":[\"sample\",\"GeneratedFindingUserName\"]}" },
            "action": { "awsApiCallAction": {
                "userAgent": "{\"sample\":true}", "api": "GeneratedFindingAPIName",
                "affectedResources": { "AWS::S3::Bucket": "bucketName" } } },
        });
        assert!(!is_sample(user));
        for changes in [
            json!({ "resource": { "instanceDetails": {
                "instanceId": "i-0abc1234def567890",
                "tags": [{ "key": "sample", "value": "true" }, { "key": "GeneratedFindingInstanceTag1" }],
                "iamInstanceProfile": {
                    "arn": "arn:aws:iam::111122223333:instance-profile/x:example/instance/profile" },
                "networkInterfaces": [{ "networkInterfaceId": "eni-0abc1234def567890",
                    "securityGroups": [{ "groupName": "GeneratedFindingSecurityGroupName" }] }],
            } } }),
            json!({ "resource": { "accessKeyDetails": { "userType": "AssumedRole",
                "userName": "GeneratedFindingRoleSession",
                "principalId": "AROAEXAMPLE:GeneratedFindingPrincipalId" } } }),
            json!({ "resource": { "accessKeyDetails": { "userType": "FederatedUser",
                "userName": "GeneratedFindingUserName",
                "principalId": "111122223333:GeneratedFindingPrincipalId" } } }),
            json!({ "resource": { "s3BucketDetails": [{ "name": "generatedfindingbucket" }] } }),
            json!({ "resource": { "s3BucketDetails": [{ "name": "payroll" }, { "name": "bucketName" }] } }),
        ] {
            assert!(!is_sample(changes.clone()), "{changes}");
        }
    }
}
