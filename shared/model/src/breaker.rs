//! The breaker: how much of an account the responder contains before somebody looks.
//!
//! A wrong threat list, a noisy detector or an attacker who causes findings on purpose must not make the responder the
//! outage. In any time as long as the window, a function contains at most so many targets of an account. It contains at
//! most a share of a blast-radius group of ten or more: an Auto Scaling group, the instances of a role, the users of an
//! account, the Lambda functions of a Region. Further containments are withheld. One notice is sent, and findings are
//! recorded until slots are free again by time or by `gdr breaker reset`.
//!
//! A contained target takes no slot, and a target that has one needs no second. Places are taken while the intent is
//! being recorded, in all windows by one transaction. This fails if a window has no room, is new, or is asked by others
//! at the same time. Then the windows are asked one after the other, the one with the fewest slots first. So in a storm
//! few invocations reach the next window. If a later one has no room, the places in those before are given back.
//!
//! If the table does not answer, each execution environment admits one finding in the time of a window, and the report
//! says so: a failure of the table must stop no containment, nor let a storm through. Further containments are
//! withheld; a failure that may pass makes the invocation an error, which Lambda retries, and of any other the notice
//! says what to do. Without a table there is no breaker.

mod answer;
mod limits;
mod needs;
mod window;

pub use self::answer::{BREAKER, OpenBreaker};
pub use self::answer::{BreakerDecision, Denial, Page};
pub use self::limits::Limits;
pub use self::needs::{SlotRequest, needs};
pub use self::window::{Full, Opened, Window, has_room};
pub use crate::blast_radius::{BlastRadiusGroup, Member};

#[cfg(test)]
mod tests;
