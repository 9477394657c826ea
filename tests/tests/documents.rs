//! The documents are held against the code.

use std::path::Path;

use integration_tests::checkout;

/// Every Rust file of the workspace, in one text.
fn sources() -> String {
    fn collect(folder: &Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&std::fs::read_to_string(&path).expect("a source file"));
            }
        }
    }
    let mut text = String::new();
    for folder in ["functions", "shared", "tests"] {
        collect(&checkout().join(folder), &mut text);
    }
    text
}

#[test]
fn each_row_of_the_comparison_names_a_test_that_there_is() {
    let page = std::fs::read_to_string(checkout().join("docs/depth.md")).expect("docs/depth.md");
    let sources = sources();
    let mut rows = 0;
    for row in page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| what"))
    {
        let tests = row
            .trim_end_matches(" |")
            .rsplit(" | ")
            .next()
            .unwrap_or_default();
        let mut named = 0;
        for test in tests.split('`').filter(|name| name.contains('_')) {
            assert!(
                sources.contains(&format!("fn {test}(")),
                "there is no test {test}"
            );
            named += 1;
        }
        assert!(named > 0, "no test: {row}");
        rows += 1;
    }
    assert!(rows > 20, "{rows} rows");
}

#[test]
fn every_parameter_of_the_template_is_in_the_readme() {
    let read = |name: &str| std::fs::read_to_string(checkout().join(name)).expect("a document");
    let (template, readme) = (read("template.yaml"), read("README.md"));
    let template: serde_yaml_ng::Value = serde_yaml_ng::from_str(&template).expect("YAML");
    for (name, _) in template["Parameters"].as_mapping().expect("parameters") {
        let name = name.as_str().expect("a name");
        assert!(
            readme.contains(&format!("`{name}`")),
            "the README does not say what {name} is"
        );
    }
}
