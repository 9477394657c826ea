//! One bucket of account 111122223333, its account's flags, and what CloudTrail saw, behind mocks.

pub(super) mod objects;
mod rules;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_sdk_cloudtrail::operation::lookup_events::LookupEventsOutput;
use aws_sdk_cloudtrail::primitives::DateTime;
use aws_sdk_cloudtrail::types::Event;
use aws_sdk_s3::operation::delete_bucket_policy::DeleteBucketPolicyOutput;
use aws_sdk_s3::operation::get_bucket_acl::GetBucketAclOutput;
use aws_sdk_s3::operation::get_bucket_ownership_controls::GetBucketOwnershipControlsOutput;
use aws_sdk_s3::operation::get_bucket_policy::GetBucketPolicyOutput;
use aws_sdk_s3::operation::get_bucket_policy_status::GetBucketPolicyStatusOutput;
use aws_sdk_s3::operation::get_bucket_tagging::GetBucketTaggingOutput;
use aws_sdk_s3::operation::get_bucket_website::GetBucketWebsiteOutput;
use aws_sdk_s3::operation::get_public_access_block::GetPublicAccessBlockOutput;
use aws_sdk_s3::operation::head_bucket::HeadBucketOutput;
use aws_sdk_s3::operation::put_bucket_policy::PutBucketPolicyOutput;
use aws_sdk_s3::operation::put_public_access_block::PutPublicAccessBlockOutput;
use aws_sdk_s3::types::{
    Grant, Grantee, ObjectOwnership, Owner, OwnershipControls, OwnershipControlsRule, Permission,
    PolicyStatus, PublicAccessBlockConfiguration, Tag, Type,
};
use aws_sdk_s3control::operation::get_public_access_block::GetPublicAccessBlockOutput as AccountBlockOutput;
use aws_sdk_s3control::operation::list_access_points::ListAccessPointsOutput;
use aws_sdk_s3control::operation::put_public_access_block::PutPublicAccessBlockOutput as PutAccountBlockOutput;
use aws_sdk_s3control::types::{
    AccessPoint, NetworkOrigin, PublicAccessBlockConfiguration as Flags,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use testkit::{mock, mock_client};

use self::objects::{Stored, of_objects};
use self::rules::list_buckets;
use super::super::S3;
use super::super::clients::Clients;
use aws::cloudtrail::event_history::EventHistory;
use fixtures::waves::slow;
use fixtures::{Protocol, Wire};

#[derive(Clone, Default)]
pub(super) struct Bucket {
    pub(super) gone: bool,
    pub(super) block: Option<PublicAccessBlockConfiguration>,
    pub(super) policy: Option<String>,
    pub(super) policy_is_public: bool,
    pub(super) acl_is_public: bool,
    /// The canonical id of another account that the ACL names.
    pub(super) acl_names: Option<&'static str>,
    /// Object Ownership leaves ACLs in effect, as it does where the bucket's ACL grants anything.
    pub(super) acls_enabled: bool,
    pub(super) tag: Option<&'static str>,
    pub(super) website: bool,
    /// What CloudTrail shows: a call, when (seconds), and whether it failed.
    pub(super) calls: Vec<(&'static str, i64, bool)>,
    /// The bucket that they were about, if that is another one.
    pub(super) called_on: Option<&'static str>,
    /// CloudTrail always has one page more.
    pub(super) endless: bool,
    pub(super) access_points: Vec<&'static str>,
    pub(super) account: Option<Flags>,
    /// Accepts changes and does not keep them.
    pub(super) forgets: bool,
    /// Where S3 says that it is.
    pub(super) home: Option<&'static str>,
    /// The bucket of this name is another account's.
    pub(super) of_another_account: Option<&'static str>,
    /// An object has an ACL that lets everybody read it.
    pub(super) object_is_public: bool,
    /// The ARN of a user that was deleted. S3 takes no policy that names it, nor one with a unique id.
    pub(super) deleted: Option<&'static str>,
    /// The versions of its objects, the newest of each key first.
    pub(super) objects: Vec<Stored>,
}

pub(super) struct World {
    pub(super) bucket: Arc<Mutex<Bucket>>,
    /// S3 and CloudTrail.
    pub(super) wire: Wire,
    /// S3 Control, which spells errors differently.
    pub(super) control: Wire,
    pub(super) playbook: S3,
}

impl World {
    pub(super) fn now(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap()
    }

    pub(super) fn flags(&self) -> [bool; 4] {
        let block = self.now().block.clone();
        block.map_or([false; 4], |block| {
            [
                block.block_public_acls,
                block.ignore_public_acls,
                block.block_public_policy,
                block.restrict_public_buckets,
            ]
            .map(Option::unwrap_or_default)
        })
    }

    pub(super) fn policy(&self) -> Value {
        let policy = self.now().policy.clone();
        policy.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
    }
}

fn owned(owner: Option<&str>) -> Result<(), &'static str> {
    if owner == Some("111122223333") {
        Ok(())
    } else {
        Err("AccessDenied")
    }
}

impl Bucket {
    /// Whether S3 lets the account call for the bucket of this name.
    fn admits(&self, owner: Option<&str>, name: Option<&str>) -> Result<(), &'static str> {
        owned(owner)?;
        if self.of_another_account.is_some() && self.of_another_account == name {
            return Err("AccessDenied");
        }
        if self.gone {
            return Err("NoSuchBucket");
        }
        Ok(())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a release may take away a policy that only the responder made"
)]
pub(super) fn world(bucket: Bucket) -> World {
    use aws_sdk_s3::Client;
    let bucket = Arc::new(Mutex::new(bucket));
    let wire = Wire::new(Protocol::S3);
    let control = Wire::new(Protocol::Query);
    let on = (&bucket, &wire);
    let rules = [
        mock!(Client::get_public_access_block).answered_by(
            on,
            "s3:GetBucketPublicAccessBlock",
            |bucket, request| {
                bucket.admits(request.expected_bucket_owner(), request.bucket())?;
                let block = bucket
                    .block
                    .clone()
                    .ok_or("NoSuchPublicAccessBlockConfiguration")?;
                Ok(GetPublicAccessBlockOutput::builder()
                    .public_access_block_configuration(block)
                    .build())
            },
        ),
        mock!(Client::get_bucket_policy_status).answered_by(
            on,
            "s3:GetBucketPolicyStatus",
            |bucket, request| {
                bucket.admits(request.expected_bucket_owner(), request.bucket())?;
                bucket.policy.as_ref().ok_or("NoSuchBucketPolicy")?;
                let status = PolicyStatus::builder()
                    .is_public(bucket.policy_is_public)
                    .build();
                Ok(GetBucketPolicyStatusOutput::builder()
                    .policy_status(status)
                    .build())
            },
        ),
        mock!(Client::get_bucket_policy).answered_by(
            on,
            "s3:GetBucketPolicy",
            |bucket, request| {
                bucket.admits(request.expected_bucket_owner(), request.bucket())?;
                let policy = bucket.policy.clone().ok_or("NoSuchBucketPolicy")?;
                Ok(GetBucketPolicyOutput::builder().policy(policy).build())
            },
        ),
        mock!(Client::put_bucket_policy).answered_by(
            on,
            "s3:PutBucketPolicy",
            |bucket, request| {
                bucket.admits(request.expected_bucket_owner(), request.bucket())?;
                let own = bucket.block.as_ref();
                let own = own.and_then(|block| block.block_public_policy);
                let account = bucket.account.as_ref();
                let account = account.and_then(|block| block.block_public_policy);
                let blocks = own == Some(true) || account == Some(true);
                if bucket.policy_is_public && blocks {
                    return Err("AccessDenied");
                }
                bucket.takes(request.policy().unwrap_or_default())?;
                if !bucket.forgets {
                    bucket.policy = request.policy().map(ToOwned::to_owned);
                }
                Ok(PutBucketPolicyOutput::builder().build())
            },
        ),
        mock!(Client::delete_bucket_policy).answered_by(
            on,
            "s3:DeleteBucketPolicy",
            |bucket, request| {
                bucket.admits(request.expected_bucket_owner(), request.bucket())?;
                bucket.policy = None;
                Ok(DeleteBucketPolicyOutput::builder().build())
            },
        ),
        mock!(Client::get_bucket_tagging).answered_by(
            on,
            "s3:GetBucketTagging",
            |bucket, request| {
                bucket.admits(request.expected_bucket_owner(), request.bucket())?;
                let value = bucket.tag.ok_or("NoSuchTagSet")?;
                let tag = Tag::builder()
                    .key("gdr:public-ok")
                    .value(value)
                    .build()
                    .unwrap();
                Ok(GetBucketTaggingOutput::builder()
                    .tag_set(tag)
                    .build()
                    .unwrap())
            },
        ),
        mock!(Client::get_bucket_website).answered_by(
            on,
            "s3:GetBucketWebsite",
            |bucket, request| {
                bucket.admits(request.expected_bucket_owner(), request.bucket())?;
                if bucket.website {
                    Ok(GetBucketWebsiteOutput::builder().build())
                } else {
                    Err("NoSuchWebsiteConfiguration")
                }
            },
        ),
        mock!(Client::get_bucket_acl).answered_by(on, "s3:GetBucketAcl", |bucket, request| {
            bucket.admits(request.expected_bucket_owner(), request.bucket())?;
            let ignored = bucket
                .block
                .as_ref()
                .and_then(|block| block.ignore_public_acls);
            let grant = |grantee: Grantee| {
                Grant::builder()
                    .grantee(grantee)
                    .permission(Permission::Read)
                    .build()
            };
            let mut grants = Vec::new();
            if bucket.acl_is_public && ignored != Some(true) {
                let everyone = "http://acs.amazonaws.com/groups/global/AllUsers";
                grants.push(grant(
                    Grantee::builder()
                        .r#type(Type::Group)
                        .uri(everyone)
                        .build()
                        .unwrap(),
                ));
            }
            for id in bucket.acl_names.iter().copied().chain(["canonical-id"]) {
                grants.push(grant(
                    Grantee::builder()
                        .r#type(Type::CanonicalUser)
                        .id(id)
                        .build()
                        .unwrap(),
                ));
            }
            Ok(GetBucketAclOutput::builder()
                .owner(Owner::builder().id("canonical-id").build())
                .set_grants(Some(grants))
                .build())
        }),
        mock!(Client::get_bucket_ownership_controls).answered_by(
            on,
            "s3:GetBucketOwnershipControls",
            |bucket, request| {
                bucket.admits(request.expected_bucket_owner(), request.bucket())?;
                let granted = bucket.acl_is_public || bucket.acl_names.is_some();
                let ownership = if bucket.acls_enabled || granted {
                    ObjectOwnership::BucketOwnerPreferred
                } else {
                    ObjectOwnership::BucketOwnerEnforced
                };
                let rule = OwnershipControlsRule::builder().object_ownership(ownership);
                let rule = rule.build().unwrap();
                let controls = OwnershipControls::builder().rules(rule).build().unwrap();
                Ok(GetBucketOwnershipControlsOutput::builder()
                    .ownership_controls(controls)
                    .build())
            },
        ),
        mock!(Client::put_public_access_block).answered_by(
            on,
            "s3:PutBucketPublicAccessBlock",
            |bucket, request| {
                bucket.admits(request.expected_bucket_owner(), request.bucket())?;
                if !bucket.forgets {
                    bucket.block = request.public_access_block_configuration().cloned();
                }
                Ok(PutPublicAccessBlockOutput::builder().build())
            },
        ),
        mock!(Client::head_bucket).answered_by(on, "s3:ListBucket", |bucket, request| {
            bucket.admits(request.expected_bucket_owner(), request.bucket())?;
            Ok(HeadBucketOutput::builder()
                .set_bucket_region(bucket.home.map(ToOwned::to_owned))
                .build())
        }),
    ];
    let list = list_buckets(&bucket, &wire);
    let objects = of_objects(&bucket, &wire);
    let rules: Vec<_> = rules.iter().chain([&list]).chain(&objects).collect();
    let s3 = mock_client!(aws_sdk_s3, rules);
    World {
        playbook: S3::with_clients(s3, account(&bucket, &control), trail(&bucket, &wire)),
        bucket,
        wire,
        control,
    }
}

