//! What a call took is given back: threads, descriptors, memory.

use std::{fs, time::Duration};

use ahoy_call::{
    engine::{EngineCommand, EngineConfig},
    event::CallEvent,
};
use tokio::time::{Instant, sleep};

use super::{
    exchange::Exchange,
    phone::{LIMIT, Phone, no_camera},
    run_alone,
};

/// After so many calls there is everything that is made once.
const FIRST: usize = 20;
/// Calls from there on.
const CALLS: usize = 100;
/// The goal is 2 MB. Some 0.5 are measured, and no more over 400 calls; how full the heap is at either moment
/// moves it by one, and on a busy machine by two.
const GROWTH_MB: f64 = 4.0;

#[derive(Clone, Copy, Debug)]
struct Usage {
    threads: usize,
    descriptors: usize,
    memory_mb: f64,
}

impl Usage {
    fn now() -> Self {
        let entries = |folder| fs::read_dir(folder).unwrap().count();
        let statm = fs::read_to_string("/proc/self/statm").unwrap();
        let pages: f64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
        let descriptors = entries("/proc/self/fd");
        Self { threads: entries("/proc/self/task"), descriptors, memory_mb: pages * 4096.0 / 1e6 }
    }

    async fn at_rest() -> Self {
        // Longer than idle threads are kept.
        sleep(Duration::from_millis(500)).await;
        Self::now()
    }

    /// After an end, threads and sockets need a moment to close.
    async fn settled(limit: &Self) -> Self {
        let end = Instant::now() + LIMIT;
        loop {
            let usage = Self::now();
            let fits = usage.threads <= limit.threads && usage.descriptors <= limit.descriptors;
            if fits || Instant::now() > end {
                return usage;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

#[test]
fn a_hundred_calls_leave_nothing_behind() {
    run_alone("leaks::in_a_process_of_its_own");
}

#[test]
#[ignore = "run by a_hundred_calls_leave_nothing_behind"]
fn in_a_process_of_its_own() {
    // As all programs of this project do.
    ahoy_media::memory::give_back();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_keep_alive(Duration::from_millis(100))
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(many_calls());
}

async fn many_calls() {
    let exchange = Exchange::default();
    // Sound alone, and a picture now and then.
    let picture = || EngineConfig { camera: super::phone::both().camera, ..no_camera() };
    let mut anna = Phone::on(&exchange, "anna", picture());
    let mut ben = Phone::on(&exchange, "ben", no_camera());
    let mut early = None;
    for number in 1..=FIRST + CALLS {
        anna.does(EngineCommand::SetVideo(number % 5 == 0));
        anna.calls(&ben);
        ben.until_incoming().await;
        ben.does(EngineCommand::Accept);
        for phone in [&mut anna, &mut ben] {
            phone.until("sound", |event| matches!(event, CallEvent::FirstAudio { .. }).then_some(())).await;
        }
        let (one, other) = if number % 2 == 0 { (&mut anna, &mut ben) } else { (&mut ben, &mut anna) };
        one.does(EngineCommand::HangUp);
        one.until_ended().await;
        other.until_ended().await;
        anna.seen.clear();
        ben.seen.clear();
        if number == FIRST {
            early = Some(Usage::at_rest().await);
        }
    }
    let early = early.unwrap();
    let late = Usage::settled(&early).await;
    println!("after {FIRST} calls: {early:?}\nafter {}: {late:?}", FIRST + CALLS);
    assert!(late.threads <= early.threads && late.descriptors <= early.descriptors, "{early:?} became {late:?}");
    let growth = late.memory_mb - early.memory_mb;
    println!("memory grew by {growth:.2} MB in {CALLS} calls");
    assert!(growth < GROWTH_MB, "{early:?} became {late:?}");
}
