//! The deployed stack in adversity: processes that are killed, events on which a function fails again and
//! again, and a thousand findings in a minute.

mod kill;
mod poison;
mod storm;
mod world;
