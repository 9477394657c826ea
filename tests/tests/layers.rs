//! Which crate may know which: the table of ARCHITECTURE.md, held against the manifests.
//!
//! Cargo refuses a circle between crates. It does not refuse an arrow that runs the wrong way.

use std::collections::{BTreeMap, BTreeSet};

use integration_tests::{Result, cargo};

/// Each crate of the product, and the crates of the project that it may use.
const LAYERS: [(&str, &[&str]); 19] = [
    ("model", &[]),
    ("policy", &["model"]),
    ("simulation", &["model", "policy"]),
    ("render", &["model"]),
    ("aws", &["model"]),
    ("playbook-s3", &["aws", "model"]),
    ("playbook-iam", &["aws", "model"]),
    ("playbook-ec2", &["aws", "model"]),
    ("playbook-lambda", &["aws", "model"]),
    ("remediation", &["aws", "model", "policy", "render"]),
    ("lambda", &["aws", "remediation"]),
    ("s3-responder", &["lambda", "playbook-s3"]),
    ("iam-responder", &["lambda", "playbook-iam"]),
    ("ec2-responder", &["lambda", "playbook-ec2"]),
    ("lambda-responder", &["lambda", "playbook-lambda"]),
    ("triage-responder", &["lambda", "remediation"]),
    (
        "playbooks",
        &[
            "aws",
            "model",
            "playbook-ec2",
            "playbook-iam",
            "playbook-lambda",
            "playbook-s3",
            "remediation",
        ],
    ),
    (
        "proof",
        &["model", "playbooks", "policy", "remediation", "render"],
    ),
    (
        "operator",
        &[
            "model",
            "playbooks",
            "policy",
            "proof",
            "remediation",
            "render",
            "simulation",
        ],
    ),
];

/// The crates for tests and benchmarks, which may use any.
const FOR_TESTS: [&str; 5] = [
    "bench",
    "fixtures",
    "integration-tests",
    "sample_findings",
    "testkit",
];

/// Crates that neither wait nor call: a decision, a plan and what policies say are made of data only.
const PURE: [&str; 4] = ["model", "policy", "render", "simulation"];

/// A crate from the registry that few may use, and which may.
const FENCED: [(&str, &[&str]); 13] = [
    ("aws-sdk-autoscaling", &["playbook-ec2"]),
    ("aws-sdk-cloudtrail", &["aws", "playbook-s3", "proof"]),
    ("aws-sdk-dynamodb", &["operator", "proof", "remediation"]),
    ("aws-sdk-ec2", &["playbook-ec2", "proof"]),
    ("aws-sdk-elasticloadbalancing", &["playbook-ec2"]),
    ("aws-sdk-elasticloadbalancingv2", &["playbook-ec2"]),
    (
        "aws-sdk-iam",
        &[
            "aws",
            "operator",
            "playbook-ec2",
            "playbook-iam",
            "playbook-lambda",
            "proof",
        ],
    ),
    (
        "aws-sdk-s3",
        &["operator", "playbook-s3", "proof", "remediation"],
    ),
    ("aws-sdk-s3control", &["playbook-s3", "proof"]),
    ("cedar-policy", &["policy"]),
    ("clap", &["operator"]),
    ("lambda_runtime", &["lambda"]),
    ("maud", &["operator", "proof", "render"]),
];

/// What the manifests of the workspace ask for, apart from what only tests use.
fn manifests() -> Result<BTreeMap<String, BTreeSet<String>>> {
    let metadata = cargo::metadata(&["--no-deps"])?;
    let mut found = BTreeMap::new();
    for package in metadata["packages"].as_array().ok_or("no packages")? {
        let dependencies = package["dependencies"]
            .as_array()
            .ok_or("no dependencies")?;
        let asked = dependencies.iter().filter(|it| it["kind"].is_null());
        let asked = asked.filter_map(|it| it["name"].as_str());
        let name = package["name"].as_str().ok_or("no name")?;
        found.insert(name.to_owned(), asked.map(ToOwned::to_owned).collect());
    }
    Ok(found)
}

#[test]
fn a_crate_uses_only_the_crates_below_it() -> Result {
    let manifests = manifests()?;
    for (name, allowed) in LAYERS {
        let asked = manifests
            .get(name)
            .ok_or_else(|| format!("no crate {name}"))?;
        let own = asked.iter().filter(|it| manifests.contains_key(*it));
        let wrong: Vec<_> = own.filter(|it| !allowed.contains(&it.as_str())).collect();
        assert!(
            wrong.is_empty(),
            "{name} uses {wrong:?}, which is not below it"
        );
    }
    let known: BTreeSet<_> = LAYERS.iter().map(|(name, _)| *name).collect();
    let unknown = manifests.keys().map(String::as_str);
    let unknown: Vec<_> = unknown
        .filter(|it| !known.contains(it) && !FOR_TESTS.contains(it))
        .collect();
    assert!(unknown.is_empty(), "the table lacks {unknown:?}");
    Ok(())
}

#[test]
fn a_client_of_aws_is_used_only_where_its_service_is_called() -> Result {
    let manifests = manifests()?;
    for (crate_, allowed) in FENCED {
        let products = LAYERS.iter().map(|(name, _)| *name);
        let uses: BTreeSet<_> = products
            .filter(|name| manifests[*name].contains(crate_))
            .collect();
        assert!(
            !uses.is_empty(),
            "nothing uses {crate_}: take it out of the table"
        );
        let wrong: Vec<_> = uses.iter().filter(|name| !allowed.contains(name)).collect();
        assert!(wrong.is_empty(), "{wrong:?} use {crate_}");
    }
    Ok(())
}

#[test]
fn a_pure_crate_builds_without_tokio_and_without_a_crate_of_aws() -> Result {
    for name in PURE {
        let tree = cargo::tree(&["--edges", "normal", "-p", name])?;
        let crates = tree.lines().filter_map(|line| line.split(' ').next());
        let wrong = |it: &&str| {
            it.starts_with("aws") || ["tokio", "lambda_runtime", "hyper", "reqwest"].contains(it)
        };
        let found: BTreeSet<_> = crates.filter(wrong).collect();
        assert!(found.is_empty(), "{name} is built with {found:?}");
    }
    Ok(())
}
