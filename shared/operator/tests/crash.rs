//! An invocation that ends in the middle: what it wrote down is kept, and the next one completes it.

use remediation::planner::Planner as _;
use std::time::Duration;

use integration_tests::scenario::{InfectedInstance, none_works};
use integration_tests::{Result, Scenario, unique};
use jiff::Timestamp;
use playbooks::{Ec2, Playbook};
use remediation::category::Category;
use remediation::finding::Finding;
use remediation::plan::{Action, Step};
use remediation::record::{Intent, Lease};
use remediation::report::Status;
use remediation::settings::Settings;
use serde_json::Value;
use tokio::time::Instant;

use crate::common::{TABLE, expect, expect_exit, gdr, on_aws, record, respond_in, sdk};

#[test]
fn a_retry_completes_a_crashed_containment_and_keeps_the_first_values() -> Result {
    on_aws(async |aws| {
        let infection = InfectedInstance::create(aws).await?;
        let event = infection.finding()?;
        let finding = Finding::parse(&event.0)?;
        let playbook = || Ec2::new(&sdk(aws, &aws.ec2_endpoint));
        let (record, request, now) = (record(aws, &TABLE), unique("request"), Timestamp::now());

        // The first attempt claims, writes down what it is about to do, does a part, and ends.
        let target = format!("{}/{}", finding.region, infection.id);
        let lease = Lease {
            owner: &request,
            now,
            lasts: Duration::from_secs(60),
            until: Instant::now() + Duration::from_secs(5),
        };
        record
            .claim(Category::Ec2, &finding, &target, &lease)
            .await?;
        let (observer, settings) = (playbook(), Settings::default());
        let plan = Ec2::plan(&finding, &observer.observe(&finding).await?, &settings, now);
        let mut actions = Vec::new();
        let mut begun = Vec::new();
        for step in &plan.steps {
            if let Step::Do(action) = step {
                let key = format!("{} {}", action.name(), action.target());
                actions.push((key, serde_json::to_value(action)?));
                begun.push(action);
            }
        }
        let intent = Intent {
            received_at: now,
            evidence: Value::Null,
            settings,
            actions,
            completes: false,
            approved: None,
            invocation: "request".to_owned(),
        };
        record
            .intend(Category::Ec2, &finding, &event.0, &intent, now)
            .await?;
        begun.sort_by_key(|action| (action.phase(), action.order()));
        let isolating = |action: &&&_| Action::name(**action) == "ec2:IsolateInterface";
        let first = begun
            .iter()
            .position(|action| isolating(&action))
            .ok_or("nothing to isolate")?;
        for action in &begun[..=first] {
            observer.apply(action).await?;
        }

        let retried = respond_in(playbook(), aws, &event, &TABLE, &request).await?;
        expect(&retried, Status::Contained);
        assert!(none_works(&infection.attack().await?));
        expect_exit(&gdr(aws, &["release", event.id(), "--yes"], "")?, 0);
        assert!(
            infection.is_untouched().await?,
            "every interface has its first groups again"
        );
        Ok(())
    })
}

#[test]
fn a_claim_that_nobody_gives_back_ends_by_its_time() -> Result {
    on_aws(async |aws| {
        let infection = InfectedInstance::create(aws).await?;
        let event = infection.finding()?;
        let finding = Finding::parse(&event.0)?;
        let target = format!("{}/{}", finding.region, infection.id);
        let lease = Lease {
            owner: "an invocation that died",
            now: Timestamp::now(),
            lasts: Duration::from_secs(2),
            until: Instant::now() + Duration::from_secs(5),
        };
        record(aws, &TABLE)
            .claim(Category::Ec2, &finding, &target, &lease)
            .await?;
        let playbook = Ec2::new(&sdk(aws, &aws.ec2_endpoint));
        let report = respond_in(playbook, aws, &event, &TABLE, &unique("request")).await?;
        expect(&report, Status::Contained);
        assert!(none_works(&infection.attack().await?));
        Ok(())
    })
}
