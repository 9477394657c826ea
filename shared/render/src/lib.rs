//! The output for people: the notice of a report as text and for a chat, the page of an incident, and the words that
//! they share.
//!
//! Nothing here calls AWS, waits, or reads a clock. Names, tags and messages come from attackers: each renderer makes
//! them harmless for its medium.

pub mod alert;
pub mod chat;
pub mod notice;
mod notice_view;
pub mod page;
pub mod report_view;

#[cfg(test)]
mod fixtures;
