//! CloudTrail's event history: the one reader of it, at one pace, and what is asked of it.

pub(crate) mod activity;
pub mod afterwards;
pub(crate) mod data_events;
pub(crate) mod event;
pub mod event_history;
pub(crate) mod prior_events;
pub(crate) mod tag_age;