/// The same, with a CloudTrail of which each answer takes so long.
pub(super) fn world_with_trail_that_takes(bucket: Bucket, time: Duration) -> World {
    let world = world(bucket);
    let slow = trail(&world.bucket, &world.wire);
    let slow = slow!(aws_sdk_cloudtrail, slow, time);
    let clients = Clients {
        trail: EventHistory::with_clients(slow, None),
        ..world.playbook.clients
    };
    let playbook = S3 { clients };
    World { playbook, ..world }
}

fn account(bucket: &Arc<Mutex<Bucket>>, wire: &Wire) -> aws_sdk_s3control::Client {
    use aws_sdk_s3control::Client;
    let on = (bucket, wire);
    let get = mock!(Client::get_public_access_block);
    let get = get.answered_by(on, "s3:GetAccountPublicAccessBlock", |bucket, request| {
        owned(request.account_id())?;
        let flags = bucket.account.clone();
        let flags = flags.ok_or("NoSuchPublicAccessBlockConfiguration")?;
        Ok(AccountBlockOutput::builder()
            .public_access_block_configuration(flags)
            .build())
    });
    let put = mock!(Client::put_public_access_block);
    let put = put.answered_by(on, "s3:PutAccountPublicAccessBlock", |bucket, request| {
        owned(request.account_id())?;
        bucket.account = request.public_access_block_configuration().cloned();
        Ok(PutAccountBlockOutput::builder().build())
    });
    let list = mock!(Client::list_access_points);
    let list = list.answered_by(on, "s3:ListAccessPoints", |bucket, request| {
        owned(request.account_id())?;
        let points = bucket.access_points.iter().map(|name| {
            AccessPoint::builder()
                .name(*name)
                .bucket("exposed")
                .network_origin(NetworkOrigin::Internet)
                .build()
                .unwrap()
        });
        Ok(ListAccessPointsOutput::builder()
            .set_access_point_list(Some(points.collect()))
            .build())
    });
    mock_client!(aws_sdk_s3control, [&get, &put, &list])
}

