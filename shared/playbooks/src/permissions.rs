//! The permissions of each function's role: the declarations beside each call, put together.
//!
//! A role has no permission that the function has no use for with its settings: none to change anything in a dry run.
//!
//! The template's roles are held against this by a test, and a deployed stack's by `gdr doctor`.

use std::collections::BTreeSet;

use model::actions;
use model::decision::ResponseMode;
use model::plan::Action;
use remediation::config::Config;
use remediation::history::EventHistory;
use remediation::notify::security_hub;
use remediation::{
    accounts, evidence, hand_over, policy_parameter, recheck, record, trace, verify,
};

use crate::{Category, Playbook, of_category};

/// The permissions of every function: its log, and the queue for what it fails on.
const ALWAYS: &[&str] = &[
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "sqs:SendMessage",
];

/// The permissions that a queue's events require of the role of the receiving function.
const FROM_QUEUE: &[&str] = &[
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
];

/// The IAM actions that the function of `category` takes with these settings.
pub fn of(category: Category, config: &Config) -> BTreeSet<&'static str> {
    let mut actions: BTreeSet<_> = [ALWAYS, record::PERMISSIONS, trace::PERMISSIONS]
        .concat()
        .into_iter()
        .collect();
    actions.extend(config.notices.permissions());
    if config.evidence.is_some() {
        actions.extend(evidence::PERMISSIONS);
    }
    actions.extend(on_targets(category, config));
    if category == Category::Triage {
        if config.hand_over.is_some() {
            actions.extend(hand_over::PERMISSIONS);
        }
        if config.notices.security_hub_queue_url.is_some() {
            actions.extend(security_hub::PERMISSIONS);
        }
        return actions;
    }
    actions.extend(recheck::PERMISSIONS.iter().chain(FROM_QUEUE));
    actions.extend(policy_parameter::PERMISSIONS);
    if config.hub.is_some() {
        actions.extend(accounts::PERMISSIONS);
    }
    if config.verify_findings {
        actions.extend(verify::PERMISSIONS);
    }
    actions
}

/// Those of them that are about what is looked at and contained. In a member account its role has these.
pub fn on_targets(category: Category, config: &Config) -> BTreeSet<&'static str> {
    let mut actions = of_category!(category, P => declared::<P>(config));
    if category == Category::Triage {
        return actions;
    }
    actions.extend(EventHistory::PERMISSIONS);
    actions
}

/// The permissions that a playbook declares: all that it reads, and what its steps read and write with these settings.
fn declared<P: Playbook>(config: &Config) -> BTreeSet<&'static str> {
    let writing = writes(config);
    let actions = P::Action::PERMISSIONS.iter();
    let planned =
        actions.filter(|(name, _)| actions::is_planned(name, &config.policy, &config.settings));
    let actions = planned.flat_map(|(_, permissions)| {
        let permissions = permissions.iter();
        permissions.filter(move |permission| writing || is_read(permission))
    });
    let reads = P::READS.iter().chain(P::INVESTIGATES);
    reads.chain(actions).copied().collect()
}

/// True if the function changes anything with these settings.
pub fn writes(config: &Config) -> bool {
    let contains = matches!(
        config.policy.mode,
        ResponseMode::Contain | ResponseMode::Approve
    );
    contains && !config.policy.dry_run
}

/// True if a permission changes nothing, by what the operation is called.
fn is_read(permission: &str) -> bool {
    let operation = permission.split_once(':').map_or("", |(_, it)| it);
    let mut reads = ["Describe", "Get", "List", "Lookup"].iter();
    reads.any(|verb| operation.starts_with(verb))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn config(variables: &[(&str, &str)]) -> Config {
        let own = [("OWN_ACCOUNT_ID", "111122223333"), ("DRY_RUN", "false")];
        let variables = own.iter().chain(variables);
        let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::from_variables(&variables.collect::<BTreeMap<_, _>>())
    }

    fn written(category: Category, variables: &[(&str, &str)]) -> Vec<&'static str> {
        let all = on_targets(category, &config(variables));
        let mut all: Vec<_> = all.into_iter().filter(|it| !is_read(it)).collect();
        all.retain(|it| !it.starts_with("iam:Generate"));
        all
    }

    #[test]
    fn a_function_that_contains_nothing_takes_no_permission_to_change_anything() {
        for category in Category::ALL {
            for off in [
                ("DRY_RUN", "true"),
                ("DRY_RUN", "no"),
                ("RESPONSE_MODE", "notify"),
                ("RESPONSE_MODE", "off"),
                ("OWN_ACCOUNT_ID", ""),
            ] {
                assert_eq!(written(category, &[off]), [""; 0], "{category} {off:?}");
            }
            let reads = on_targets(category, &config(&[("DRY_RUN", "true")]));
            assert!(reads.len() > 5, "{category}: {reads:?}");
        }
        // Cedar may let what needs no approval through.
        let approving = written(Category::S3, &[("RESPONSE_MODE", "approve")]);
        assert_eq!(approving, ["s3:PutBucketPublicAccessBlock"]);
    }

    #[test]
    fn a_write_is_taken_only_with_the_setting_that_has_a_use_for_it() {
        let (s3, iam, ec2) = (Category::S3, Category::Iam, Category::Ec2);
        for (category, variable, value, takes) in [
            (s3, "S3_POLICY_DENY", "true", "s3:PutBucketPolicy"),
            (s3, "S3_QUARANTINE_OBJECTS", "true", "s3:PutBucketPolicy"),
            (
                s3,
                "S3_QUARANTINE_OBJECTS",
                "true",
                "s3:PutObjectVersionTagging",
            ),
            (
                s3,
                "S3_ACCOUNT_BLOCK",
                "true",
                "s3:PutAccountPublicAccessBlock",
            ),
            (iam, "IAM_MARK_CONTAINED", "true", "iam:TagRole"),
            (
                ec2,
                "EC2_AUTO_SCALING",
                "standby",
                "autoscaling:EnterStandby",
            ),
            (
                ec2,
                "EC2_REMOVE_PUBLIC_ADDRESS",
                "true",
                "ec2:DisassociateAddress",
            ),
            (
                ec2,
                "EC2_DISABLE_METADATA",
                "true",
                "ec2:ModifyInstanceMetadataOptions",
            ),
            (
                ec2,
                "EC2_CUT_CONNECTIONS_SECONDS",
                "9",
                "ec2:AuthorizeSecurityGroupEgress",
            ),
            (
                ec2,
                "EC2_FORENSICS_ACCESS",
                "from sg-0123456789abcdef0 tcp/22",
                "ec2:AuthorizeSecurityGroupIngress",
            ),
        ] {
            let without = written(category, &[]);
            let with = written(category, &[(variable, value)]);
            assert!(!without.contains(&takes), "{takes}: {without:?}");
            assert!(with.contains(&takes), "{variable}: {with:?}");
        }
        let detaches = "autoscaling:DetachInstances";
        assert!(written(ec2, &[]).contains(&detaches));
        assert!(!written(ec2, &[("EC2_AUTO_SCALING", "keep")]).contains(&detaches));
    }
}
