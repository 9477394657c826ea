//! What the templates say about other accounts, held against the code and against each other.

mod doors;
mod keep;
mod protect;
pub(crate) mod scp;

use std::collections::{BTreeMap, BTreeSet};

use crate::common::{granted, yaml};
use remediation::category::Category;
use remediation::{accounts, verify};
use serde_json::{Value, json};

const CATEGORIES: [(&str, Category); 4] = [
    ("S3", Category::S3),
    ("Iam", Category::Iam),
    ("Ec2", Category::Ec2),
    ("Lambda", Category::Lambda),
];

fn member_role(template: &Value, name: &str) -> Value {
    template["Resources"][format!("{name}MemberRole")]["Properties"].clone()
}

fn owned(actions: impl IntoIterator<Item = &'static str>) -> BTreeSet<String> {
    actions.into_iter().map(ToOwned::to_owned).collect()
}

/// What its policies are limited to, too, but for the names of the responder's own roles.
#[test]
fn a_member_role_is_limited_as_the_function_s_own_role_is() {
    let (stack, members) = (yaml("template.yaml"), yaml("infra/member-roles.yaml"));
    for (name, _) in CATEGORIES {
        let own = &stack["Resources"][format!("{name}ResponderRole")]["Properties"]["Policies"];
        let own = own.as_array().expect("policies").iter();
        // The reports stay with the hub.
        let mut own: Vec<_> = own
            .filter(|policy| policy["PolicyName"] != "report")
            .cloned()
            .collect();
        let mut member = member_role(&members, name)["Policies"].clone();
        let denied = |statements: &mut Value| {
            let statements = statements.as_array_mut().expect("statements").iter_mut();
            // The one that names the responder's roles; those of a member account have other names.
            let mut denials = statements
                .filter(|it| it["Effect"] == "Deny" && !it["Action"].is_null())
                .filter(|it| it["Resource"] != "*");
            denials.next().map(|statement| statement["Resource"].take())
        };
        for (own, member) in own.iter_mut().zip(member.as_array_mut().expect("policies")) {
            let own_roles = denied(&mut own["PolicyDocument"]["Statement"]);
            let member_roles = denied(&mut member["PolicyDocument"]["Statement"]);
            let members =
                json!({ "Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/gdr-member-*" });
            assert_eq!(member_roles, own_roles.map(|_| members), "{name}");
        }
        assert_eq!(json!(own), member, "{name}");
        assert!(
            member_role(&members, name)["ManagedPolicyArns"].is_null(),
            "{name}"
        );
    }
    // Actions that only some settings have a use for.
    let beside = |template: &Value, suffix: &str| -> BTreeMap<String, Value> {
        let resources = template["Resources"].as_object().expect("resources").iter();
        let policies = resources.filter(|(_, it)| it["Type"] == "AWS::IAM::Policy");
        let policies = policies.map(|(id, policy)| {
            let text = policy.to_string().replace(suffix, "Role");
            (id.clone(), serde_json::from_str(&text).expect("JSON"))
        });
        policies.collect()
    };
    let (own, member) = (
        beside(&stack, "ResponderRole"),
        beside(&members, "MemberRole"),
    );
    for (id, policy) in &member {
        assert_eq!(own.get(id), Some(policy), "{id}");
        let condition = policy["Condition"].as_str().expect("a condition");
        let (own, member) = (
            &stack["Conditions"][condition],
            &members["Conditions"][condition],
        );
        assert_eq!(member, own, "{condition}");
    }
    let writes: Vec<_> = own
        .iter()
        .filter(|(id, policy)| {
            let condition = policy["Condition"].as_str().unwrap_or_default();
            let depends = stack["Conditions"][condition].to_string();
            depends.contains("Contains")
                || depends.contains("DryRun")
                || depends.contains("S3QuarantineObjects")
                || **id == "BreakGlassIsLeftAlone"
        })
        .map(|(id, _)| id)
        .collect();
    assert_eq!(writes, member.keys().collect::<Vec<_>>());
}

