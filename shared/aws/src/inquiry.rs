//! An investigation with its clock: the question, and its deadline.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use crate::error::{Error, Result};
use model::finding::Finding;
use model::investigation::{Answer, Question, reason};

/// How long all questions together may take.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// The finding under investigation, and the deadline.
#[derive(Clone, Copy, Debug)]
pub struct Inquiry<'a> {
    /// The finding.
    pub finding: &'a Finding,
    /// The time of day.
    pub now: Timestamp,
    /// When all answers must be there.
    pub until: Instant,
}

impl<'a> Inquiry<'a> {
    /// An inquiry that takes no longer than [`PATIENCE`], and not beyond `until`.
    pub fn new(finding: &'a Finding, now: Timestamp, until: Instant) -> Self {
        Self {
            finding,
            now,
            until: until.min(Instant::now() + PATIENCE),
        }
    }

    /// The answer of `work`; or, if it fails or takes too long, that there is none, why, and what
    /// to do `instead`.
    pub async fn ask(
        &self,
        question: Question,
        source: &str,
        instead: &str,
        work: impl Future<Output = Result<Answer>>,
    ) -> Answer {
        match self.within(work).await {
            Ok(answer) => answer,
            Err(error) => {
                Answer::unknown(question, &format!("{}; {instead}", reason(&error)), source)
            }
        }
    }

    /// The answer of `work` in time. Nothing is begun when there is no time left.
    pub async fn within<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        if Instant::now() >= self.until {
            return Err(Error::Refused("there was no time left to ask".to_owned()));
        }
        timeout_at(self.until, work).await.unwrap_or_else(|_| {
            Err(Error::Refused(
                "no answer came in the time allowed".to_owned(),
            ))
        })
    }
}
