//! The built-in rails: nobody lifts them.

use proptest::prelude::*;

use super::*;
use crate::fixtures::Lambda;

#[test]
fn the_rails_only_forbid() {
    let policies = Policies::parse(ALL).expect("valid");
    let rails = policies.effects().into_iter();
    let rails: Vec<_> = rails.filter(|(id, _)| id.starts_with("rail:")).collect();
    assert_eq!(rails.len(), 9, "{rails:?}");
    assert!(rails.iter().all(|(_, effect)| *effect == Effect::Forbid));
}

#[test]
fn each_rail_forbids_exactly_its_documented_steps() {
    let finding = user_finding("mallory");
    let role = |name: &str, path: &str| {
        let arn = format!("arn:aws:iam::111122223333:role{path}{name}");
        Resource::role(&finding, name, Some(&arn))
    };
    let deny = "iam:DenyRoleSession";
    for (resource, by) in [
        (role("web", "/"), &[][..]),
        (role("gdr-IamResponderRole-ABC", "/"), &["rail:own-roles"]),
        (role("break-glass", "/"), &["rail:never-contain"]),
        (
            role("AWSServiceRoleForX", "/aws-service-role/x.amazonaws.com/"),
            &["rail:roles-of-aws"],
        ),
        (
            role("AWSReservedSSO_X_1", "/aws-reserved/sso.amazonaws.com/"),
            &["rail:roles-of-aws"],
        ),
        (role("web", "/not/aws-reserved/"), &[]),
    ] {
        let found = withheld_by::<Iam>(ALL, &settings(), &finding, deny, &resource);
        assert_eq!(found, by, "{}", resource.name());
        // An instance may have such a role, and then only the role is left alone.
        let finding = instance_finding(json!({}));
        let instance = Resource::instance(&finding, "i-0abc1234").with_role(resource);
        let action = "iam:DenyInstanceCredentials";
        let found = withheld_by::<Ec2>(ALL, &settings(), &finding, action, &instance);
        assert_eq!(found.is_empty(), by.is_empty(), "{found:?}");
        let isolate = "ec2:IsolateInterface";
        let found = withheld_by::<Ec2>(ALL, &settings(), &finding, isolate, &instance);
        assert!(found.is_empty(), "{found:?}");
    }
    let user = Resource::user(&finding, "Break-Glass", None);
    let key = "iam:DeactivateAccessKey";
    let spared_by = |entry: &str| {
        let settings = ResponseSettings {
            never_contain: vec![entry.to_owned()],
            ..settings()
        };
        withheld_by::<Iam>(ALL, &settings, &finding, key, &user)
    };
    // A role of that name is another principal.
    assert!(spared_by("arn:aws:iam::111122223333:role/break-glass").is_empty());
    for entry in ["break-glass", "arn:aws:iam::111122223333:user/break-glass"] {
        assert_eq!(spared_by(entry), ["rail:never-contain"]);
    }
}

#[test]
fn a_function_with_a_role_of_the_responder_s_is_left_alone_and_so_are_roles_on_the_list() {
    let finding = user_finding("mallory");
    let role = |name: &str, path: &str| {
        let arn = format!("arn:aws:iam::111122223333:role{path}{name}");
        Resource::role(&finding, name, Some(&arn))
    };
    let (throttle, deny) = ("lambda:ThrottleFunction", "iam:DenyFunctionCredentials");
    let (own, listed) = (&["rail:own-functions"][..], &["rail:role-of-function"][..]);
    for (role, of_throttle, of_deny) in [
        (role("worker", "/"), &[][..], &[][..]),
        (role("gdr-IamResponderRole-ABC", "/"), own, own),
        (role("break-glass", "/"), &[], listed),
        (
            role("AWSServiceRoleForX", "/aws-service-role/x/"),
            &[],
            listed,
        ),
    ] {
        let function = Resource::function(&finding, "orders").with_role(role);
        for (action, expected) in [(throttle, of_throttle), (deny, of_deny)] {
            let found = withheld_by::<Lambda>(ALL, &settings(), &finding, action, &function);
            assert_eq!(found, expected, "{action}");
        }
    }
}

#[test]
fn a_sample_and_a_drill_may_be_planned_but_not_enforced() {
    let sample = instance_finding(json!({ "service": { "additionalInfo": { "sample": true } } }));
    let drill = instance_finding(json!({})).drilled();
    let (guard, settings) = (LoadedPolicies::new(ALL), settings());
    let step = StepKey {
        action: "ec2:IsolateInterface",
        target: "eni-1".to_owned(),
    };
    for (finding, rail) in [(sample, "rail:samples"), (drill, "rail:drills")] {
        let instance = Resource::instance(&finding, "i-0abc1234");
        let verdict = |dry_run| {
            let gate = Gate::new::<Ec2>(&guard, &finding, &settings, dry_run, now());
            gate.judge(&step, &instance)
        };
        assert!(matches!(verdict(true), Authorization::Permitted(_)));
        let Authorization::Withheld(why) = verdict(false) else {
            panic!("{rail} permits");
        };
        assert_eq!(why.by, [rail]);
    }
}

#[test]
fn a_victim_is_left_alone_by_the_ec2_playbook() {
    let finding = instance_finding(json!({
        "type": "UnauthorizedAccess:EC2/SSHBruteForce", "service": { "resourceRole": "TARGET" },
    }));
    let instance = Resource::instance(&finding, "i-0abc1234");
    for action in ["ec2:IsolateInterface", "ec2:ProtectFromTermination"] {
        let found = withheld_by::<Ec2>(ALL, &settings(), &finding, action, &instance);
        assert_eq!(found, ["rail:victims"]);
    }
}

