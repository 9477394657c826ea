//! Carries a sequence out.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use aws_sdk_sns::operation::publish::PublishOutput;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde_json::{Value, json};
use testkit::{mock, mock_client};
use tokio::time::{Instant, sleep};

use super::account::{Account, Called, Keys, Step};
use super::command::{Command, FINDINGS, Setting, Trouble};
use super::model::{Model, Moment, Notices, Outcome, id_of};
use crate::approve::{self, Approver};
use crate::config::Config;
use crate::decision::ResponseMode;
use crate::error::{CallFailure, Error, Result};
use crate::fixtures::looks::{Sent, queue};
use crate::fixtures::table::{Item, Items, table};
use crate::fixtures::{Protocol, Wire, enforcing, event, now};
use crate::history::AuthorizationSources;
use crate::notify;
use crate::policy_parameter::PolicyParameter;
use crate::recheck::{self, Recheck, RecheckQueue};
use crate::record::{Incident, IncidentStore};
use crate::release::{self, Allowance, Releaser};
use crate::report::Report;
use crate::respond::{Invocation, Responder};
use policy::{DEFAULT, LoadedPolicies};

static PERMITTED: LazyLock<LoadedPolicies> = LazyLock::new(|| LoadedPolicies::new(DEFAULT));
static FORBIDDEN: LazyLock<LoadedPolicies> =
    LazyLock::new(|| LoadedPolicies::new("forbid (principal, action, resource);"));

/// How often Lambda tries an invocation, and the seconds until it tries again.
const ATTEMPTS: usize = 3;
const RETRIED_AFTER: i64 = 60;

/// After that time an invocation has read the account, and is still at work.
const WHILE_AT_WORK: Duration = Duration::from_secs(3);

/// All that a process leaves behind when it dies.
#[derive(Clone, Debug, Default)]
struct Left {
    in_effect: BTreeSet<Step>,
    items: HashMap<(String, String), Item>,
    notices: Notices,
    sent: Vec<(i32, String)>,
}

/// When the process dies, and what it left then.
#[derive(Debug, Default)]
struct Death {
    at: Option<usize>,
    left: Option<Left>,
}

/// What a sequence is carried out on.
pub(super) struct Run {
    clock: Timestamp,
    account: Arc<Mutex<Account>>,
    items: Items,
    record: IncidentStore,
    topic: Wire,
    notices: Arc<Mutex<Notices>>,
    sns: aws_sdk_sns::Client,
    sent: Sent,
    recheck: RecheckQueue,
    /// The looks that are held back, with the times until which they are.
    held_back: Vec<(Timestamp, String)>,
    called: Called,
    death: Arc<Mutex<Death>>,
    setting: Setting,
    invocations: usize,
    /// The incidents before the last command.
    earlier: Vec<Incident>,
    model: Model,
}

impl Run {
    pub(super) fn new(setting: Setting) -> Self {
        let account = Arc::<Mutex<Account>>::default();
        let (items, record) = table();
        let (sent, recheck) = queue();
        let (topic, notices) = (Wire::new(Protocol::Query), Arc::<Mutex<Notices>>::default());
        let death = Arc::<Mutex<Death>>::default();
        let called = Called(Arc::new({
            let (account, items, notices, sent, death) = (
                Arc::clone(&account),
                Arc::clone(&items),
                Arc::clone(&notices),
                Arc::clone(&sent),
                Arc::clone(&death),
            );
            move || {
                let mut account = account.lock().unwrap();
                account.calls += 1;
                let mut death = death.lock().unwrap();
                if death.at == Some(account.calls) {
                    death.left = Some(Left {
                        in_effect: account.in_effect.clone(),
                        items: items.lock().unwrap().clone(),
                        notices: notices.lock().unwrap().clone(),
                        sent: sent.lock().unwrap().clone(),
                    });
                }
            }
        }));
        let (on, published, also) = (topic.clone(), Arc::clone(&notices), called.clone());
        let publish = mock!(aws_sdk_sns::Client::publish).then_compute_response(move |request| {
            let answer = on.answer("sns:Publish", || {
                let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
                let notice = (text(request.subject()), text(request.message()));
                published.lock().unwrap().push(notice);
                Ok(PublishOutput::builder().build())
            });
            (also.0)();
            answer
        });
        Self {
            clock: now(),
            account,
            items,
            record,
            topic,
            notices,
            sns: mock_client!(aws_sdk_sns, [&publish]),
            sent,
            recheck,
            held_back: Vec::new(),
            called,
            death,
            setting,
            invocations: 0,
            earlier: Vec::new(),
            model: Model::default(),
        }
    }

    /// What there is now.
    async fn moment(&self) -> Moment {
        let in_effect = self.account.lock().unwrap().in_effect.clone();
        Moment {
            clock: self.clock,
            setting: self.setting,
            in_effect,
            incidents: self.record.incidents().await.expect("the table"),
            notices: self.notices.lock().unwrap().clone(),
        }
    }