fn trail(bucket: &Arc<Mutex<Bucket>>, wire: &Wire) -> aws_sdk_cloudtrail::Client {
    use aws_sdk_cloudtrail::Client;
    // By a name that `Wire` knows to be that of a read.
    let name = "cloudtrail:DescribeEvents";
    let look_up =
        mock!(Client::lookup_events).answered_by((bucket, wire), name, |bucket, request| {
            let since = request.start_time().map(DateTime::secs).unwrap_or_default();
            let asked = &request.lookup_attributes()[0];
            assert_eq!(asked.attribute_key().as_str(), "EventName");
            let calls = bucket
                .calls
                .iter()
                .filter(|(name, at, _)| *at >= since && *name == asked.attribute_value());
            let events = calls.map(|(name, at, failed)| {
                let mut record = json!({
                    "eventName": name, "eventSource": "s3.amazonaws.com",
                    "eventTime": Timestamp::from_second(*at).unwrap().to_string(),
                    "userIdentity": { "userName": "mallory" },
                    "requestParameters": match *name {
                        "TagResource" => json!({ "resourceArn": "arn:aws:s3:::exposed" }),
                        _ => json!({ "bucketName": bucket.called_on.unwrap_or("exposed") }),
                    },
                });
                if *failed {
                    record["errorCode"] = json!("AccessDenied");
                }
                Event::builder()
                    .cloud_trail_event(record.to_string())
                    .build()
            });
            Ok(LookupEventsOutput::builder()
                .set_events(Some(events.collect()))
                .set_next_token(bucket.endless.then(|| "more".to_owned()))
                .build())
        });
    mock_client!(aws_sdk_cloudtrail, [&look_up])
}
