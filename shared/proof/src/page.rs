//! A proof as a page: the attacks, their means and times, and AWS's answers. One HTML file that loads nothing and needs
//! no script.

use jiff::Timestamp;
use maud::{Markup, html};
use render::page::{Cell, Outside, Page, Section, Table};

use crate::record::{AttemptResult, ContainedBy, Proof, Removal, Scene, Tried, Victim};
use crate::table::{self, Check};

/// The page as HTML. Pure: it says nothing that is not in the record.
#[must_use]
pub fn render(proof: &Proof) -> String {
    let mut sections = vec![Section {
        id: "glance",
        heading: "All requests",
        content: glance(proof),
    }];
    sections.extend(proof.scenes.iter().map(|scene| Section {
        id: id(scene.victim),
        heading: heading(scene.victim),
        content: self::scene(scene),
    }));
    sections.push(Section {
        id: "removed",
        heading: "What was made and removed",
        content: removal(proof),
    });
    sections.push(Section {
        id: "limits",
        heading: "What this does not show",
        content: limits(),
    });
    Page {
        title: &format!("Proof {} in account {}", proof.id, proof.account_id),
        lead: lead(proof),
        sections,
        script: None,
    }
    .render()
}

const fn id(victim: Victim) -> &'static str {
    match victim {
        Victim::PublicBucket => "public-bucket",
        Victim::StolenKey => "stolen-key",
        Victim::StolenRoleSession => "stolen-role-session",
        Victim::InfectedInstance => "infected-instance",
        Victim::HijackedFunction => "hijacked-function",
    }
}

const fn heading(victim: Victim) -> &'static str {
    match victim {
        Victim::PublicBucket => "The public bucket",
        Victim::StolenKey => "The stolen key",
        Victim::StolenRoleSession => "The stolen role session",
        Victim::InfectedInstance => "The infected instance",
        Victim::HijackedFunction => "The hijacked function",
    }
}

fn lead(proof: &Proof) -> Markup {
    let (tone, word, meaning) = verdict(proof);
    let by = match &proof.contained_by {
        ContainedBy::ThisProcess => "gdr itself, with the credentials of the caller".to_owned(),
        ContainedBy::Stack(name) => format!("the deployed functions of the stack {name}"),
    };
    html! {
        div.panel {
            p { span class={ "badge " (tone) } { (word) } " " (meaning) }
            @if let Some(why) = &proof.stopped { p.bad { "It stopped: " (Outside(why)) } }
            @for left in &proof.removal.left {
                p.bad { "Still there: " (Outside(&left.resource)) ": " (Outside(&left.why)) }
            }
        }
        dl {
            dt { "Account" }
            dd { (Outside(&proof.account_id)) ", " (Outside(&proof.region)) }
            dt { "Run by" }
            dd { (Outside(&proof.caller)) }
            dt { "Contained by" }
            dd { (Outside(&by)) }
            dt { "Began" }
            dd { (second(proof.began_at)) }
            dt { "Ended" }
            dd { @match proof.ended_at { Some(ended) => (second(ended)), None => "it did not end" } }
        }
    }
}

/// Colour, word and meaning of the whole.
fn verdict(proof: &Proof) -> (&'static str, &'static str, &'static str) {
    let all = proof.scenes.iter().all(|scene| scene.not_shown.is_none());
    match (proof.holds(), all) {
        (true, true) => (
            "good",
            "proved",
            "Each attack worked, and failed after the containment. Each bystander went on working. Nothing is \
             left behind.",
        ),
        (true, false) => (
            "warn",
            "proved in part",
            "This account forbids an attack, which could not be shown. Each of the others worked, and failed \
             after the containment. Each bystander went on working. Nothing is left behind.",
        ),
        (false, _) => (
            "bad",
            "not proved",
            "Something was not as it must be, and is marked below.",
        ),
    }
}

