//! The plot of a call over a path: bitrate and capacity, queue, loss and frame size over time, Ahoy beside
//! Chromium.

mod svg;

use std::time::Duration;

use self::svg::{Figure, Panel, Series, Shape};
use super::{Line, measure::Outcome};

/// Ahoy's colour, and Chromium's. They differ in lightness as well.
const COLOURS: [&str; 2] = ["#0b5fc4", "#e8710a"];
const CAPACITY_COLOUR: &str = "#e1e5ea";

/// The axis of time ends at a multiple of this, in seconds.
const X_STEP: f64 = 10.0;
/// The bitrate is the mean of so long.
const BITRATE_SPAN: f64 = 0.5;
/// The queue is the longest of so long.
const QUEUE_SPAN: f64 = 0.25;
/// Loss is the share of the packets of so long.
const LOSS_SPAN: f64 = 1.0;

/// Draws one line's calls as SVG.
pub fn draw(line: &Line, ahoy: &Outcome, chromium: &Outcome) -> String {
    let calls = [("Ahoy", ahoy), ("Chromium", chromium)];
    let end = calls.iter().filter_map(|(_, call)| call.forward.samples.last()).map(|sample| sample.at);
    let end = end.max_by(f64::total_cmp).unwrap_or_default();
    let (width, height, fps) = line.media.format;
    let first = line.forward.at(Duration::ZERO);
    let both = |shape, points: fn(&Outcome) -> Vec<(f64, f64)>| {
        let series = |((name, call), colour): ((&'static str, &Outcome), &'static str)| Series {
            name,
            colour,
            shape,
            points: points(call),
        };
        calls.into_iter().zip(COLOURS).map(series).collect::<Vec<_>>()
    };
    let capacity = Series {
        name: "capacity of the bottleneck",
        colour: CAPACITY_COLOUR,
        shape: Shape::Area,
        points: capacity(line, end),
    };
    Figure {
        title: format!("{}: one call over a path whose capacity changes", line.name),
        subtitle: format!(
            "{width}x{height}@{fps}, ceiling {} kbit/s; {} ms one way, queue of {} ms; both through the same seeded path to a Chromium page",
            line.media.ceiling_kbps,
            first.delay.as_millis(),
            first.queue.as_millis(),
        ),
        x_label: "seconds since the start of the path",
        x_end: (end / X_STEP).ceil() * X_STEP,
        panels: vec![
            Panel::new("Bitrate (Mbit/s)", 0.5, [vec![capacity], both(Shape::Line, bitrate)].concat()),
            Panel::new("Wait in the queue (ms), longest of each quarter second", 50.0, both(Shape::Line, queue)),
            Panel::new("Packets lost (%), of each second", 5.0, both(Shape::Line, loss)),
            Panel::new("Height of the frames shown (lines)", 180.0, both(Shape::Steps, heights)),
        ],
    }
    .to_svg()
}

fn capacity(line: &Line, end: f64) -> Vec<(f64, f64)> {
    let at = |tenth: u32| f64::from(tenth) / 10.0;
    let rate = |at| line.forward.at(Duration::from_secs_f64(at)).rate.unwrap_or_default() / 1e6;
    (0..=(end * 10.0) as u32).map(|tenth| (at(tenth), rate(at(tenth)))).collect()
}

/// Stretches of `span` seconds, from the start of the path until its last whole one.
fn spans(call: &Outcome, span: f64) -> impl Iterator<Item = (Duration, Duration)> {
    let end = call.forward.samples.last().map_or(0.0, |sample| sample.at);
    let count = (end / span) as u32;
    (0..count).map(move |n| {
        let at = |n: u32| Duration::from_secs_f64(f64::from(n) * span);
        (at(n), at(n + 1))
    })
}

fn middle(from: Duration, to: Duration) -> f64 {
    (from + to).as_secs_f64() / 2.0
}

fn bitrate(call: &Outcome) -> Vec<(f64, f64)> {
    let of = |(from, to)| {
        (middle(from, to), call.forward.carried_between(from, to) as f64 * 8.0 / 1e6 / (to - from).as_secs_f64())
    };
    spans(call, BITRATE_SPAN).map(of).collect()
}

fn queue(call: &Outcome) -> Vec<(f64, f64)> {
    let longest = |(from, to)| {
        let longest = call.forward.queue_between(from, to).into_iter().max_by(f64::total_cmp);
        (middle(from, to), longest.unwrap_or_default())
    };
    spans(call, QUEUE_SPAN).map(longest).collect()
}

fn loss(call: &Outcome) -> Vec<(f64, f64)> {
    let share = |(from, to)| Some((middle(from, to), call.forward.missing_between(from, to)? * 100.0));
    spans(call, LOSS_SPAN).filter_map(share).collect()
}

fn heights(call: &Outcome) -> Vec<(f64, f64)> {
    call.seen.heights.iter().map(|(at, lines)| ((at - call.began_ms) / 1000.0, *lines)).collect()
}

#[cfg(test)]
mod tests {
    use ahoy_test_support::net::path::{Counts, Sample};

    use super::*;

    #[test]
    fn bitrate_queue_and_loss_are_those_of_their_time() {
        // A second at 1 Mbit/s without a queue, then one at half of that, with a queue and a tenth of the
        // packets lost.
        let sample = |n: u32| {
            let (first, second) = (n.min(100), n.saturating_sub(100));
            Sample {
                at: f64::from(n) / 100.0,
                queue_ms: if n > 100 { 80.0 } else { 0.0 },
                carried: vec![u64::from(first * 1250 + second * 625)],
                entered: u64::from(first + second),
                missing: u64::from(second / 10),
            }
        };
        let forward = Counts { samples: (0..=200).map(sample).collect(), ..Counts::default() };
        let call = Outcome { forward, ..Outcome::default() };
        let near = |points: Vec<(f64, f64)>, wanted: &[(f64, f64)]| {
            assert_eq!(points.len(), wanted.len(), "{points:?}");
            for (point, wanted) in points.iter().zip(wanted) {
                assert!(
                    (point.0 - wanted.0).abs() < 1e-9 && (point.1 - wanted.1).abs() < 0.02,
                    "{point:?}, not {wanted:?}"
                );
            }
        };
        near(bitrate(&call), &[(0.25, 1.0), (0.75, 1.0), (1.25, 0.5), (1.75, 0.5)]);
        near(queue(&call)[2..6].to_vec(), &[(0.625, 0.0), (0.875, 0.0), (1.125, 80.0), (1.375, 80.0)]);
        near(loss(&call), &[(0.5, 0.0), (1.5, 10.0)]);
    }
}
