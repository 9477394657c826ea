//! The bucket or account of an action, as policies and a release see it. Pure.

use super::action::{
    Action, BlockBucket, BucketRef, DenyInPolicy, DenyTaggedObjects, TagObjectVersion,
};
use super::exposure::{Exposure, Seen};
use super::object::ObjectState;
use super::state::{BucketState, State};
use aws::playbook::TargetGone;
use model::finding::Finding;
use model::resource::Resource;

pub(super) fn resource(finding: &Finding, state: &State, action: &Action) -> Resource {
    match action {
        Action::BlockAccount(_) => Resource::account(finding),
        Action::BlockBucket(BlockBucket { bucket, .. })
        | Action::DenyInPolicy(DenyInPolicy { bucket, .. })
        | Action::DenyTagged(DenyTaggedObjects { bucket, .. })
        | Action::TagObject(TagObjectVersion { bucket, .. }) => of_bucket(finding, state, bucket),
    }
}

fn of_bucket(finding: &Finding, state: &State, of: &BucketRef) -> Resource {
    let resource = Resource::bucket(finding, &of.region, &of.name);
    let found = state.buckets.iter().find(|(name, _)| *name == of.name);
    let Some((_, BucketState::Live(bucket))) = found else {
        return resource.unread("public");
    };
    let resource = match Seen::of(bucket, &state.account).exposure {
        Exposure::Public => resource.flag("public", true),
        Exposure::NotPublic => resource.flag("public", false),
        Exposure::Unknown => resource.unread("public"),
    };
    let shown = finding.bucket_tags(&of.name);
    if bucket.tagged.is_err() {
        return resource.unread_tags(shown.as_deref());
    }
    let tags = bucket.tags.iter();
    let tags = tags.map(|(key, value)| (key.as_str(), value.as_str()));
    resource.tags(tags, shown.as_deref())
}

pub(super) fn after_target_gone(state: &State, action: &Action) -> TargetGone {
    let gone = state.buckets.iter().any(|(name, bucket)| {
        // One of that name that is another account's by now was made after ours was gone.
        matches!(bucket, BucketState::Gone | BucketState::AnotherAccounts)
            && action.bucket() == Some(name)
    });
    // The tag went with its version.
    let of_object = state.objects.iter().any(|(_, found)| {
        let (ObjectState::Gone(object) | ObjectState::Overwritten(object)) = found else {
            return false;
        };
        matches!(action, Action::TagObject(action) if action.object.arn == object.arn)
    });
    // No object is left for which it would be made again.
    let taken_out = state.buckets.iter().any(|(name, bucket)| {
        let (Action::DenyTagged(action), BucketState::Live(bucket)) = (action, bucket) else {
            return false;
        };
        let policy = bucket.policy.as_ref();
        action.bucket.name == *name
            && policy.is_ok_and(|policy| {
                !action.any_stands_in(policy.as_ref().map(|policy| &policy.document))
            })
    });
    if gone || of_object || taken_out {
        TargetGone::ChangeGone
    } else {
        TargetGone::Unknown
    }
}
