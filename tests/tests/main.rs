//! All tests that need more than one crate, in one program: it links the AWS clients once.
//!
//! `tests/run.py` runs parts of it side by side, each in a process of its own. A part's tests share what
//! they start.

mod adversity;
mod common;
mod compiled_once;
mod documents;
mod e2e;
mod ec2_playbook;
mod emulators;
mod faults;
mod findings;
mod iam_playbook;
mod incident_page;
mod integrations;
mod lambda_playbook;
mod layers;
mod member_account;
mod metric_filters;
mod multi_account;
mod operations;
mod pages;
mod privilege;
mod proof_policy;
mod prove;
mod release;
mod s3_playbook;
mod shared_aws;
mod template;
