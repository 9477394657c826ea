//! The deployed stack, given findings, on local AWS. What counts is what the attacker and the
//! bystanders can do afterwards; the report must agree with it.

mod bad_input;
mod concurrency;
mod containment;
mod drill;
mod dry_run;
mod evidence;
mod notice;
mod permissions;
mod policy;
mod recheck;
mod sequence;
mod world;
