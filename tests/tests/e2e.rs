//! The deployed stack, given findings, on local AWS. What counts is what the attacker and the
//! bystanders can do afterwards; the report must agree with it.

mod bad_input;
mod by_hand;
mod concurrency;
mod containment;
mod desk;
mod doctor;
mod drill;
mod dry_run;
mod evidence;
mod guardduty;
mod long_name;
mod notice;
mod operated;
mod operations;
mod operator;
mod path;
mod permissions;
mod policy;
mod prove;
mod recheck;
mod redrive;
mod sequence;
mod world;
