//! The built-in rails, held by whole runs: whatever policies and settings say, nothing is written that they
//! forbid.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::role::{acted_detail, own_account, payroll};
use super::world::settings;
use super::*;
use fixtures::ENFORCING;
use fixtures::hostile::block_on;
use model::decision::ResponseSettings;
use policy::{Gate, LoadedPolicies};
use remediation::execute::execute;

/// What a user may have written; the first permits everything.
const TEXTS: [&str; 4] = [
    "permit (principal, action, resource);",
    "permit (principal == Playbook::\"iam\", action, resource);",
    "permit (principal, action in [Action::\"Contain\"], resource);",
    "permit (principal, action, resource) when { context.mode == \"contain\" };",
];

const ROLE: &str = "arn:aws:iam::111122223333:role/payroll";

#[derive(Clone, Debug)]
struct Case {
    text: &'static str,
    by_role: bool,
    path: &'static str,
    spared: Option<&'static str>,
    own: bool,
    sample: bool,
    wide: bool,
    marked: bool,
}

fn cases() -> impl Strategy<Value = Case> {
    let paths = ["/", "/ci/", "/aws-service-role/x/", "/aws-reserved/sso/"];
    let spared = [
        None,
        Some("mallory"),
        Some("payroll"),
        Some("MALLORY"),
        Some(ROLE),
        Some("arn:aws:iam::111122223333:role/mallory"),
    ];
    (
        (
            prop::sample::select(TEXTS.to_vec()),
            any::<bool>(),
            prop::sample::select(paths.to_vec()),
            prop::sample::select(spared.to_vec()),
        ),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |((text, by_role, path, spared), own, sample, wide, marked)| Case {
                text,
                by_role,
                path,
                spared,
                own,
                sample,
                wide,
                marked,
            },
        )
}

impl Case {
    fn world(&self) -> World {
        if !self.by_role {
            return world(mallory());
        }
        let mut account = payroll(own_account());
        account.roles.get_mut("payroll").expect("the role").path = self.path;
        world(account)
    }

    fn finding(&self) -> Finding {
        let mut detail = if self.by_role {
            acted_detail("AROAPAYROLL:build-42", "2026-03-04T05:00:00Z")
        } else {
            user_detail("mallory")
        };
        if self.sample {
            detail["service"]["additionalInfo"] = json!({ "sample": true });
        }
        finding(detail)
    }

    /// What the rails say, in other words than theirs.
    fn is_railed(&self) -> bool {
        let spared = if self.by_role {
            ["payroll", ROLE].map(Some).contains(&self.spared)
        } else {
            ["mallory", "MALLORY"].map(Some).contains(&self.spared)
        };
        let of_aws = self.by_role && self.path.starts_with("/aws-");
        self.sample || spared || of_aws || (self.by_role && self.own)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn nothing_is_written_that_a_rail_forbids(case in cases()) {
        let (world, finding) = (case.world(), case.finding());
        let policy = ResponseSettings {
            never_contain: case.spared.map(str::to_owned).into_iter().collect(),
            responder_roles: case.own.then(|| ROLE.to_owned()).into_iter().collect(),
            ..ENFORCING.clone()
        };
        let settings = settings(|iam| {
            iam.role_wide = case.wide;
            iam.mark_contained = case.marked;
        });
        let guard = LoadedPolicies::new(case.text);
        prop_assert_eq!(guard.problem(), None);
        block_on(async {
            let state = world.iam.observe(&finding).await.expect("the world can be read");
            let gate = Gate::new::<Iam>(&guard, &finding, &policy, false, now());
            let plan = gate.plan::<Iam>(&state, &settings);
            let until = Instant::now() + Duration::from_secs(60);
            execute(&world.iam, &gate, plan, &settings, until).await
        });
        let written = world.wire.writes();
        if case.is_railed() {
            prop_assert!(written.is_empty(), "{:?}", written);
        } else if case.text == TEXTS[0] {
            // Else it would say nothing.
            prop_assert!(!written.is_empty());
        }
    }
}
