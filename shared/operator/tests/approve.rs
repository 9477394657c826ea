//! `gdr approve` and `gdr reject` on local AWS: what waits for a person happens when one says so, and only
//! what was planned.

use std::process::Output;

use aws_sdk_iam::types::StatusType;
use integration_tests::finding::Finding;
use integration_tests::scenario::{InfectedInstance, StolenKey, all_work, none_works};
use integration_tests::{LocalAws, Result, Scenario, unique, waits};
use jiff::{SignedDuration, Timestamp};
use playbooks::{Ec2, Playbook};
use policy::DEFAULT;
use remediation::config::Config;
use remediation::report::{Report, Status};

use crate::common::{
    TABLE, answer, approving, expect, expect_exit, gdr, iam, json, on_aws, parameter,
    responder_with, sdk, seen_again,
};

async fn plan<P: Playbook>(
    config: Config,
    playbook: P,
    aws: &LocalAws,
    finding: &Finding,
) -> Result<Report> {
    let responder = responder_with(config, playbook, aws, &TABLE);
    answer(&responder, finding, &unique("request")).await
}

fn approve(
    aws: &LocalAws,
    parameter: &str,
    id: &str,
    more: &[&str],
    typed: &str,
) -> Result<Output> {
    let mut arguments = vec!["approve", id, "--policy-parameter", parameter];
    arguments.extend(more);
    gdr(aws, &arguments, typed)
}

fn said(output: &Output) -> String {
    let (out, error) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(error)
}

#[test]
fn an_approved_key_stops_working_with_every_session_until_then() -> Result {
    on_aws(async |aws| {
        let parameter = parameter(aws, DEFAULT).await?;
        let theft = StolenKey::create(aws).await?;
        let finding = theft.finding()?;
        let planned = plan(approving(), iam(aws), aws, &finding).await?;
        expect(&planned, Status::Notified);
        assert!(planned.approval().is_some(), "{}", planned.to_line());
        assert!(all_work(&theft.attack().await?), "nothing was done");
        let listed = said(&gdr(aws, &["incidents"], "")?);
        let listed = listed.lines().find(|line| line.contains(finding.id()));
        assert!(
            listed.is_some_and(|it| it.contains("awaits approval")),
            "{listed:?}"
        );

        let declined = approve(aws, &parameter, finding.id(), &[], "n\n")?;
        expect_exit(&declined, 3);
        let shown = said(&declined);
        for told in [
            "iam:DeactivateAccessKey",
            theft.key_id(),
            "Inactive",
            "until",
        ] {
            assert!(shown.contains(told), "{told}: {shown}");
        }
        assert!(all_work(&theft.attack().await?), "nothing was done");

        // So that a session that was made after the plan is told from one that was made before.
        waits::next_second().await;
        let approved = approve(aws, &parameter, &finding.id()[..12], &[], "y\n")?;
        expect_exit(&approved, 0);
        assert!(none_works(&theft.attack().await?));
        assert!(all_work(&theft.bystanders().await?));

        let recorded = json(&gdr(
            aws,
            &["incident", finding.id(), "--output", "json"],
            "",
        )?)?;
        let incident = &recorded[0];
        assert_eq!(incident["status"], "contained");
        assert!(incident.get("awaiting").is_none(), "{incident}");
        let by = incident["report"]["approved_by"]
            .as_str()
            .unwrap_or_default();
        assert!(by.ends_with(":root"), "{incident}");
        let actions = incident["actions"].as_object().ok_or("no actions")?;
        let cut_off = actions
            .values()
            .find_map(|it| it["RevokeUserSessions"]["cut_off"].as_str());
        let cut_off: Timestamp = cut_off.ok_or("no cut-off")?.parse()?;
        let received: Timestamp = incident["received_at"].as_str().ok_or("no time")?.parse()?;
        assert!(
            cut_off > received + SignedDuration::from_secs(61),
            "{cut_off} {received}"
        );

        let again = approve(aws, &parameter, finding.id(), &["--yes"], "")?;
        expect_exit(&again, 3);
        assert!(said(&again).contains("approved by"), "{again:?}");
        let redelivered = plan(approving(), iam(aws), aws, &finding).await?;
        expect(&redelivered, Status::AlreadyContained);
        assert!(redelivered.approval().is_none());
        expect_exit(&gdr(aws, &["release", finding.id(), "--yes"], "")?, 0);
        Ok(())
    })
}

#[test]
fn approve_refuses_a_user_changed_after_the_plan() -> Result {
    on_aws(async |aws| {
        let parameter = parameter(aws, DEFAULT).await?;
        let theft = StolenKey::create(aws).await?;
        let finding = theft.finding()?;
        plan(approving(), iam(aws), aws, &finding).await?;
        let change = aws.iam().update_access_key().user_name(theft.user_name());
        let change = change.access_key_id(theft.key_id());
        change.status(StatusType::Inactive).send().await?;
        let before = theft.state().await?;

        let refused = approve(aws, &parameter, finding.id(), &["--yes"], "")?;
        expect_exit(&refused, 3);
        let told = said(&refused);
        for named in [
            "iam:DeactivateAccessKey",
            theft.key_id(),
            "in effect already",
        ] {
            assert!(told.contains(named), "{told}");
        }
        assert_eq!(theft.state().await?, before, "nothing was changed");
        Ok(())
    })
}

