//! Measures what reading the policies that the stack is deployed with takes, and reading a finding, deciding,
//! and planning, without and with asking them. `bench <folder> <event>...`: the events name resources of an account that the environment
//! leads to, as it does the functions' settings; criterion's estimates are written below the folder.

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use criterion::Criterion;
use jiff::Timestamp;
use playbooks::{Ec2, Iam, Playbook, S3};
use policy::{DEFAULT, Gate, LoadedPolicies};
use remediation::Config;
use remediation::category::Category;
use remediation::decision::decide;
use remediation::finding::Finding;
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("no folder")?;
    let mut criterion = Criterion::default()
        .without_plots()
        .output_directory(Path::new(&folder))
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    let config = Config::from_env();
    let sdk = aws::load().await;
    // What a function does once, at its start.
    criterion.bench_function("policies", |bench| {
        bench.iter(|| LoadedPolicies::new(black_box(DEFAULT)));
    });
    for path in arguments {
        let event: Value = serde_json::from_slice(&std::fs::read(path)?)?;
        let finding = Finding::parse(&event)?;
        let category = remediation::catalogue::routes(&finding)[0];
        criterion.bench_function(&format!("{category} parse"), |bench| {
            bench.iter(|| Finding::parse(black_box(&event)));
        });
        criterion.bench_function(&format!("{category} decide"), |bench| {
            bench.iter(|| decide(category, black_box(&finding), &config.policy));
        });
        let criterion = &mut criterion;
        match category {
            Category::S3 => plan(criterion, &S3::new(&sdk), &finding, &config).await?,
            Category::Iam => plan(criterion, &Iam::new(&sdk), &finding, &config).await?,
            Category::Ec2 => plan(criterion, &Ec2::new(&sdk), &finding, &config).await?,
            Category::Lambda | Category::Triage => {}
        }
    }
    Ok(())
}

/// Planning what was observed, without and with asking the policies about each step.
async fn plan<P: Playbook>(
    criterion: &mut Criterion,
    playbook: &P,
    finding: &Finding,
    config: &Config,
) -> Result<(), Box<dyn Error>> {
    let state = playbook.observe(finding).await?;
    let now: Timestamp = "2026-03-04T05:06:07Z".parse()?;
    let guard = LoadedPolicies::new(DEFAULT);
    let gate = Gate::new::<P>(&guard, finding, &config.policy, false, now);
    criterion.bench_function(&format!("{} plan", P::CATEGORY), |bench| {
        bench.iter(|| P::plan(finding, black_box(&state), &config.settings, now));
    });
    criterion.bench_function(&format!("{} plan and ask", P::CATEGORY), |bench| {
        bench.iter(|| gate.plan::<P>(black_box(&state), &config.settings));
    });
    Ok(())
}