fn glance(proof: &Proof) -> Markup {
    let rows = table::rows(proof).into_iter().map(|row| {
        let tone = tone(row[0].as_str());
        let mut cells: Vec<_> = row.into_iter().map(Cell::from).collect();
        cells[0].tone = tone;
        cells
    });
    let headings = table::HEADINGS.map(capitalized);
    let table = Table {
        name: "All requests",
        headings: &headings.each_ref().map(String::as_str),
        rows: rows.collect(),
    };
    html! {
        @if table.rows.is_empty() { p { "Nothing was tried." } }
        @else { (table.render()) }
    }
}

fn capitalized(heading: &str) -> String {
    let (first, rest) = heading.split_at(1);
    first.to_owned() + &rest.to_lowercase()
}

fn tone(check: &str) -> &'static str {
    if check == Check::Ok.word() {
        "good"
    } else if check == Check::Failed.word() {
        "bad"
    } else {
        "warn"
    }
}

fn scene(scene: &Scene) -> Markup {
    let check = scene.check().word();
    html! {
        p { span class={ "badge " (tone(check)) } { (check) } }
        @if let Some(why) = &scene.not_shown {
            p.warn { "This attack could not be shown here: " (Outside(why)) }
        }
        dl {
            @for resource in &scene.resources { dt { "Victim" } dd { code { (Outside(resource)) } } }
            @if let Some(kind) = &scene.finding_type { dt { "Finding" } dd { (Outside(kind)) } }
            @if let Some(id) = &scene.finding_id { dt { "Finding id" } dd { (Outside(id)) } }
            @if let Some(at) = scene.found_at { dt { "Handed over" } dd { (second(at)) } }
            @if let Some(status) = &scene.status { dt { "Status" } dd { (Outside(status)) } }
            @if let Some(reason) = &scene.reason { dt { "Reason" } dd { (Outside(reason)) } }
        }
        @if !scene.steps.is_empty() {
            h3 { "What was done" }
            ul { @for step in &scene.steps { li { (Outside(step)) } } }
        }
        @for (heading, who) in [("What the attacker tried", "attacker"), ("What others tried", "bystander")] {
            @let tried: Vec<_> = table::requests(scene).filter(|(by, ..)| *by == who).collect();
            @if !tried.is_empty() {
                h3 { (heading) }
                @for (_, check, tried) in tried { (request(check, tried)) }
            }
        }
        @if !scene.released.is_empty() || scene.not_released.is_some() {
            h3 { "What was put back" }
            @if let Some(why) = &scene.not_released { p.bad { "Not all of it: " (Outside(why)) } }
            ul { @for step in &scene.released { li { (Outside(step)) } } }
        }
    }
}

fn request(check: Check, tried: &Tried) -> Markup {
    html! {
        div.panel {
            p {
                span class={ "badge " (tone(check.word())) } { (check.word()) } " "
                strong { (Outside(&tried.request)) }
            }
            dl {
                dt { "Before" }
                dd { (answer(tried.before.as_ref())) }
                dt { "Contained" }
                dd {
                    (answer(tried.contained.as_ref()))
                    @if let Some(seconds) = tried.stopped_after_seconds {
                        ", for the first time " (format!("{seconds:.1}")) " seconds after the finding"
                    }
                }
                dt { "Released" }
                dd { (answer(tried.released.as_ref())) }
            }
        }
    }
}

fn answer(answer: Option<&AttemptResult>) -> Markup {
    html! {
        @match answer {
            Some(answer) => {
                (table::word(Some(answer))) ": " (Outside(&answer.evidence)) " "
                span.soft { "(" (second(answer.at)) ")" }
            }
            None => span.soft { "not tried" }
        }
    }
}

fn removal(proof: &Proof) -> Markup {
    let Removal { removed, left } = &proof.removal;
    html! {
        @if left.is_empty() {
            p { "Nothing is left." }
        } @else {
            p.bad { "Some of it is still there. Remove it with:" }
            pre { code {
                "gdr prove --account " (Outside(&proof.account_id)) " --region " (Outside(&proof.region))
                " --clean " (Outside(&proof.id))
            } }
            ul { @for left in left { li {
                strong { (Outside(&left.resource)) } ": " (Outside(&left.why))
            } } }
        }
        @if removed.is_empty() {
            p { "Nothing was removed." }
        } @else {
            h3 { "Removed" }
            ul { @for removed in removed { li { code { (Outside(removed)) } } } }
        }
    }
}