#[test]
fn an_instance_in_other_groups_than_planned_is_left_there_until_it_is_planned_anew() -> Result {
    on_aws(async |aws| {
        let parameter = parameter(aws, DEFAULT).await?;
        let infection = InfectedInstance::create(aws).await?;
        let forensics = infection.leave_open_group("forensics").await?;
        let finding = infection.finding()?;
        let playbook = || Ec2::new(&sdk(aws, &aws.ec2_endpoint));
        let planned = plan(approving(), playbook(), aws, &finding).await?;
        expect(&planned, Status::Notified);
        let (interface, _) = infection.groups().await?.swap_remove(0);
        let change = aws.ec2().modify_network_interface_attribute();
        let change = change.network_interface_id(&interface).groups(&forensics);
        change.send().await?;

        let refused = approve(aws, &parameter, finding.id(), &["--yes"], "")?;
        expect_exit(&refused, 3);
        let told = said(&refused);
        for named in [
            "ec2:IsolateInterface",
            interface.as_str(),
            forensics.as_str(),
        ] {
            assert!(told.contains(named), "{named}: {told}");
        }
        let groups = infection.groups().await?;
        let of_interface = groups.iter().find(|(name, _)| *name == interface);
        assert_eq!(of_interface.map(|(_, groups)| groups.len()), Some(1));
        assert_eq!(infection.groups_named("gdr-isolation").await?.len(), 0);

        plan(approving(), playbook(), aws, &finding).await?;
        let approved = approve(aws, &parameter, finding.id(), &["--yes"], "")?;
        expect_exit(&approved, 0);
        assert!(none_works(&infection.attack().await?));
        Ok(())
    })
}

#[test]
fn a_rejected_plan_is_replaced_only_after_newer_activity() -> Result {
    on_aws(async |aws| {
        let parameter = parameter(aws, DEFAULT).await?;
        let theft = StolenKey::create(aws).await?;
        let finding = seen_again(&theft.finding()?, SignedDuration::from_secs(-5));
        plan(approving(), iam(aws), aws, &finding).await?;
        expect_exit(&gdr(aws, &["reject", finding.id()], "")?, 2);
        let reject = ["reject", finding.id(), "--reason", "a drill of ours"];
        expect_exit(&gdr(aws, &reject, "")?, 0);
        let refused = approve(aws, &parameter, finding.id(), &["--yes"], "")?;
        expect_exit(&refused, 3);
        let told = said(&refused);
        assert!(
            told.contains("rejected by") && told.contains("a drill of ours"),
            "{told}"
        );
        expect_exit(&gdr(aws, &reject, "")?, 3);

        let redelivered = plan(approving(), iam(aws), aws, &finding).await?;
        expect(&redelivered, Status::Notified);
        assert!(
            redelivered.approval().is_none(),
            "{}",
            redelivered.to_line()
        );
        expect_exit(&approve(aws, &parameter, finding.id(), &["--yes"], "")?, 3);
        assert!(all_work(&theft.attack().await?));

        let later = seen_again(&finding, SignedDuration::from_secs(5));
        let planned = plan(approving(), iam(aws), aws, &later).await?;
        assert!(planned.approval().is_some(), "{}", planned.to_line());
        expect_exit(&approve(aws, &parameter, finding.id(), &["--yes"], "")?, 0);
        assert!(none_works(&theft.attack().await?));
        Ok(())
    })
}

#[test]
fn a_plan_that_is_too_old_or_forbidden_is_not_approved() -> Result {
    on_aws(async |aws| {
        let parameter_of_today = parameter(aws, DEFAULT).await?;
        let theft = StolenKey::create(aws).await?;
        let finding = theft.finding()?;
        let brief = Config {
            approval_lasts: SignedDuration::from_millis(1),
            ..approving()
        };
        plan(brief, iam(aws), aws, &finding).await?;
        let refused = approve(aws, &parameter_of_today, finding.id(), &["--yes"], "")?;
        expect_exit(&refused, 3);
        assert!(
            said(&refused).contains("could be approved until"),
            "{refused:?}"
        );

        plan(approving(), iam(aws), aws, &finding).await?;
        let forbids = format!("{DEFAULT} @id(\"never\") forbid (principal, action, resource);");
        let parameter = parameter(aws, &forbids).await?;
        for (parameter, why) in [
            (parameter.as_str(), "withheld by never"),
            ("/none", "no-policy"),
        ] {
            let refused = approve(aws, parameter, finding.id(), &["--yes"], "")?;
            expect_exit(&refused, 3);
            assert!(said(&refused).contains(why), "{refused:?}");
        }
        assert!(all_work(&theft.attack().await?), "nothing was done");
        let approved = approve(aws, &parameter_of_today, finding.id(), &["--yes"], "")?;
        expect_exit(&approved, 0);
        assert!(none_works(&theft.attack().await?));
        Ok(())
    })
}
