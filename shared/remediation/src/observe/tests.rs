use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::*;
use crate::category::Category;
use crate::error::Result;
use crate::fixtures::fake::Act;
use crate::fixtures::finding;
use crate::plan::Plan;
use crate::planner::Planner;
use crate::settings::Settings;
use policy::Resource;

/// What a fuller observation takes.
const TAKES: Duration = Duration::from_secs(2);

/// A playbook whose target is read in so many parts after the first.
struct Staged(usize);

impl Planner for Staged {
    const CATEGORY: Category = Category::S3;

    /// How many parts were read after the first.
    type State = usize;

    type Action = Act;

    fn plan(_: &Finding, _: &usize, _: &Settings, _: Timestamp) -> Plan<Act> {
        Plan::default()
    }

    fn resource(finding: &Finding, _: &usize, act: &Act) -> Resource {
        Resource::bucket(finding, &finding.region, act.target)
    }
}

impl Playbook for Staged {
    const READS: &'static [&'static str] = &[];

    async fn observe(&self, _: &Finding) -> Result<usize> {
        Ok(self.0)
    }

    async fn complete(&self, _: &Finding, part: &usize) -> Option<usize> {
        sleep(TAKES).await;
        (*part < self.0).then_some(part + 1)
    }

    async fn apply(&self, _: &Act) -> Result<()> {
        Ok(())
    }

    async fn restore(&self, _: &Act) -> Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn observations_become_fuller_until_the_latest_is_the_whole() {
    let finding = finding(json!({}));
    let mut observations = Observations::after(&Staged(2), &finding, 0);
    assert_eq!(*observations.latest(), 0);
    for part in [1, 2] {
        assert_eq!(observations.next().await.as_deref(), Some(&part));
        assert_eq!(*observations.latest(), part);
    }
    // Asked again, it reads nothing.
    for takes in [TAKES, Duration::ZERO] {
        let start = Instant::now();
        assert_eq!(observations.next().await, None);
        assert_eq!(start.elapsed(), takes);
    }
    assert_eq!(*observations.latest(), 2);
}

#[tokio::test(start_paused = true)]
async fn observations_are_read_while_other_work_is_done() {
    let finding = finding(json!({}));
    let (quick, slow) = (TAKES / 2, TAKES * 5);
    for (work, then) in [(quick, TAKES - quick), (slow, Duration::ZERO)] {
        let mut observations = Observations::after(&Staged(2), &finding, 0);
        let start = Instant::now();
        observations.during(sleep(work)).await;
        assert_eq!(start.elapsed(), work, "the work waits for no observation");
        assert_eq!(*observations.latest(), 0, "nothing is planned from it yet");
        assert_eq!(observations.next().await.as_deref(), Some(&1));
        assert_eq!(start.elapsed(), work + then);
    }
}
