//! Who may undo a containment under `infra/scp-keep-contained.yaml`.

use integration_tests::Result;
use serde_json::{Value, json};

use super::scp::Scp;
use integration_tests::stack::RESPONDERS;

const ON_CALL: &str = "arn:aws:iam::*:role/on-call";
const WHO_RELEASES: &str = "arn:aws:iam::111122223333:role/on-call";
const ADMINISTRATOR: &str = "arn:aws:iam::111122223333:role/Administrator";
const USER: &str = "arn:aws:iam::111122223333:user/alice";
const ROLE: &str = "arn:aws:iam::111122223333:role/payroll";
const GROUP: &str = "arn:aws:ec2:us-east-1:111122223333:security-group/sg-1";
const INSTANCE: &str = "arn:aws:ec2:us-east-1:111122223333:instance/i-1";
const INTERFACE: &str = "arn:aws:ec2:us-east-1:111122223333:network-interface/eni-1";

fn everywhere() -> Result<Vec<Scp>> {
    Scp::everywhere(
        "infra/scp-keep-contained.yaml",
        &[("Releasers", &[ON_CALL])],
    )
}

/// A call that would undo a containment, what it is about, and which functions do it themselves.
struct Undoing {
    action: &'static str,
    resource: &'static str,
    contained: Value,
    /// The same about what is not contained.
    other: Value,
    functions: &'static [&'static str],
}

fn undoings() -> Vec<Undoing> {
    let mut all = Vec::new();
    let tagged = json!({ "aws:ResourceTag/gdr:contained": "true" });
    let of_users = OF_USERS.iter().map(|action| (*action, USER));
    for (action, resource) in of_users.chain(OF_ROLES.iter().map(|action| (*action, ROLE))) {
        all.push(Undoing {
            action,
            resource,
            contained: tagged.clone(),
            other: json!({ "aws:ResourceTag/team": "payments" }),
            functions: &["Iam", "Ec2", "Lambda"],
        });
    }
    for (action, resource) in [
        ("iam:TagRole", ROLE),
        ("iam:TagUser", USER),
        ("iam:UntagRole", ROLE),
        ("iam:UntagUser", USER),
    ] {
        // IAM tells no capitals in keys of tags: each of these replaces or removes the mark.
        for key in ["gdr:contained", "GDR:Contained", "gDR:CONTAINED"] {
            all.push(Undoing {
                action,
                resource,
                contained: json!({ "aws:TagKeys": ["team", key] }),
                other: json!({ "aws:TagKeys": ["team"] }),
                functions: &["Iam"],
            });
        }
    }
    for key in ["gdr:role", "GDR:Role", "gdr:incident", "gdr:INCIDENT"] {
        for resource in [GROUP, INSTANCE, INTERFACE] {
            all.push(Undoing {
                action: "ec2:CreateTags",
                resource,
                contained: json!({ "aws:TagKeys": [key] }),
                other: json!({ "aws:TagKeys": ["team"] }),
                functions: &["Ec2"],
            });
        }
    }
    for (action, resource, tag) in [
        ("ec2:AuthorizeSecurityGroupEgress", GROUP, "gdr:role"),
        ("ec2:AuthorizeSecurityGroupIngress", GROUP, "gdr:role"),
        ("ec2:DeleteTags", GROUP, "gdr:role"),
        ("ec2:ModifySecurityGroupRules", GROUP, "gdr:role"),
        ("ec2:AttachNetworkInterface", INSTANCE, "gdr:incident"),
        ("ec2:DeleteTags", INSTANCE, "gdr:incident"),
        ("ec2:ModifyInstanceAttribute", INSTANCE, "gdr:incident"),
        ("ec2:AttachNetworkInterface", INTERFACE, "gdr:incident"),
        ("ec2:DeleteTags", INTERFACE, "gdr:incident"),
        (
            "ec2:ModifyNetworkInterfaceAttribute",
            INTERFACE,
            "gdr:incident",
        ),
    ] {
        all.push(Undoing {
            action,
            resource,
            contained: json!({ format!("aws:ResourceTag/{tag}"): "anything" }),
            other: json!({ "aws:ResourceTag/team": "payments" }),
            functions: &["Ec2"],
        });
    }
    all
}

const OF_USERS: &[&str] = &[
    "iam:CreateAccessKey",
    "iam:CreateLoginProfile",
    "iam:CreateServiceSpecificCredential",
    "iam:DeleteUser",
    "iam:DeleteUserPermissionsBoundary",
    "iam:DeleteUserPolicy",
    "iam:DetachUserPolicy",
    "iam:PutUserPermissionsBoundary",
    "iam:PutUserPolicy",
    "iam:ResetServiceSpecificCredential",
    "iam:UpdateAccessKey",
    "iam:UpdateLoginProfile",
    "iam:UpdateServiceSpecificCredential",
    "iam:UpdateSigningCertificate",
    "iam:UpdateSSHPublicKey",
    "iam:UpdateUser",
    "iam:UploadSigningCertificate",
    "iam:UploadSSHPublicKey",
];
const OF_ROLES: &[&str] = &[
    "iam:DeleteRole",
    "iam:DeleteRolePermissionsBoundary",
    "iam:DeleteRolePolicy",
    "iam:DetachRolePolicy",
    "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy",
    "iam:UpdateAssumeRolePolicy",
];

#[test]
fn only_the_responder_and_the_releasers_change_a_contained_target() -> Result {
    for scp in everywhere()? {
        for undoing in undoings() {
            let Undoing {
                action,
                resource,
                contained,
                other,
                functions,
            } = &undoing;
            let what = format!("{action} on {resource} with {contained} by");
            let named_like_it = [
                "role/guardduty-responder-IamResponderRole-1GRP3N0TVA1LD",
                "role/guardduty-responder-Ec2ResponderRole-1GRP3N0TVA1LD",
                "role/team/gdr-member-iam",
                "user/gdr-member-iam",
            ];
            let named_like_it =
                named_like_it.map(|name| format!("arn:aws:iam::111122223333:{name}"));
            for principal in named_like_it
                .iter()
                .map(String::as_str)
                .chain([ADMINISTRATOR])
            {
                assert!(
                    !scp.lets(principal, action, resource, contained)?,
                    "{what} {principal}"
                );
                assert!(
                    scp.lets(principal, action, resource, other)?,
                    "{what} {principal}"
                );
            }
            assert!(
                scp.lets(WHO_RELEASES, action, resource, contained)?,
                "{what} who releases"
            );
            for function in RESPONDERS {
                let member = format!(
                    "arn:aws:iam::111122223333:role/gdr-member-{}",
                    function.to_lowercase()
                );
                for role in [scp.role(function), member] {
                    let may = scp.lets(&role, action, resource, contained)?;
                    assert_eq!(may, functions.contains(&function), "{what} {role}");
                }
            }
        }
    }
    Ok(())
}

/// No statement is there that no call above shows to be needed, nor an action in one.
#[test]
fn every_action_of_the_policy_is_tried() -> Result {
    let scps = everywhere()?;
    let statements = scps.iter().flat_map(Scp::statements);
    for statement in statements {
        let actions = match &statement["Action"] {
            Value::Array(actions) => actions.clone(),
            action => vec![action.clone()],
        };
        for action in actions {
            let mut tried = undoings().into_iter();
            assert!(tried.any(|undoing| action == undoing.action), "{action}");
        }
    }
    Ok(())
}
