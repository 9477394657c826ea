//! The release: its version, what an update of the stack keeps, and the licences of what it is made from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use integration_tests::{cargo, checkout, documents};
use serde_json::{Value, json};
use spdx::{Expression, Licensee, ParseMode};

use crate::common::yaml;

#[test]
fn the_stack_has_the_version_of_the_code() {
    let template = yaml("template.yaml");
    assert_eq!(
        template["Outputs"]["Version"]["Value"],
        remediation::VERSION
    );
}

#[test]
fn files_linked_by_the_documents_are_packaged() {
    let makefile = documents::read("Makefile").replace("\\\n", " ");
    let line = makefile
        .lines()
        .find_map(|it| it.strip_prefix("PACKAGED := "));
    let packaged: Vec<_> = line.expect("what is packaged").split_whitespace().collect();
    let mut links = 0;
    for path in documents::all() {
        let folder = Path::new(&path).parent().unwrap_or(Path::new(""));
        for link in documents::links(&documents::read(&path)) {
            let target = documents::target(folder, link);
            // The tests that hold a claim come with the sources.
            let is_source =
                target.starts_with("tests") || target.extension() == Some("rs".as_ref());
            if is_source && path != "README.md" {
                continue;
            }
            let has = |it: &&str| target.starts_with(it);
            assert!(packaged.iter().any(has), "{path}: {link} is not packaged");
            links += 1;
        }
    }
    assert!(links > 50, "{links} links");
}

/// The Serverless Application Repository takes no nested stack,
/// <https://docs.aws.amazon.com/serverlessrepo/latest/devguide/list-supported-resources.html>.
#[test]
fn nothing_says_that_the_stack_can_be_published_where_its_nested_stack_cannot() {
    let template = yaml("template.yaml");
    assert_eq!(
        template["Resources"]["Operations"]["Type"],
        "AWS::CloudFormation::Stack"
    );
    assert!(template["Metadata"]["AWS::ServerlessRepo::Application"].is_null());
    let makefile = documents::read("Makefile");
    assert!(!makefile.contains("ReadmeUrl") && !makefile.contains("LicenseUrl"));
}

/// CloudFormation replaces a resource whose logical id, type or one of these properties changes, and what
/// was in it is gone.
#[test]
fn an_update_of_the_stack_keeps_the_incidents_the_policies_and_the_queues() {
    let template = yaml("template.yaml");
    let key = json!([
        { "AttributeName": "pk", "KeyType": "HASH" },
        { "AttributeName": "sk", "KeyType": "RANGE" },
    ]);
    let path = json!({ "Sub": "/guardduty-responder/${AWS::StackName}/policy" });
    let (table, queue) = ("AWS::DynamoDB::Table", "AWS::SQS::Queue");
    for (id, kind, properties) in [
        (
            "IncidentTable",
            table,
            json!({ "KeySchema": key, "TableName": null }),
        ),
        (
            "EventDeadLetterQueue",
            queue,
            json!({ "QueueName": null, "FifoQueue": null }),
        ),
        (
            "OnFailureQueue",
            queue,
            json!({ "QueueName": null, "FifoQueue": null }),
        ),
        (
            "RecheckQueue",
            queue,
            json!({ "QueueName": null, "FifoQueue": null }),
        ),
        (
            "InstanceRecheckQueue",
            queue,
            json!({ "QueueName": null, "FifoQueue": null }),
        ),
        (
            "BucketRecheckQueue",
            queue,
            json!({ "QueueName": null, "FifoQueue": null }),
        ),
        (
            "PolicyParameter",
            "AWS::SSM::Parameter",
            json!({ "Name": path }),
        ),
        (
            "NotificationTopic",
            "AWS::SNS::Topic",
            json!({ "TopicName": null, "FifoTopic": null }),
        ),
    ] {
        let resource = &template["Resources"][id];
        assert_eq!(resource["Type"], kind, "{id}");
        assert!(resource["Condition"].is_null(), "{id}");
        for (property, value) in properties.as_object().expect("properties") {
            assert_eq!(resource["Properties"][property], *value, "{id} {property}");
        }
    }
    let table = &template["Resources"]["IncidentTable"];
    // A first deployment that fails leaves none behind.
    assert_eq!(table["DeletionPolicy"], "RetainExceptOnCreate");
    assert_eq!(table["UpdateReplacePolicy"], "Retain");
}

/// What cargo knows of the crates that are compiled for the processors that Lambda has.
fn crates() -> BTreeMap<String, Value> {
    let mut crates = BTreeMap::new();
    for target in ["aarch64-unknown-linux-gnu", "x86_64-unknown-linux-gnu"] {
        let told = cargo::metadata(&["--filter-platform", target]).expect("metadata");
        let used = told["resolve"]["nodes"].as_array().expect("nodes");
        let used: BTreeSet<_> = used.iter().filter_map(|node| node["id"].as_str()).collect();
        for package in told["packages"].as_array().expect("packages") {
            let id = package["id"].as_str().expect("an id");
            if used.contains(id) {
                crates.insert(id.to_owned(), package.clone());
            }
        }
    }
    crates
}

#[test]
fn every_crate_has_a_licence_of_the_list_and_comes_from_the_registry() {
    let rules = std::fs::read_to_string(checkout().join("deny.toml")).expect("deny.toml");
    let rules: toml::Table = rules.parse().expect("deny.toml");
    let allowed: Vec<_> = rules["licenses"]["allow"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|licence| Licensee::parse(licence.as_str().expect("a text")).expect("a licence"))
        .collect();
    let crates = crates();
    assert!(crates.len() > 200, "{}", crates.len());
    let mut needed = BTreeSet::new();
    for (id, package) in &crates {
        let licence = package["license"].as_str();
        let licence = licence.unwrap_or_else(|| panic!("{id} names no licence"));
        // Some crates still write `MIT/Apache-2.0`.
        let licence = Expression::parse_mode(licence, ParseMode::LAX).expect(id);
        let covered = licence.evaluate(|asked| {
            let by = allowed.iter().position(|licence| licence.satisfies(asked));
            needed.extend(by);
            by.is_some()
        });
        assert!(covered, "{id}: {licence} is not on the list of deny.toml");
        let source = package["source"].as_str();
        assert!(
            source.is_none_or(|source| source.starts_with("registry+")),
            "{id} comes from {source:?}"
        );
    }
    assert_eq!(
        needed.len(),
        allowed.len(),
        "the list has licences that nothing needs"
    );
}
