//! `gdr prove` before it makes anything: whom it asks, and what it refuses.

use integration_tests::Result;
use serde_json::Value;

use crate::without_aws::stub::{ACCOUNT, Stub};
use crate::without_aws::world::caller;

/// An account that tells whose credentials these are, and refuses everything else.
fn account() -> Result<Stub> {
    Stub::start(|call| (call.service == "sts").then(caller).flatten())
}

/// The calls of AWS beside whose credentials these are.
fn others(stub: &Stub) -> Vec<String> {
    let calls = stub.calls().into_iter();
    let calls = calls.map(|call| format!("{} {}", call.service, call.operation));
    calls
        .filter(|call| call != "sts GetCallerIdentity")
        .collect()
}

#[test]
fn credentials_of_another_account_than_the_one_that_is_named_are_refused_before_a_call() -> Result {
    let stub = account()?;
    for more in [&[][..], &["--clean", "0a1b2c3d"]] {
        let mut arguments = vec![
            "prove",
            "--account",
            "444455556666",
            "--yes",
            "--output",
            "json",
        ];
        arguments.extend(more);
        let output = stub.gdr(&arguments, "")?;
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        let told: Value = serde_json::from_slice(&output.stdout)?;
        let told = told["refused"].as_str().unwrap_or_default();
        assert!(
            told.contains("444455556666") && told.contains(ACCOUNT),
            "{told}"
        );
    }
    assert_eq!(others(&stub), [""; 0]);
    Ok(())
}

#[test]
fn prove_shows_its_resources_and_their_removal_and_makes_nothing_unconfirmed() -> Result {
    let stub = account()?;
    for answer in ["", "n\n"] {
        let output = stub.gdr(
            &[
                "prove",
                "--account",
                ACCOUNT,
                "--id",
                "aproof01",
                "--only",
                "key,bucket",
            ],
            answer,
        )?;
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        let (asked, said) = (
            String::from_utf8(output.stdout)?,
            String::from_utf8(output.stderr)?,
        );
        for part in [
            "Proof aproof01",
            ACCOUNT,
            "us-east-1",
            "a bucket",
            "a user",
            "with these credentials",
            "a few cents",
            &format!("gdr prove --account {ACCOUNT} --region us-east-1 --clean aproof01"),
        ] {
            assert!(asked.contains(part), "no {part}: {asked}");
        }
        assert!(
            !asked.contains("an instance") && !asked.contains("a role"),
            "{asked}"
        );
        assert!(said.contains("nothing was made"), "{said}");
    }
    let clean = ["prove", "--account", ACCOUNT, "--clean", "aproof01"];
    let output = stub.gdr(&clean, "n\n")?;
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(String::from_utf8(output.stderr)?.contains("nothing was removed"));
    assert_eq!(others(&stub), [""; 0]);
    Ok(())
}

#[test]
fn with_json_the_subject_of_the_question_is_on_standard_error() -> Result {
    let stub = account()?;
    let arguments = [
        "prove",
        "--account",
        ACCOUNT,
        "--stack",
        "gdr",
        "--output",
        "json",
    ];
    let output = stub.gdr(&arguments, "n\n")?;
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(told["refused"], "nothing was made");
    let asked = String::from_utf8(output.stderr)?;
    assert!(
        asked.contains("The functions of the stack gdr contain them"),
        "{asked}"
    );
    assert!(asked.contains("an instance"), "{asked}");
    Ok(())
}

#[test]
fn a_page_that_cannot_be_written_is_wrong_usage_before_anything_is_asked() -> Result {
    let stub = account()?;
    for (file, why) in [
        ("no/such/folder/proof.html", "there is no folder"),
        (".", "is a folder"),
    ] {
        let output = stub.gdr(
            &["prove", "--account", ACCOUNT, "--yes", "--html", file],
            "",
        )?;
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8(output.stderr)?.contains(why), "{file}");
    }
    assert!(stub.calls().is_empty());
    Ok(())
}
