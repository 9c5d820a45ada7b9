//! Calls whose networks change: between network namespaces, judged by how long the sound is away.
//!
//! Namespaces need root; without it each test says that it is skipped. Each has machines of its own, so the
//! tests run at once. `-- --nocapture` shows the times; `./dev bench net` makes each change ten times.

mod cable;
mod containers;
mod mtu;

use ahoy_tests::changes::{Change, call::GOAL, machines::available};

/// One test a line: its name, and what happens.
macro_rules! changes {
    ($($(#[$attribute:meta])* $name:ident: $change:expr;)*) => {$(
        $(#[$attribute])*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            expect($change).await;
        }
    )*};
}

changes! {
    sound_is_back_after_a_handover_of_the_caller: Change::HandoverOfCaller;
    sound_is_back_after_a_handover_of_the_callee: Change::HandoverOfCallee;
    sound_is_back_after_a_handover_of_both_sides_at_once: Change::HandoverOfBoth;
    sound_is_back_after_renumbering: Change::Renumbering;
    sound_is_back_after_a_vpn_came_up: Change::VpnUp;
    sound_is_back_after_a_vpn_went_down: Change::VpnDown;
    sound_is_back_after_a_cable_was_out_and_in_again: Change::CableOutAndIn;
    sound_is_back_after_an_outage_of_5_s: Change::Outage(5);
    sound_is_back_after_an_outage_of_20_s: Change::Outage(20);
    sound_is_back_after_an_outage_of_20_s_before_signaling_is: Change::OutageOfSignalingToo(20);
    sound_is_back_after_a_machine_slept_for_10_s: Change::Sleep;

    #[ignore = "takes 35 s; as the one of 20 s, to the end of what a call waits"]
    sound_is_back_after_an_outage_of_29_s: Change::Outage(29);
}

async fn expect(change: Change) {
    if !available() {
        return;
    }
    let took = change.happens().await;
    println!("{change}: sound is back after {} ms", took.as_millis());
    assert!(took <= GOAL, "{change}: sound is back after {took:?}");
}
