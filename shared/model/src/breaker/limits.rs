//! How much is contained before the on-call engineer has looked.

use jiff::SignedDuration;

use crate::blast_radius::BlastRadiusGroup;

/// How much is contained at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Targets of one function in one account in any time as long as [`Limits::window`].
    pub containments: usize,
    /// How long a containment counts.
    pub window: SignedDuration,
    /// Per cent of the members of a [`BlastRadiusGroup`] that may be contained in that time. One always may; and of
    /// users or functions, of which there are fewer than [`Limits::SHARE_FROM`], as many as of anything.
    pub share_percent: usize,
}

impl Limits {
    /// The most that [`Limits::containments`] may be: a window is one item of the table, which has
    /// 400 KB at most, and a target's name up to 512 bytes.
    pub const MOST: usize = 500;

    /// From how many users of an account, or functions of a Region, on no more than a share of them is contained. A share of a handful
    /// is nobody: half of three users would let the second one that is stolen work on.
    pub const SHARE_FROM: usize = 10;

    /// How many members of a crowd of this size may be contained.
    pub fn share_of(&self, crowd: &BlastRadiusGroup, size: usize) -> usize {
        let of_all = matches!(
            crowd,
            BlastRadiusGroup::Users | BlastRadiusGroup::Functions { .. }
        );
        if of_all && size < Self::SHARE_FROM {
            return self.containments;
        }
        (size.saturating_mul(self.share_percent) / 100).max(1)
    }

    pub fn minutes(&self) -> i64 {
        self.window.as_mins()
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            containments: 20,
            window: SignedDuration::from_hours(1),
            share_percent: 50,
        }
    }
}
