//! Findings from wherever they are: files, the export in S3, GuardDuty.

pub(crate) mod cut;
pub(crate) mod fetch;
pub(crate) mod piece;
pub(crate) mod pool;
pub(crate) mod source;
