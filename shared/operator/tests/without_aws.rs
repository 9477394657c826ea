//! `gdr` as a person and a program would call it, where AWS answers what no emulator can be brought to.

mod asks;
mod doctor;
mod notify_tests;
mod proves;
mod redrives;
mod rehearses;
pub(crate) mod stub;
mod tells;
mod world;
