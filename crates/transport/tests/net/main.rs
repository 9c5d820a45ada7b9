//! Whole transports on loopback, without any server: real sockets, real QUIC.
#![allow(clippy::unwrap_used)]

mod call;
mod calls_nobody;
mod contacts;
mod delivery;
mod hostile;
mod invites;
mod lan;
mod processes;
mod side;
