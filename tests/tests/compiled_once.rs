//! Each crate has one set of features, whichever package is built and with its tests or without: a second
//! set would compile it, and all that depends on it, once more.

use std::collections::{BTreeMap, BTreeSet};

use integration_tests::{Result, cargo};

/// What is built: all, as `sam build` and the tests do, and each package alone, as in everyday work.
const BUILT: [&[&str]; 8] = [
    &[],
    &["-p", "remediation"],
    &["-p", "operator"],
    &["-p", "integration-tests"],
    &["-p", "s3-responder"],
    &["-p", "iam-responder"],
    &["-p", "ec2-responder"],
    &["-p", "triage-responder"],
];

/// What is tested alone while one works on it, and never built alone.
const TESTED: [&[&str]; 4] = [
    &["-p", "playbook-s3"],
    &["-p", "playbook-iam"],
    &["-p", "playbook-ec2"],
    &["-p", "playbook-lambda"],
];

/// The features of each crate in a build, by its name and version. A crate that is built both for this machine
/// and for the target, such as one that macros use too, has two sets.
fn features(packages: &[&str], edges: &str) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let asked = ["--target", "host-tuple", "--edges", edges, "--format"];
    let asked = [&asked[..], &["{p}|{f}"], packages].concat();
    let mut features = BTreeMap::<String, BTreeSet<String>>::new();
    // An empty line parts the packages.
    for line in cargo::tree(&asked)?.lines().filter(|line| !line.is_empty()) {
        let (crate_, of_crate) = line.split_once('|').ok_or("no features")?;
        // The mark of a crate that stands above with all it depends on.
        let of_crate = of_crate.trim_end_matches(" (*)");
        let sets = features.entry(crate_.to_owned()).or_default();
        sets.insert(of_crate.to_owned());
    }
    Ok(features)
}

#[test]
fn each_crate_has_the_same_features_in_every_build() -> Result {
    let all = features(&[], "normal,build,dev")?;
    assert!(all.keys().any(|it| it.starts_with("aws-sdk-ec2 ")));
    let built = BUILT.map(|it| (it, "normal,build"));
    let tested = BUILT.into_iter().chain(TESTED);
    let tested = tested.map(|it| (it, "normal,build,dev"));
    for (packages, edges) in built.into_iter().chain(tested) {
        for (crate_, sets) in features(packages, edges)? {
            let others: Vec<_> = sets.difference(&all[&crate_]).collect();
            assert!(
                others.is_empty(),
                "{crate_} has other features with {packages:?} ({edges}) than with all tests: {others:?} and {:?}",
                all[&crate_]
            );
        }
    }
    Ok(())
}
