//! The investigation of a finding: what it says itself, and what its playbook finds out.

use tokio::time::timeout_at;

pub use crate::cloudtrail::afterwards;
pub use crate::iam_principal as principal;
pub(crate) use crate::iam_principal::issuer;
pub use crate::inquiry::Inquiry;
pub use crate::investigation::{Answer, Investigation, Question};
pub(crate) use crate::investigation::{from_finding, listed, reason};
use crate::playbook::Playbook;

/// What the finding says and what `playbook` finds out. `state`: what was observed before
/// containing, if anything was.
pub(crate) async fn investigate<P: Playbook>(
    playbook: &P,
    inquiry: &Inquiry<'_>,
    state: Option<&P::State>,
) -> Investigation {
    let mut investigation = from_finding(inquiry.finding);
    let work = Box::pin(playbook.investigate(inquiry, state));
    match timeout_at(inquiry.until, work).await {
        Ok(found) => investigation.merge(inquiry.finding, found),
        Err(_) => investigation.leads.push(
            "look into the finding yourself: the investigation was not done in the time set for it"
                .to_owned(),
        ),
    }
    investigation
        .answers
        .sort_by_key(|answer| answer.question());
    investigation
}
