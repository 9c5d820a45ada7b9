//! The bottlenecks that several flows share, and what is to be reached on each.

use std::time::Duration;

use ahoy_test_support::net::conditions::{Conditions, Schedule};

use super::{
    super::{LONG_DELAY, SHORT_DELAY, call::Media},
    AHOY_CALL, CHROMIUM_CALL,
    Flow::{self, Tcp},
    Goal::{self, FairShare, FrozenBesideChromium, QueueP95, UsedBesideChromium},
    Line,
};

/// Up to three calls run at once here, each with its sender and receiver. Three calls of Chromium at this
/// size keep two cores busy; at the size of a single call they would be limited by the CPU and not by the
/// path.
const MEDIA: Media = Media { format: (640, 360, 30), ceiling_kbps: 4000 };

/// What is to be reached on the paths of RFC 8867.
const RFC8867: &[Goal] = &[UsedBesideChromium, QueueP95(80.0), FrozenBesideChromium(0.5)];

/// Every line of the table.
pub fn all() -> Vec<Line> {
    vec![rfc8867_5_2(), rfc8867_5_4(), rfc8867_5_6(), fairness()]
}

fn line(name: &'static str, conditions: Conditions, mixes: &'static [&'static [Flow]]) -> Line {
    Line {
        name,
        forward: Schedule::constant(conditions),
        back: Schedule::constant(Conditions { rate: None, ..conditions }),
        media: MEDIA,
        mixes,
        starts: vec![Duration::ZERO; 2],
        end: Duration::from_secs(60),
        seed: 7,
        goals: RFC8867,
    }
}

/// Variable available capacity with multiple flows (RFC 8867 section 5.2): two calls, and a capacity of 2
/// Mbit/s times 2, 1, 1.75, 0.5 and 1. Each lasts for 20 s instead of 25.
fn rfc8867_5_2() -> Line {
    let at = |kbps| Conditions::clean(LONG_DELAY).rate_kbps(kbps);
    let capacity = [(0.0, 4000.0), (20.0, 2000.0), (40.0, 3500.0), (60.0, 1000.0), (80.0, 2000.0)];
    Line {
        forward: Schedule::new(capacity.map(|(from, kbps)| (from, at(kbps)))),
        end: Duration::from_secs(100),
        ..line("RFC 8867 5.2", at(4000.0), &[&[AHOY_CALL; 2], &[CHROMIUM_CALL; 2]])
    }
}

/// Competing media flows with the same congestion control algorithm (RFC 8867 section 5.4): three calls on
/// 3.5 Mbit/s, which begin one after the other. The RFC has 20 s between two beginnings and 120 s in all.
fn rfc8867_5_4() -> Line {
    let conditions = Conditions::clean(LONG_DELAY).rate_kbps(3500.0);
    Line {
        starts: vec![Duration::ZERO, Duration::from_secs(15), Duration::from_secs(30)],
        end: Duration::from_secs(80),
        ..line("RFC 8867 5.4", conditions, &[&[AHOY_CALL; 3], &[CHROMIUM_CALL; 3]])
    }
}

/// Media flow competing with a long TCP flow (RFC 8867 section 5.6): on 2 Mbit/s, the call begins 5 s after
/// the TCP flow. The RFC takes 120 s in all.
fn rfc8867_5_6() -> Line {
    let conditions = Conditions::clean(LONG_DELAY).rate_kbps(2000.0);
    Line {
        starts: vec![Duration::from_secs(5), Duration::ZERO],
        end: Duration::from_secs(75),
        ..line("RFC 8867 5.6", conditions, &[&[AHOY_CALL, Tcp], &[CHROMIUM_CALL, Tcp]])
    }
}

/// Two flows of any kind on 2 Mbit/s.
fn fairness() -> Line {
    Line {
        end: Duration::from_secs(45),
        goals: &[FairShare(0.35)],
        ..line(
            "2 Mbit/s for two",
            Conditions::clean(SHORT_DELAY).rate_kbps(2000.0),
            &[
                &[AHOY_CALL, AHOY_CALL],
                &[CHROMIUM_CALL, CHROMIUM_CALL],
                &[AHOY_CALL, CHROMIUM_CALL],
                &[AHOY_CALL, Tcp],
                &[CHROMIUM_CALL, Tcp],
            ],
        )
    }
}
