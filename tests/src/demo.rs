//! The demo shows a proof while it runs.

use std::sync::{Mutex, MutexGuard, PoisonError};

use proof::record::{AttemptResult, Left, Scene, Tried};
use proof::{Moment, Victim, Watcher, Who};

use crate::console::{Busy, Console, Mark};

/// A proof on the console. Each line is checked against what has to be.
pub struct Shown<'a> {
    state: Mutex<State<'a>>,
    dry_run: bool,
}

struct State<'a> {
    console: &'a mut Console,
    busy: Option<Busy>,
    made: usize,
    removed: usize,
}

impl<'a> Shown<'a> {
    /// A proof that contains, or one of a dry run that changes nothing.
    #[must_use]
    pub fn on(console: &'a mut Console, dry_run: bool) -> Self {
        let state = State {
            console,
            busy: None,
            made: 0,
            removed: 0,
        };
        Self {
            state: Mutex::new(state),
            dry_run,
        }
    }

    /// The wait has ended.
    fn state(&self) -> MutexGuard<'_, State<'a>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.busy = None;
        state
    }
}

impl State<'_> {
    /// Sums up what was made or removed since the last sum.
    fn sum_up(&mut self) {
        let (made, removed) = (
            std::mem::take(&mut self.made),
            std::mem::take(&mut self.removed),
        );
        if made > 0 {
            let text = format!("{made} resources and credentials were made");
            self.console
                .line(Mark::Good, &text, "each resource has the proof's tag");
        }
        if removed > 0 {
            let text = format!("{removed} resources were removed");
            self.console
                .line(Mark::Good, &text, "each had the proof's tag");
        }
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.state().sum_up();
    }
}

impl Watcher for Shown<'_> {
    fn stage(&self, title: &str) {
        let mut state = self.state();
        state.sum_up();
        state.console.stage(title);
    }

    fn waiting(&self, for_what: &str) {
        let mut state = self.state();
        state.busy = Some(Busy::with(for_what));
    }

    fn made(&self, _resource: &str) {
        self.state().made += 1;
    }

    fn tried(&self, _victim: Victim, who: Who, moment: Moment, tried: &Tried) {
        let mut state = self.state();
        let answer = match moment {
            Moment::Before => &tried.before,
            Moment::Contained => &tried.contained,
            Moment::Released => &tried.released,
        };
        let Some(AttemptResult {
            works, evidence, ..
        }) = answer
        else {
            return;
        };
        let (request, console) = (&tried.request, &mut *state.console);
        if who == Who::Bystander {
            return console.check(*works, &format!("unharmed: {request}"), evidence);
        }
        match (moment, works, self.dry_run) {
            (Moment::Before, true, _) => {
                console.line(Mark::Danger, &format!("attack works: {request}"), evidence);
            }
            (Moment::Before, false, _) => {
                console.line(Mark::Bad, &format!("attack fails: {request}"), evidence);
            }
            (Moment::Contained, false, false) => {
                let seconds = tried.stopped_after_seconds.unwrap_or_default();
                let evidence = format!("{evidence}, {seconds:.1} s after the finding");
                console.line(Mark::Good, &format!("stopped: {request}"), &evidence);
            }
            (Moment::Contained, true, true) => {
                console.line(Mark::Good, &format!("as before: {request}"), evidence);
            }
            (Moment::Contained, true, false) => {
                console.line(Mark::Bad, &format!("STILL WORKS: {request}"), evidence);
            }
            (Moment::Contained, false, true) => {
                console.line(Mark::Bad, &format!("CHANGED: {request}"), evidence);
            }
            (Moment::Released, works, _) => {
                console.check(*works, &format!("back: {request}"), evidence);
            }
        }
    }

    fn reported(&self, scene: &Scene) {
        let mut state = self.state();
        let console = &mut *state.console;
        if let Some(why) = &scene.not_shown {
            let text = format!("{:?} could not be shown", scene.victim);
            return console.line(Mark::Bad, &text, why);
        }
        let kind = scene.finding_type.as_deref().unwrap_or_default();
        console.heading(&format!(
            "The {}: GuardDuty reports {kind}",
            scene.victim.words()
        ));
        let expected = if self.dry_run { "dry_run" } else { "contained" };
        let status = scene.status.as_deref().unwrap_or("no status");
        let text = format!("the function reports {status}");
        let reason = scene.reason.as_deref().unwrap_or_default();
        let about = reason.strip_prefix(kind).unwrap_or(reason).trim_start();
        console.check(status == expected, &text, about);
        steps(console, &scene.steps);
    }

    fn removed(&self, _resource: &str) {
        self.state().removed += 1;
    }

    fn left(&self, left: &Left) {
        let mut state = self.state();
        let text = format!("{} is left", left.resource);
        state.console.line(Mark::Bad, &text, &left.why);
    }
}

/// A line for each action with its targets, and one for all that was in place already.
fn steps(console: &Console, steps: &[String]) {
    let (in_place, done): (Vec<_>, Vec<_>) =
        steps.iter().partition(|step| step.ends_with(": already"));
    let mut actions: Vec<(&str, Vec<&str>)> = Vec::new();
    for step in done {
        let (action, target) = step.split_once(' ').unwrap_or((step, ""));
        match actions.last_mut() {
            Some((last, targets)) if *last == action => targets.push(target),
            _ => actions.push((action, vec![target])),
        }
    }
    for (action, targets) in actions {
        console.detail(&format!("{action} {}", targets.join(", ")));
    }
    match in_place.len() {
        0 => {}
        1 => console.detail("1 step was in place already"),
        count => console.detail(&format!("{count} steps were in place already")),
    }
}
