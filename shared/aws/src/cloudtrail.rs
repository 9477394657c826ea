//! CloudTrail's event history: the one reader of it, at one pace, and what is asked of it.

pub mod activity;
pub mod afterwards;
pub mod data_events;
pub mod event;
pub mod event_history;
pub mod prior_events;
pub mod tag_age;