    pub(super) async fn carry_out(&mut self, command: &Command) {
        self.pass(SignedDuration::from_secs(1));
        let before = self.moment().await;
        let outcome = self.done(command, &before).await;
        let after = self.moment().await;
        self.model.hold(command, &outcome, &before, &after);
        self.earlier = before.incidents;
    }

    fn pass(&mut self, time: SignedDuration) {
        self.clock = self.clock.checked_add(time).expect("a time");
    }

    async fn done(&mut self, command: &Command, before: &Moment) -> Outcome {
        match *command {
            Command::Deliver {
                finding,
                newer,
                trouble,
            } => {
                let event = self.event(finding, newer);
                self.invoke(finding, newer, &event, None, trouble, before)
                    .await
            }
            Command::Recheck(trouble) => {
                let due = self.held_back.iter().min_by_key(|(due, _)| *due).cloned();
                let Some((due, message)) = due else {
                    return Outcome::Nothing;
                };
                self.held_back
                    .retain(|held| *held != (due, message.clone()));
                self.clock = self.clock.max(due);
                let (_, payload) = recheck::handed_over(&message).expect("a look");
                let (event, look) = recheck::received(&payload).expect("a look");
                let mut numbers = 0..FINDINGS.len();
                let finding = numbers.find(|number| event["detail"]["id"] == id_of(*number));
                let finding = finding.expect("a finding of the sequence");
                self.invoke(finding, false, &event, Some(look), trouble, before)
                    .await
            }
            Command::Undo(step) => {
                let steps: Vec<_> = before.in_effect.iter().collect();
                if let Some(step) = among(&steps, step) {
                    self.account.lock().unwrap().in_effect.remove(step);
                }
                Outcome::Nothing
            }
            Command::Approve(plan) => match among(&before.waiting(), plan) {
                Some(finding) => answered(finding, Box::pin(self.approve(finding, before)).await),
                None => Outcome::Nothing,
            },
            Command::Reject { plan, stale } => match among(&before.waiting(), plan) {
                Some(finding) => {
                    let shown = if stale {
                        &self.earlier
                    } else {
                        &before.incidents
                    };
                    answered(finding, self.reject(finding, shown).await)
                }
                None => Outcome::Nothing,
            },
            Command::Release(incident) => match among(&before.unreleased(), incident) {
                Some(finding) => answered(finding, Box::pin(self.release(finding, before)).await),
                None => Outcome::Nothing,
            },
            Command::Set(setting) => {
                self.setting = setting;
                Outcome::Nothing
            }
            Command::Wait(minutes) => {
                let time = SignedDuration::try_from(minutes.minutes()).expect("a time");
                self.pass(time);
                Outcome::Nothing
            }
        }
    }

    fn event(&self, finding: usize, newer: bool) -> Value {
        let key = FINDINGS[finding];
        let seen = if newer {
            self.clock.to_string()
        } else {
            "2026-03-04T04:55:00Z".to_owned()
        };
        event(json!({
            "id": id_of(finding),
            "type": "UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom",
            "updatedAt": self.clock.to_string(),
            "resource": {
                "resourceType": "AccessKey",
                "accessKeyDetails": {
                    "accessKeyId": key.id(),
                    "principalId": format!("AIDAEXAMPLE{}", key.user().to_uppercase()),
                    "userName": key.user(),
                    "userType": "IAMUser",
                },
            },
            "service": { "eventLastSeen": seen },
        }))
    }

    fn config(&self) -> Config {
        let mut config = enforcing();
        config.policy.mode = match self.setting {
            Setting::Approve => ResponseMode::Approve,
            Setting::Notify => ResponseMode::Notify,
            _ => ResponseMode::Contain,
        };
        config.policy.dry_run = self.setting == Setting::DryRun;
        config
    }

    fn policies(&self) -> PolicyParameter {
        let guard = match self.setting {
            Setting::Forbidden => &FORBIDDEN,
            _ => &PERMITTED,
        };
        PolicyParameter::fixed(LoadedPolicies::clone(guard))
    }

