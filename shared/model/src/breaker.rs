//! The breaker: how much of an account the responder contains before a person has looked.
//!
//! A wrong threat list, a noisy detector or an attacker who causes findings on purpose must not make the
//! responder the outage. So in any time as long as the window a function contains at most so many targets
//! of an account, and of what belongs together (an Auto Scaling group, the instances of a role, the users
//! of an account, if there are ten or more) at most a share. What is beyond is withheld; one person is told once, and findings are
//! recorded until places are free again by time or by `gdr breaker reset`.
//!
//! What is contained already takes no place, and a target that has one needs no second. Places are taken
//! while the intent is being recorded, in all windows by one transaction. If that does not succeed, since
//! one has no room, is new, or others are asking at the same time, the windows are asked one after the
//! other, the one with the fewest places first, so that of a storm no more invocations ask the next one
//! than it may matter to. If a later one has no room, the places in those before are given back.
//!
//! Where the table cannot be asked, each execution environment lets one finding through in the time of a
//! window, and says so: a failure of the table must stop no containment, nor let a storm through. What is
//! beyond is withheld; a failure that may pass makes the invocation an error, which Lambda retries, and of
//! any other the notice says what to do. Without a table there is no breaker.

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
