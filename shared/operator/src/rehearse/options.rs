//! The findings of a rehearsal, and its rules.

use std::path::PathBuf;

use clap::ArgGroup;
use jiff::Timestamp;

use super::rules::RuleOptions;
use crate::option_values;

#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("source").required(true).multiple(true).args(["paths", "detector"]))]
#[command(after_help = "\
Examples:
  gdr rehearse --detector auto --since 90d --html rehearsal.html
  gdr rehearse s3://BUCKET/AWSLogs --since 2026-01-01 --stack guardduty-responder
  gdr rehearse AWSLogs/ --policy default.cedar --policy mine.cedar --max-containments 10")]
pub(crate) struct Options {
    /// Files, folders, - for standard input, or s3://BUCKET/PREFIX for what GuardDuty exported.
    #[arg(value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// The findings that GuardDuty has: the id of a detector, or auto for the one of the Region. It keeps
    /// them for 90 days, and tells each as it was last.
    #[arg(long, value_name = "ID")]
    pub(super) detector: Option<String>,
    /// Events before this time did not come: a date, a time, or how long ago (90d, 2w, 12h).
    #[arg(long, value_name = "TIME", value_parser = option_values::time)]
    pub(super) since: Option<Timestamp>,
    /// Events from this time on did not come.
    #[arg(long, value_name = "TIME", value_parser = option_values::time)]
    pub(super) until: Option<Timestamp>,
    /// Files of Cedar policies, as they are pushed, in place of the stored ones. Without a stack and a parameter,
    /// and where none is given, the default ones.
    #[arg(long = "policy", value_name = "FILE")]
    pub(super) policies: Vec<PathBuf>,
    /// The parameter with the stored policies, in place of the stack's (its output PolicyParameter).
    #[arg(long, value_name = "NAME", env = "POLICY_PARAMETER")]
    policy_parameter: Option<String>,
    /// Write a page for people too, which opens from the file and loads nothing.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    #[command(flatten)]
    pub(super) rules: RuleOptions,
}

impl Options {
    /// The parameter of the policies, if one is named and counts.
    pub(super) fn stored_policies(&self) -> Option<&str> {
        let name = self.policy_parameter.as_deref();
        name.filter(|_| self.policies.is_empty())
    }
}
