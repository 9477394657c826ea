use aws_sdk_iam::types::{
    OrganizationsDecisionDetail, PermissionsBoundaryDecisionDetail, Statement,
};

use super::*;

fn place() -> Place {
    Place {
        partition: "aws",
        account: "111122223333".to_owned(),
        region: "eu-west-1".to_owned(),
        entity: "ops".to_owned(),
    }
}

fn result(
    decision: PolicyEvaluationDecisionType,
) -> aws_sdk_iam::types::builders::EvaluationResultBuilder {
    EvaluationResult::builder()
        .eval_action_name("iam:UpdateAccessKey")
        .eval_decision(decision)
}

#[test]
fn a_simulated_answer_is_allowed_denied_or_unknown_with_its_policies() {
    use PolicyEvaluationDecisionType::{Allowed, ExplicitDeny, ImplicitDeny};
    let organization = OrganizationsDecisionDetail::builder().allowed_by_organizations(false);
    let boundary =
        PermissionsBoundaryDecisionDetail::builder().allowed_by_permissions_boundary(false);
    let statement = Statement::builder().source_policy_id("contain");
    for (result, word, why) in [
        (result(Allowed), "allowed", None),
        (
            result(ImplicitDeny),
            "denied",
            Some("nothing allows it on X"),
        ),
        (
            result(ExplicitDeny).matched_statements(statement.build()),
            "denied",
            Some("on X, explicitly by contain"),
        ),
        (
            result(ImplicitDeny).missing_context_values("ec2:CreateAction"),
            "unknown",
            Some("on X it depends on ec2:CreateAction, known only in the call"),
        ),
        (
            result(ImplicitDeny).organizations_decision_detail(organization.build()),
            "denied",
            Some("by a service control policy"),
        ),
        (
            result(ImplicitDeny).permissions_boundary_decision_detail(boundary.build()),
            "denied",
            Some("by the role's permissions boundary"),
        ),
    ] {
        let verdict = verdict(&result.build().unwrap(), "X");
        assert_eq!((verdict.word(), verdict.why()), (word, why));
    }
}

#[test]
fn a_permission_is_asked_on_the_resource_of_the_step_or_on_one_of_its_kind() {
    let user = "arn:aws:iam::111122223333:user/team/ops";
    for (permission, target, resources) in [
        ("iam:PutUserPolicy", user, &[user][..]),
        (
            "iam:UpdateAccessKey",
            "AKIAIOSFODNN7EXAMPLE",
            &["arn:aws:iam::111122223333:user/ops"],
        ),
        (
            "iam:PutRolePolicy",
            "arn:aws:iam::111122223333:role/app (session i-0abc)",
            &["arn:aws:iam::111122223333:role/app"],
        ),
        (
            "s3:PutBucketPolicy",
            "arn:aws:s3:::data",
            &["arn:aws:s3:::data"],
        ),
        (
            "s3:GetBucketPolicy",
            "arn:aws:s3:::data/in/a?b.exe?versionId=v1",
            &["arn:aws:s3:::data"],
        ),
        (
            "s3:PutObjectVersionTagging",
            "arn:aws:s3:::data/in/a?b.exe?versionId=v1",
            &["arn:aws:s3:::data/in/a?b.exe"],
        ),
        (
            "s3:PutObjectTagging",
            "arn:aws:s3:::data/plain?eTag=55",
            &["arn:aws:s3:::data/plain"],
        ),
        ("s3:PutAccountPublicAccessBlock", "111122223333", &["*"]),
        ("ec2:DescribeSecurityGroups", "vpc-1", &["*"]),
        (
            "ec2:ModifyNetworkInterfaceAttribute",
            "eni-1",
            &[
                "arn:aws:ec2:eu-west-1:111122223333:network-interface/network-interface-0",
                "arn:aws:ec2:eu-west-1:111122223333:security-group/security-group-0",
            ],
        ),
    ] {
        assert_eq!(
            place().resources(permission, target),
            resources,
            "{permission}"
        );
    }
}

#[test]
fn every_permission_of_every_action_that_has_a_resource_is_asked_on_one() {
    use playbooks::Ec2;
    use playbooks::Iam;
    use playbooks::S3;
    use remediation::plan::Action;
    use remediation::planner::Planner;
    let declared = [
        (<S3 as Planner>::Action::PERMISSIONS, "arn:aws:s3:::data"),
        (
            <Iam as Planner>::Action::PERMISSIONS,
            "AKIAIOSFODNN7EXAMPLE",
        ),
        (<Ec2 as Planner>::Action::PERMISSIONS, "i-0abc"),
    ];
    let account_wide =
        |permission: &str| permission.contains("Describe") || permission.contains("Account");
    for (declared, target) in declared {
        for permission in declared.iter().flat_map(|(_, permissions)| *permissions) {
            let resources = place().resources(permission, target);
            let everywhere = resources == ["*"];
            assert_eq!(
                everywhere,
                account_wide(permission),
                "{permission}: {resources:?}"
            );
        }
    }
}
