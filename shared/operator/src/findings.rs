//! Findings from wherever they are: files, the export in S3, GuardDuty.

pub(crate) mod fetch;
pub(crate) mod json_stream;
pub(crate) mod parallel;
pub(crate) mod parse;
pub(crate) mod source;