fn limits() -> Markup {
    html! {
        ul {
            li { "How long GuardDuty takes to report a threat: the findings here were made by gdr." }
            li { "How the responder decides about other resources and under other settings: see gdr plan." }
            li {
                "That an attacker who acts within the seconds above can do nothing: the table says how long each \
                 request still worked."
            }
        }
    }
}

/// A time to the second. Answers that follow one another within a second need no more.
fn second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{answer, left, proof, scene, tried};

    #[test]
    fn the_page_of_a_proof_lists_attacks_times_and_answers_of_aws() {
        let page = render(&proof(vec![scene(Victim::StolenKey)]));
        for part in [
            "Proof 0a1b2c3d in account 111122223333",
            "badge good",
            "arn:aws:iam::111122223333:user/olga",
            "UnauthorizedAccess:IAMUser/TorIPCaller",
            "iam:DeactivateAccessKey AKIAIOSFODNN7EXAMPLE: applied",
            "iam:DeactivateAccessKey AKIAIOSFODNN7EXAMPLE: restored",
            "ask who it is with the key",
            "403 Forbidden",
            "for the first time 4.3 seconds after the finding",
            "2025-12-18 00:00:00 UTC",
            "Nothing is left.",
        ] {
            assert!(page.contains(part), "no {part}: {page}");
        }
        assert!(!page.contains("script-src") && !page.contains("class=\"badge bad\""));
    }

    #[test]
    fn the_page_of_a_failed_proof_begins_with_the_failure_and_marks_its_place() {
        let mut broken = scene(Victim::PublicBucket);
        broken.bystanders = vec![tried(
            "read it as its owner",
            Some(answer(true)),
            Some(answer(false)),
        )];
        broken.not_released = Some("the key was deleted".to_owned());
        let mut proof = proof(vec![broken]);
        proof.removal.left = vec![left()];
        proof.stopped = Some("iam:CreateUser was refused".to_owned());
        let page = render(&proof);
        for part in [
            "not proved",
            "It stopped: <bdi>iam:CreateUser was refused</bdi>",
            "Not all of it: <bdi>the key was deleted</bdi>",
            "Still there: <bdi>vpc-0abc1234def567890</bdi>",
            "gdr prove --account <bdi>111122223333</bdi> --region <bdi>eu-west-1</bdi> --clean <bdi>0a1b2c3d</bdi>",
        ] {
            assert!(page.contains(part), "no {part}: {page}");
        }
        let broken = page.find("read it as its owner").expect("the request");
        assert!(page[..broken].contains("badge bad"), "{page}");
    }

    #[test]
    fn an_attack_that_the_account_forbids_is_no_full_proof() {
        let mut forbidden = scene(Victim::PublicBucket);
        forbidden.not_shown = Some("the account blocks public access".to_owned());
        let page = render(&proof(vec![forbidden, scene(Victim::StolenKey)]));
        assert!(page.contains("proved in part"), "{page}");
        assert!(page.contains("the account blocks public access"), "{page}");
    }

    #[test]
    fn answers_of_aws_are_only_text_on_the_page() {
        let hostile = "</pre><script>alert(1)</script>\u{202e}";
        let mut scene = scene(Victim::StolenRoleSession);
        scene.reason = Some(hostile.to_owned());
        scene.resources = vec![hostile.to_owned()];
        scene.attacks[0].request = hostile.to_owned();
        if let Some(answer) = &mut scene.attacks[0].contained {
            answer.evidence = hostile.to_owned();
        }
        let mut proof = proof(vec![scene]);
        proof.stopped = Some(hostile.to_owned());
        proof.caller = hostile.to_owned();
        let page = render(&proof);
        assert!(
            !page.contains("<script") && !page.contains('\u{202e}'),
            "{page}"
        );
    }
}
