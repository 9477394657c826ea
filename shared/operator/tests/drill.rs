//! `gdr drill` on local AWS: the event goes over a bus, is answered as a function would, and the report
//! comes back to the terminal.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Output;
use std::time::{Duration, Instant};

use aws_sdk_eventbridge::types::Target;
use aws_sdk_sqs::types::QueueAttributeName;
use integration_tests::finding::Finding;
use integration_tests::scenario::{PublicBucket, all_work};
use integration_tests::{LocalAws, Result, Scenario, files, unique};
use playbooks::S3;
use remediation::finding::DRILL_SOURCE;
use remediation::report::Status;
use serde_json::{Value, json};

use crate::common::{
    TABLE, answer, expect, expect_exit, gdr, json as printed, on_aws, responder, sdk,
};

/// A bus of which a rule takes drills to a queue.
struct Bus {
    name: String,
    queue: String,
}

impl Bus {
    async fn create(aws: &LocalAws) -> Result<Self> {
        let name = unique("bus");
        let sqs = aws_sdk_sqs::Client::new(&aws.root());
        let made = sqs.create_queue().queue_name(&name).send().await?;
        let queue = made.queue_url.ok_or("no queue")?;
        let attributes = sqs.get_queue_attributes().queue_url(&queue);
        let attributes = attributes.attribute_names(QueueAttributeName::QueueArn);
        let attributes = attributes.send().await?.attributes.unwrap_or_default();
        let arn = &attributes[&QueueAttributeName::QueueArn];
        let events = aws_sdk_eventbridge::Client::new(&aws.root());
        events.create_event_bus().name(&name).send().await?;
        events
            .put_rule()
            .name(&name)
            .event_bus_name(&name)
            .event_pattern(
                json!({ "source": [DRILL_SOURCE], "detail-type": ["GuardDuty Finding"] })
                    .to_string(),
            )
            .send()
            .await?;
        let target = Target::builder().id("queue").arn(arn).build()?;
        events
            .put_targets()
            .rule(&name)
            .event_bus_name(&name)
            .targets(target)
            .send()
            .await?;
        Ok(Self { name, queue })
    }

    /// The next event that the rule let through.
    async fn next(&self, aws: &LocalAws) -> Result<Value> {
        let sqs = aws_sdk_sqs::Client::new(&aws.root());
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(30) {
            let call = sqs.receive_message().queue_url(&self.queue);
            let batch = call.wait_time_seconds(1).send().await?;
            if let Some(message) = batch.messages().first() {
                return Ok(serde_json::from_str(message.body().unwrap_or_default())?);
            }
        }
        Err("no event came over the bus".into())
    }
}

/// `gdr` while something else goes on.
async fn in_background(aws: &'static LocalAws, arguments: Vec<String>) -> Result<Output> {
    tokio::task::spawn_blocking(move || {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        gdr(aws, &arguments, "")
    })
    .await?
}

fn owned<const N: usize>(arguments: [&str; N]) -> Vec<String> {
    arguments.map(ToOwned::to_owned).into()
}

fn file(finding: &Finding) -> Result<String> {
    files::file("drill.json", &finding.0.to_string())
}

#[test]
fn a_drill_of_a_file_and_of_a_type_come_back_and_leave_the_bucket_as_it_is() -> Result {
    on_aws(async |aws| {
        let bucket = PublicBucket::create(aws).await?;
        let bus = Bus::create(aws).await?;
        let real = bucket.read_by_anyone()?;
        let file = file(&real)?;
        let kind = "Policy:S3/BucketAnonymousAccessGranted";
        for what in [vec![file.as_str()], vec![kind, "--target", &bucket.name]] {
            let mut arguments = owned(["--output", "json", "drill", "--bus", &bus.name]);
            arguments.extend(what.into_iter().map(ToOwned::to_owned));
            let drilling = tokio::spawn(in_background(aws, arguments));
            let event = Finding(bus.next(aws).await?);
            assert_ne!(event.id(), real.id(), "a drill is a finding of its own");

            // It enforces, as it does below, where it gets the real finding.
            let function = responder(S3::new(&sdk(aws, &aws.endpoint)), aws, &TABLE);
            let report = answer(&function, &event, &unique("request")).await?;
            expect(&report, Status::DryRun);

            let output = drilling.await??;
            expect_exit(&output, 0);
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(
                told.contains(event.id()) && told.contains("waiting for s3"),
                "{told}"
            );
            let printed = printed(&output)?;
            let [incident] = &printed.as_array().ok_or("no list")?[..] else {
                panic!("{printed}");
            };
            assert_eq!(incident["drill"], true);
            assert_eq!(incident["report"]["drill"], true);
            assert_eq!(incident["report"]["status"], "dry_run");
            assert_eq!(incident["report"]["steps"][0]["outcome"], "planned");
            assert!(all_work(&bucket.attack().await?), "nothing was changed");

            let listed = gdr(aws, &["incidents"], "")?;
            let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
            let line = listed.lines().find(|line| line.contains(event.id()));
            assert!(
                line.is_some_and(|line| line.contains("dry_run (drill)")),
                "{listed}"
            );
            let nothing = gdr(aws, &["release", event.id(), "--yes"], "")?;
            expect_exit(&nothing, 3);
        }
        let function = responder(S3::new(&sdk(aws, &aws.endpoint)), aws, &TABLE);
        expect(
            &answer(&function, &real, &unique("request")).await?,
            Status::Contained,
        );
        Ok(())
    })
}

#[test]
fn a_function_that_does_not_report_in_time_is_named_with_the_checks() -> Result {
    on_aws(async |aws| {
        let bus = Bus::create(aws).await?;
        let arguments = [
            "drill",
            "Recon:IAMUser/TorIPCaller",
            "--bus",
            &bus.name,
            "--wait",
            "1",
        ];
        let output = in_background(aws, owned(arguments)).await?;
        expect_exit(&output, 1);
        let told = String::from_utf8_lossy(&output.stderr);
        for part in [
            "the iam function did not report within 1 seconds",
            bus.name.as_str(),
            "EventDeadLetterQueue",
        ] {
            assert!(told.contains(part), "no {part} in: {told}");
        }
        assert_eq!(bus.next(aws).await?["detail"]["accountId"], "111122223333");
        Ok(())
    })
}

#[test]
fn an_entry_refused_by_eventbridge_is_an_error_with_its_code() -> Result {
    on_aws(async |aws| {
        let refusing = TcpListener::bind("127.0.0.1:0")?;
        let endpoint = format!("http://{}", refusing.local_addr()?);
        let server = std::thread::spawn(move || -> std::io::Result<()> {
            let (mut connection, _) = refusing.accept()?;
            let mut request = vec![0; 64 * 1024];
            let _ = connection.read(&mut request)?;
            let body = json!({ "FailedEntryCount": 1, "Entries": [{
                "ErrorCode": "MalformedDetail", "ErrorMessage": "as the test asked" }] })
            .to_string();
            write!(
                connection,
                "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nConnection: close\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len(),
            )
        });
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_gdr"))
            .args(["--table", &TABLE, "drill", "Recon:IAMUser/TorIPCaller"])
            .envs(aws.environment())
            .env("AWS_ENDPOINT_URL_EVENTBRIDGE", endpoint)
            .output()?;
        server.join().expect("the server")?;
        expect_exit(&output, 1);
        let told = String::from_utf8_lossy(&output.stderr);
        let named = "events:PutEvents on default: MalformedDetail: as the test asked";
        assert!(told.contains(named), "{told}");
        assert!(!told.contains("sent drill"), "{told}");
        Ok(())
    })
}
