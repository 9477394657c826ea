//! The playbooks: one for each kind of resource that can be contained.

pub mod ec2;
pub mod iam;
pub mod s3;
pub mod triage;

pub use aws::playbook::{Playbook, TargetGone};