/// Pieces of what users write, from the widest on.
const PIECES: &[&str] = &[
    "permit (principal, action, resource);",
    "permit (principal, action, resource) when { context.finding.sample };",
    "permit (principal, action, resource) when { resource in Protected::\"responder\" };",
    "permit (principal, action, resource is Role) when { resource has path };",
    "permit (principal == Playbook::\"ec2\", action in Action::\"Contain\", resource);",
    "permit (principal, action, resource) when { context.finding.victim };",
    "forbid (principal, action, resource) unless { context.dryRun || context.hour < 24 };",
    "forbid (principal, action in Action::\"Protect\", resource) when { context.weekday == 8 };",
];

#[derive(Clone, Debug)]
struct Case {
    pieces: Vec<&'static str>,
    kind: &'static str,
    resource_role: Option<&'static str>,
    sample: bool,
    drill: bool,
    severity: f64,
    dry_run: bool,
    subject: &'static str,
    path: Option<&'static str>,
    name: &'static str,
}

fn cases() -> impl Strategy<Value = Case> {
    let name = prop_oneof![
        Just("web"),
        Just("gdr-IamResponderRole-ABC"),
        Just("break-glass"),
    ];
    let path = prop_oneof![
        Just(None),
        Just(Some("/")),
        Just(Some("/aws-service-role/x/")),
        Just(Some("/aws-reserved/sso/")),
        Just(Some("/aws/")),
    ];
    let kind = prop_oneof![
        Just("Backdoor:EC2/Spambot"),
        Just("UnauthorizedAccess:EC2/SSHBruteForce"),
        Just("Recon:EC2/PortProbeUnprotectedPort"),
        Just("UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS"),
    ];
    let role = prop_oneof![Just(None), Just(Some("ACTOR")), Just(Some("TARGET"))];
    let subject = prop_oneof![
        Just("user"),
        Just("role"),
        Just("instance"),
        Just("credentials"),
        Just("bucket"),
    ];
    let pieces = prop::collection::vec(prop::sample::select(PIECES), 0..3);
    (
        (pieces, kind, role, any::<bool>(), 0.0..10.0_f64),
        (any::<bool>(), any::<bool>(), subject, path, name),
    )
        .prop_map(|(first, second)| {
            let (pieces, kind, resource_role, sample, severity) = first;
            let (drill, dry_run, subject, path, name) = second;
            Case {
                pieces,
                kind,
                resource_role,
                sample,
                drill,
                severity,
                dry_run,
                subject,
                path,
                name,
            }
        })
}

/// What the rails say, in other words than theirs.
fn is_railed(case: &Case, finding: &Finding) -> bool {
    let ec2 = matches!(case.subject, "instance" | "credentials");
    let by_aws = case.path.is_some_and(|path| {
        ["/aws-service-role/", "/aws-reserved/"]
            .iter()
            .any(|reserved| path.starts_with(reserved))
    });
    let own = case.name.starts_with("gdr-");
    let listed = case.name == "break-glass";
    let exfiltration = case.kind.contains("IAMUser");
    ((case.sample || case.drill) && !case.dry_run)
        || (ec2 && !exfiltration && finding.instance_is_victim())
        || match case.subject {
            "role" | "credentials" => own || listed || by_aws,
            _ => false,
        }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn no_step_is_permitted_that_a_rail_forbids_whatever_the_user_writes(case in cases()) {
        let mut service = json!({ "additionalInfo": { "sample": case.sample } });
        if let Some(role) = case.resource_role {
            service["resourceRole"] = json!(role);
        }
        let finding = instance_finding(json!({
            "type": case.kind, "severity": case.severity, "service": service,
        }));
        let finding = if case.drill { finding.drilled() } else { finding };
        let arn = |kind: &str| {
            case.path.map(|path| format!("arn:aws:iam::111122223333:{kind}{path}{}", case.name))
        };
        let role = Resource::role(&finding, case.name, arn("role").as_deref());
        let instance = Resource::instance(&finding, "i-0abc1234");
        let (action, resource) = match case.subject {
            "user" => (
                "iam:DeactivateAccessKey",
                Resource::user(&finding, case.name, arn("user").as_deref()),
            ),
            "role" => ("iam:DenyRoleSession", role),
            "instance" => ("ec2:IsolateInterface", instance.with_role(role)),
            "credentials" => ("iam:DenyInstanceCredentials", instance.with_role(role)),
            _ => (
                "s3:BlockBucketPublicAccess",
                Resource::bucket(&finding, "us-east-1", case.name),
            ),
        };
        let guard = loaded(&case.pieces.join("\n"));
        let settings = settings();
        let gate = match case.subject {
            "user" | "role" => Gate::new::<Iam>,
            "bucket" => Gate::new::<S3>,
            _ => Gate::new::<Ec2>,
        };
        let gate = gate(&guard, &finding, &settings, case.dry_run, now());
        let step = StepKey { action, target: "target".to_owned() };
        let permitted = matches!(gate.judge(&step, &resource), Authorization::Permitted(_));
        let railed = is_railed(&case, &finding);
        prop_assert!(!(permitted && railed));
        // Else it would say nothing: what the rails leave, the widest piece permits.
        let widest = case.pieces.first() == Some(&PIECES[0]);
        prop_assert!(permitted || railed || !widest);
    }
}