    /// An invocation, with the attempts that Lambda makes of it.
    async fn invoke(
        &mut self,
        finding: usize,
        newer: bool,
        event: &Value,
        look: Option<Recheck>,
        trouble: Trouble,
        before: &Moment,
    ) -> Outcome {
        self.invocations += 1;
        let id = format!("invocation {}", self.invocations);
        let (mut report, mut undone, mut released) = (None, false, None);
        self.account.lock().unwrap().read = 0;
        for attempt in 0..ATTEMPTS {
            self.go_wrong(
                Some(trouble).filter(|trouble| attempt == 0 || *trouble == Trouble::Denied),
            );
            let playbook = Keys::of(&self.account, Some(self.called.clone()));
            let guards = AuthorizationSources {
                policies: self.policies(),
                history: None,
            };
            let responder = Responder::new(playbook, self.config(), self.sns.clone());
            let responder = responder.recording(self.record.clone());
            let responder = responder.rechecking(self.recheck.clone()).guarded(guards);
            let invocation = Invocation {
                id: id.clone(),
                now: self.clock,
                time_left: Duration::from_secs(60),
                look: look.clone(),
                trace: None,
            };
            let begun = Instant::now();
            let releasing = async {
                let Trouble::Released(incident) = trouble else {
                    return None;
                };
                let incident = among(&before.unreleased(), incident).filter(|_| attempt == 0)?;
                sleep(WHILE_AT_WORK).await;
                let released = Box::pin(self.release(incident, before)).await;
                released.is_ok().then_some(incident)
            };
            let answering = Box::pin(responder.respond(event.clone(), &invocation));
            let (answer, done) = futures::join!(answering, releasing);
            released = released.or(done);
            self.pass(SignedDuration::try_from(begun.elapsed()).expect("a time"));
            self.go_wrong(None);
            let left = self.death.lock().unwrap().left.take();
            let died = left.is_some();
            if let Some(left) = left {
                self.account.lock().unwrap().in_effect = left.in_effect;
                *self.items.lock().unwrap() = left.items;
                *self.notices.lock().unwrap() = left.notices;
                *self.sent.lock().unwrap() = left.sent;
            }
            for (delay, message) in std::mem::take(&mut *self.sent.lock().unwrap()) {
                let due = SignedDuration::from_secs(i64::from(delay));
                let due = self.clock.checked_add(due).expect("a time");
                self.held_back.push((due, message));
            }
            match answer {
                Ok(answer) if !died => {
                    undone |= answer.undone();
                    report = Some(answer);
                    break;
                }
                _ => self.pass(SignedDuration::from_secs(RETRIED_AFTER)),
            }
        }
        let read = self.account.lock().unwrap().read > 0;
        let mut held_back = self.held_back.iter();
        let comes_again = held_back.any(|(_, message)| message.contains(&id_of(finding)));
        Outcome::Answered {
            finding,
            newer,
            report: report.map(Box::new),
            undone,
            read,
            comes_again,
            released,
        }
    }

    /// What goes wrong from now on.
    fn go_wrong(&self, trouble: Option<Trouble>) {
        self.topic.heal();
        let mut death = self.death.lock().unwrap();
        let mut account = self.account.lock().unwrap();
        (death.at, account.calls, account.unreadable) = (None, 0, None);
        match trouble.unwrap_or(Trouble::None) {
            Trouble::None | Trouble::Released(_) => {}
            Trouble::Crash(at) => death.at = Some(at),
            Trouble::Throttled => account.unreadable = Some(CallFailure::Transient),
            Trouble::Denied => account.unreadable = Some(CallFailure::Denied),
            Trouble::TopicThrottled => self.topic.fail_once("sns:Publish", 400, "Throttling"),
        }
    }

    async fn approve(&self, finding: usize, shown: &Moment) -> Result<()> {
        let incident = shown.incident(finding).ok_or_else(none)?;
        let (policies, notices) = (self.policies(), self.notices_of_operators());
        let current = self.config().policy;
        let approver = Approver {
            by: "ann",
            record: &self.record,
            policies: &policies,
            current: Some(&current),
            notices: Some(&notices),
        };
        let playbook = Keys::of(&self.account, None);
        let approving = approve::approve(playbook, &approver, incident, self.clock);
        Box::pin(approving).await.map(|_: Report| ())
    }

    async fn reject(&self, finding: usize, shown: &[Incident]) -> Result<()> {
        let id = id_of(finding);
        let mut shown = shown.iter();
        let incident = shown.find(|incident| incident.id == id).ok_or_else(none)?;
        approve::pending(incident, self.clock)?;
        let (record, notices, now) = (&self.record, self.notices_of_operators(), self.clock);
        let rejecting = approve::reject(
            record,
            Some(&notices),
            incident,
            "ann",
            "a false alarm",
            now,
        );
        let untold = rejecting.await?;
        assert!(untold.is_empty(), "{untold:?}");
        Ok(())
    }

    /// By what an approver and an operator tell.
    fn notices_of_operators(&self) -> notify::Notices {
        notify::Notices::new(self.sns.clone(), self.config().topic_arn)
    }

    async fn release(&self, finding: usize, shown: &Moment) -> Result<()> {
        let incident = shown.incident(finding).ok_or_else(none)?;
        let allowance = Allowance {
            force_drift: true,
            reactivate: vec![FINDINGS[finding].id().to_owned()],
        };
        let notices = self.notices_of_operators();
        let releaser = Releaser {
            by: "ann",
            record: &self.record,
            notices: Some(&notices),
        };
        let (playbook, now) = (Keys::of(&self.account, None), self.clock);
        let steps = release::plan(&playbook, &self.record, incident, &allowance, now);
        let steps = Box::pin(steps).await?;
        let releasing = release::release(&playbook, &releaser, incident, steps, &allowance, now);
        Box::pin(releasing).await.map(drop)
    }
}

/// One of them, round and round.
fn among<T: Copy>(these: &[T], number: usize) -> Option<T> {
    let number = number.checked_rem(these.len())?;
    these.get(number).copied()
}

fn answered(finding: usize, done: Result<()>) -> Outcome {
    Outcome::Answer { finding, done }
}

fn none() -> Error {
    Error::Refused("there is no such incident".to_owned())
}
