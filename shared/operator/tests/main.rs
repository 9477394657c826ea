//! `gdr` as an operator would call it. One program, since each would link the AWS clients once more.

mod approve;
mod breaker;
mod common;
mod conventions;
mod corpus;
mod crash;
mod drill;
mod explain;
mod golden;
mod incident_page;
mod mistakes;
mod policy;
mod prove;
mod push;
mod rehearse;
mod rehearse_on_aws;
mod rehearse_page;
mod release;
mod upgrade;
mod without_aws;
