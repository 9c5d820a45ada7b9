//! Calls whose networks change: between network namespaces, judged by how long the sound is away.
//!
//! Namespaces need root; without it each test says that it is skipped. Each has machines of its own, so the
//! tests run at once. `-- --nocapture` shows the times; `AHOY_TEST_REPEAT=10` repeats each change so often
//! within its test.

mod cable;
mod call;
mod handover;
mod machines;
mod mtu;
mod outage;
