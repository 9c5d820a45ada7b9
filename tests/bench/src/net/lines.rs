//! The paths that calls are held over, and what is to be reached on each.

use std::time::Duration;

use ahoy_test_support::net::conditions::{Conditions, Schedule};

use super::{
    AHOY, CHROMIUM, Ends,
    Goal::{self, Concealed, Found, Fps, Frozen, FrozenBesideChromium, Kbps, QueueP95, Used, UsedBesideChromium},
    LONG_DELAY, Line, MEDIA, Media, RECEIVING, SENDING, SHORT_DELAY,
};

const ALL: &[Ends] = &[SENDING, CHROMIUM, RECEIVING];
const ALL_AND_AHOY: &[Ends] = &[SENDING, CHROMIUM, RECEIVING, AHOY];

/// For paths on which one call can have more than the usual ceiling.
const FAST_MEDIA: Media = Media { ceiling_kbps: 4000, ..MEDIA };

/// The line that is plotted.
pub const RFC8867_5_1: &str = "RFC 8867 5.1";

/// Every line of the table.
pub fn all() -> Vec<Line> {
    let clean = || Conditions::clean(SHORT_DELAY);
    let long = || Conditions::clean(LONG_DELAY);
    let slow: &[Goal] = &[Frozen(0.05), FrozenBesideChromium(1.0), QueueP95(80.0), Used(0.85), Concealed(0.01)];
    let lossy: &[Goal] = &[FrozenBesideChromium(0.5)];
    let line = |name, conditions: Conditions, goals| Line {
        // What goes back is feedback and sound: it is late and lossy as well, but not slow.
        back: Schedule::constant(Conditions { rate: None, ..conditions }),
        ..steady(name, conditions, goals)
    };
    vec![
        line("300 kbit/s", clean().rate_kbps(300.0), slow),
        line("500 kbit/s", clean().rate_kbps(500.0), slow),
        line("1000 kbit/s", clean().rate_kbps(1000.0), slow),
        Line {
            media: FAST_MEDIA,
            settle: Duration::from_secs(1),
            ..line("3 Mbit/s from the start", clean().rate_kbps(3000.0), &[Found(3.0), QueueP95(80.0)])
        },
        rfc8867_5_1(),
        line(
            "jitter 0 to 60 ms",
            Conditions { jitter: Duration::from_millis(60), ..clean() },
            &[Frozen(0.03), FrozenBesideChromium(1.0), Fps(27.0)],
        ),
        Line {
            ends: &[AHOY, CHROMIUM],
            ..line("10 % loss, 40 ms, Ahoy to Ahoy", clean().loss(0.1), &[Fps(27.0), Frozen(0.02), Kbps(1200.0)])
        },
        Line { ends: ALL_AND_AHOY, ..line("5 % loss, 100 ms", long().loss(0.05), lossy) },
        Line {
            ends: ALL_AND_AHOY,
            ..line("10 % loss, 100 ms", long().loss(0.1), &[FrozenBesideChromium(0.5), Kbps(1200.0)])
        },
        Line { ends: ALL_AND_AHOY, ..line("20 % loss, 100 ms", long().loss(0.2), lossy) },
        Line {
            ends: ALL_AND_AHOY,
            ..line("10 % loss in bursts of 4, 100 ms", Conditions { burst: 4.0, ..long().loss(0.1) }, lossy)
        },
    ]
}

/// The same conditions from beginning to end, 40 ms round trip unless they say otherwise.
fn steady(name: &'static str, conditions: Conditions, goals: &'static [Goal]) -> Line {
    Line {
        name,
        forward: Schedule::constant(conditions),
        back: Schedule::constant(conditions),
        media: MEDIA,
        settle: Duration::from_secs(3),
        watch: Duration::from_secs(20),
        seed: 7,
        ends: ALL,
        goals,
    }
}

/// Variable available capacity with a single flow (RFC 8867 section 5.1).
fn rfc8867_5_1() -> Line {
    let at = |kbps| Conditions::clean(LONG_DELAY).rate_kbps(kbps);
    Line {
        forward: Schedule::new([(0.0, at(1000.0)), (40.0, at(2500.0)), (60.0, at(600.0)), (80.0, at(1000.0))]),
        back: Schedule::constant(Conditions::clean(LONG_DELAY)),
        media: FAST_MEDIA,
        settle: Duration::from_secs(1),
        watch: Duration::from_secs(95),
        ..steady(RFC8867_5_1, at(1000.0), &[Used(0.85), UsedBesideChromium, QueueP95(80.0), FrozenBesideChromium(0.5)])
    }
}
