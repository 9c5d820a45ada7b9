//! The pure state of calls: transition tables, two endpoints over a bad network, limits in virtual time.
#![allow(clippy::unwrap_used)]

mod browser;
mod glare;
mod hangup;
mod hostile;
mod limits;
mod repeat;
mod script;
mod tables;
mod walk;
mod wired;
mod world;
