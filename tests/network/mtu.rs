//! A path that carries packets of 1200 bytes at most, as through a VPN within a VPN, and says nothing of
//! larger ones.

use std::time::Duration;

use ahoy_test_support::net::{
    conditions::{Conditions, Schedule},
    path::Path,
};
use ahoy_tests::{
    changes::{call::Call, machines::available},
    end::unix_ms,
};
use tokio::time::sleep;

const MTU: usize = 1200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_shows_and_sounds_over_a_path_of_1200_bytes() {
    if !available() {
        return;
    }
    let narrow = Conditions { mtu: MTU, ..Conditions::clean(Duration::from_millis(10)) };
    let path = Path::start(1, Schedule::constant(narrow), Schedule::constant(narrow), 1);
    let pair = &path.pairs[0];
    let mut call = Call::with_camera(&pair.near, &pair.far, "pattern").await;
    let moment = unix_ms();
    sleep(Duration::from_secs(3)).await;
    for end in [&mut call.near, &mut call.far] {
        let content = end.content().since(moment);
        assert!(content.shows_pattern() && content.sounds_tone(), "{content}{}", end.native.peer.recent());
    }
    // What is larger than the path is what is lost here.
    assert_eq!((path.forward().lost, path.back().lost), (0, 0), "packets over {MTU} bytes");
}
