//! Reading a target: first what decides how it is contained, then ever more.

use std::pin::{Pin, pin};
use std::rc::Rc;

use futures::StreamExt as _;
use futures::future::{Either, select};
use futures::stream::{LocalBoxStream, Peekable, unfold};

use crate::finding::Finding;
use aws::playbook::Playbook;

/// The observations of one target. Each is fuller than the one before.
pub(crate) struct Observations<'a, P: Playbook> {
    latest: Rc<P::State>,
    fuller: Peekable<LocalBoxStream<'a, Rc<P::State>>>,
}

impl<'a, P: Playbook> Observations<'a, P> {
    /// The observations after `essential`, which decides how the target is contained.
    pub(crate) fn after(playbook: &'a P, finding: &'a Finding, essential: P::State) -> Self {
        let latest = Rc::new(essential);
        let fuller = unfold(Rc::clone(&latest), move |part| async move {
            let fuller = Rc::new(Box::pin(playbook.complete(finding, &part)).await?);
            Some((Rc::clone(&fuller), fuller))
        });
        Self {
            latest,
            fuller: fuller.boxed_local().peekable(),
        }
    }

    /// The fullest observation so far.
    pub(crate) fn latest(&self) -> Rc<P::State> {
        Rc::clone(&self.latest)
    }

    /// Reads the next observation. `None`: the latest is the whole.
    pub(crate) async fn next(&mut self) -> Option<Rc<P::State>> {
        self.latest = self.fuller.next().await?;
        Some(self.latest())
    }

    /// Does `work`, and reads the next observation beside it.
    pub(crate) async fn during<W: Future>(&mut self, work: W) -> W::Output {
        let reading = pin!(Pin::new(&mut self.fuller).peek());
        match select(reading, pin!(work)).await {
            Either::Left((_, work)) => work.await,
            Either::Right((done, _)) => done,
        }
    }
}

#[cfg(test)]
mod tests;
