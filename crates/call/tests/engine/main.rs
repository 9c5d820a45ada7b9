//! Whole engines calling each other: real links on loopback, real codecs, messages by an exchange in memory.
#![allow(clippy::unwrap_used)]

mod abandoned;
mod calls;
mod devices;
mod exchange;
mod hold;
mod hostile;
mod leaks;
mod loss;
mod mute;
mod network;
mod phone;
mod screen;
mod silence;
mod switch;
mod unacknowledged;
mod unplugged;