#[test]
fn a_member_role_trusts_only_its_function_of_the_organization_with_the_external_id() {
    let members = yaml("infra/member-roles.yaml");
    for (name, category) in CATEGORIES {
        let role = member_role(&members, name);
        assert_eq!(role["RoleName"], accounts::member_role(category));
        let function = json!({ "aws:PrincipalArn": { "Ref": format!("{name}ResponderRoleArn") } });
        let mut trusted = BTreeSet::new();
        for statement in role["AssumeRolePolicyDocument"]["Statement"]
            .as_array()
            .expect("statements")
        {
            let action = statement["Action"].as_str().expect("an action");
            trusted.insert(action.to_owned());
            assert_eq!(
                statement["Principal"],
                json!({ "AWS": { "Ref": "HubAccountId" } })
            );
            let condition = &statement["Condition"];
            assert_eq!(condition["ArnEquals"], function, "{name} {action}");
            let equal = &condition["StringEquals"];
            assert_eq!(
                equal["aws:PrincipalOrgID"],
                json!({ "Ref": "OrganizationId" })
            );
            assert_eq!(condition["StringLike"]["sts:SourceIdentity"], "gdr-?*");
            if action == "sts:AssumeRole" {
                assert_eq!(equal["sts:ExternalId"], json!({ "Ref": "ExternalId" }));
                assert_eq!(condition["StringLike"]["sts:RoleSessionName"], "gdr-?*");
            }
        }
        assert_eq!(
            trusted,
            owned(accounts::PERMISSIONS.iter().copied()),
            "{name}"
        );
    }
    let parameters = members["Parameters"].as_object().expect("parameters");
    // Nobody is trusted by default, and that anything may be changed must be said. The rest is as in the stack.
    let stack = yaml("template.yaml");
    let asked: Vec<_> = parameters
        .iter()
        .filter(|(_, parameter)| parameter["Default"].is_null())
        .map(|(name, _)| name.as_str())
        .collect();
    let trust = [
        "DryRun",
        "Ec2ResponderRoleArn",
        "ExternalId",
        "HubAccountId",
        "IamResponderRoleArn",
        "LambdaResponderRoleArn",
        "OrganizationId",
        "S3ResponderRoleArn",
    ];
    assert_eq!(
        asked.into_iter().collect::<BTreeSet<_>>(),
        BTreeSet::from(trust)
    );
    for (name, parameter) in parameters {
        if parameter["Default"].is_null() {
            continue;
        }
        for member in [
            "Type",
            "Default",
            "AllowedValues",
            "MinValue",
            "MaxValue",
            "MaxLength",
        ] {
            assert_eq!(
                parameter[member], stack["Parameters"][name][member],
                "{name} {member}"
            );
        }
    }
}

#[test]
fn only_a_hub_s_functions_may_assume_roles_and_each_only_those_of_its_category() {
    let stack = yaml("template.yaml");
    let resources = stack["Resources"].as_object().expect("resources");
    for (name, category) in CATEGORIES {
        let reach = &resources[&format!("{name}ReachesMembers")];
        assert_eq!(reach["Condition"], "IsHub");
        let policy = &reach["Properties"];
        assert_eq!(
            policy["Roles"],
            json!([{ "Ref": format!("{name}ResponderRole") }])
        );
        assert_eq!(
            granted([policy]),
            owned(accounts::PERMISSIONS.iter().copied())
        );
        let role = accounts::member_role(category);
        let resource = format!("arn:${{AWS::Partition}}:iam::*:role/{role}");
        let statements = policy["PolicyDocument"]["Statement"].as_array();
        for statement in statements.expect("statements") {
            assert_eq!(statement["Resource"], json!({ "Sub": resource }), "{name}");
        }
    }
    let assuming = resources.iter().filter(|(_, resource)| {
        resource["Type"] != "AWS::IAM::Role" && resource.to_string().contains("sts:AssumeRole")
    });
    assert_eq!(assuming.count(), CATEGORIES.len());
    assert_eq!(stack["Parameters"]["Mode"]["Default"], "local");
}

#[test]
fn the_functions_that_contain_may_ask_guardduty_where_findings_are_verified() {
    let stack = yaml("template.yaml");
    let policy = &stack["Resources"]["VerifyFindingsPolicy"];
    assert_eq!(policy["Condition"], "VerifiesFindings");
    let policy = &policy["Properties"];
    let roles: Vec<_> = CATEGORIES
        .iter()
        .map(|(name, _)| json!({ "Ref": format!("{name}ResponderRole") }))
        .collect();
    assert_eq!(policy["Roles"], json!(roles));
    assert_eq!(
        granted([policy]),
        owned(verify::PERMISSIONS.iter().copied())
    );
    // A hub does unless it is told not to, any other stack only if it is told to.
    let auto = json!({ "Equals": [{ "Ref": "VerifyFindings" }, "auto"] });
    let set = json!({ "Equals": [{ "Ref": "VerifyFindings" }, "true"] });
    assert_eq!(
        stack["Conditions"]["VerifiesFindings"],
        json!({ "Or": [set, { "And": [{ "Condition": "IsHub" }, auto] }] })
    );
    assert_eq!(stack["Parameters"]["VerifyFindings"]["Default"], "auto");
}

#[test]
fn every_function_knows_where_it_may_act() {
    let settings = &yaml("template.yaml")["Globals"]["Function"]["Environment"]["Variables"];
    for (variable, parameter) in [
        ("MODE", "Mode"),
        ("EXTERNAL_ID", "ExternalId"),
        ("VERIFY_FINDINGS", "VerifyFindings"),
        ("OWN_ACCOUNT_ID", "AWS::AccountId"),
    ] {
        assert_eq!(
            settings[variable],
            json!({ "Ref": parameter }),
            "{variable}"
        );
    }
}
