//! The steps of a proof, line for line on standard error, while it takes a while.

use indicatif::ProgressBar;
use proof::record::{Left, Scene, Tried};
use proof::table;
use proof::{Moment, Victim, Watcher, Who};

use crate::output::{self, Stream};

/// Prints each thing when it is done, and shows what is waited for.
#[derive(Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new() -> Self {
        Self(output::waiting("looking at the account"))
    }

    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }

    fn line(&self, text: &str) {
        self.0.suspend(|| Stream::Error.line(text));
    }
}

impl Watcher for Progress {
    fn stage(&self, title: &str) {
        self.line(title);
        self.0.set_message(title.to_owned());
    }

    fn waiting(&self, for_what: &str) {
        self.0.set_message(for_what.to_owned());
    }

    fn made(&self, resource: &str) {
        self.line(&format!("  made {resource}"));
    }

    fn tried(&self, victim: Victim, who: Who, moment: Moment, tried: &Tried) {
        self.line(&format!("  {}", told(victim, who, moment, tried)));
    }

    fn reported(&self, scene: &Scene) {
        let victim = scene.victim.words();
        self.line(&match (&scene.not_shown, &scene.status) {
            (Some(why), _) => format!("  {victim}: not shown: {why}"),
            (None, Some(status)) => {
                let reason = scene.reason.as_deref().unwrap_or("no reason given");
                format!("  {victim}: {status}: {reason}")
            }
            (None, None) => format!("  {victim}: no report"),
        });
    }

    fn removed(&self, resource: &str) {
        self.line(&format!("  removed {resource}"));
    }

    fn left(&self, left: &Left) {
        self.line(&format!("  STILL THERE: {}: {}", left.resource, left.why));
    }
}

/// A request in one line.
fn told(victim: Victim, who: Who, moment: Moment, tried: &Tried) -> String {
    let who = match who {
        Who::Attacker => "attacker",
        Who::Bystander => "bystander",
    };
    let answer = match moment {
        Moment::Before => &tried.before,
        Moment::Contained => &tried.contained,
        Moment::Released => &tried.released,
    };
    let word = table::word(answer.as_ref());
    let evidence = answer
        .as_ref()
        .map_or("not tried", |answer| answer.evidence.as_str());
    let since = match (moment, tried.stopped_after_seconds) {
        (Moment::Contained, Some(seconds)) => format!(" after {seconds:.1} s"),
        _ => String::new(),
    };
    let victim = victim.words();
    format!(
        "{victim}: {who}: {}: {word}{since} ({evidence})",
        tried.request
    )
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proof::record::AttemptResult;

    use super::*;

    #[test]
    fn a_request_of_the_proof_is_printed_with_its_answer() {
        let answer = |works, evidence: &str| {
            Some(AttemptResult {
                works,
                evidence: evidence.to_owned(),
                at: Timestamp::UNIX_EPOCH,
            })
        };
        let tried = Tried {
            request: "read the object".to_owned(),
            before: answer(true, "200"),
            contained: answer(false, "403"),
            stopped_after_seconds: Some(2.04),
            released: None,
        };
        let told = |moment| told(Victim::PublicBucket, Who::Attacker, moment, &tried);
        assert_eq!(
            told(Moment::Before),
            "public bucket: attacker: read the object: works (200)"
        );
        assert_eq!(
            told(Moment::Contained),
            "public bucket: attacker: read the object: fails after 2.0 s (403)"
        );
        assert_eq!(
            told(Moment::Released),
            "public bucket: attacker: read the object: - (not tried)"
        );
    }
}
