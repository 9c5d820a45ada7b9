//! Several flows that share one bottleneck: how they divide it, and what each call is like meanwhile.

mod lines;
mod report;

use std::{sync::Arc, time::Duration};

use ahoy_test_support::net::{
    conditions::Schedule,
    path::{Counts, Path},
    tcp::TcpFlow,
};
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::sleep,
};

pub use self::{
    lines::all,
    report::{markdown, row, who},
};
use super::{
    AHOY, CHROMIUM,
    call::{self, Ends, Media, Running, milliseconds},
    measure::{self, Seen},
};
use crate::sample::percentile;

/// A bottleneck, and what shares it.
pub struct Line {
    /// Its name, which a filter on the command line is looked for in.
    pub name: &'static str,
    /// The way of the media.
    pub forward: Schedule,
    /// The way of the feedback.
    pub back: Schedule,
    /// What each call sends.
    pub media: Media,
    /// The flows that share it; each mix is measured by itself.
    pub mixes: &'static [&'static [Flow]],
    /// When each flow of a mix begins, from the start of the path.
    pub starts: Vec<Duration>,
    /// When the measurement ends, from the start of the path.
    pub end: Duration,
    /// Where the chances come from.
    pub seed: u64,
    /// What is to be reached by each mix with a call of Ahoy.
    pub goals: &'static [Goal],
}

/// What sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// A call; its video goes forward.
    Call(Ends),
    /// A TCP connection that always has more to send.
    Tcp,
}

/// Ahoy at both ends of a call.
pub const AHOY_CALL: Flow = Flow::Call(AHOY);
/// Pages in Chromium at both ends of a call.
pub const CHROMIUM_CALL: Flow = Flow::Call(CHROMIUM);

/// What a mix has to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// Every flow has at least this part of a fair share.
    FairShare(f64),
    /// 95 % of the queue's samples at most this, in ms.
    QueueP95(f64),
    /// All calls together use at least as much of the bottleneck as those of Chromium.
    UsedBesideChromium,
    /// The calls are frozen at most this part of the time of Chromium's, in the mean.
    FrozenBesideChromium(f64),
}

/// A call's video is there for this long before it is watched.
const SETTLE: Duration = Duration::from_secs(1);
/// Flows have this long to find their shares once all of them are there.
const SHARING: Duration = Duration::from_secs(10);

/// What one mix was like.
pub struct Outcome {
    /// Each flow.
    pub flows: Vec<FlowOutcome>,
    /// Share of the bottleneck that all calls together used.
    pub used: Option<f64>,
    /// The bottleneck's queue, one value every 10 ms.
    pub queue_ms: Vec<f64>,
    /// What the path did.
    pub forward: Counts,
}

/// What one flow of a mix was like.
pub struct FlowOutcome {
    /// What it is.
    pub flow: Flow,
    /// What it carried while all flows were there.
    pub kbps: f64,
    /// That, by an equal share of the bottleneck.
    pub fair_share: Option<f64>,
    /// What its receiver showed and played; none of a TCP flow, and where the call was not connected.
    pub seen: Option<Seen>,
}

impl Outcome {
    /// The value below which this share of the queue's samples lie, in ms.
    fn queue(&self, share: f64) -> Option<f64> {
        percentile(&self.queue_ms, share)
    }

    /// The share of the time in which the calls were frozen, in the mean. A call that was not connected was
    /// frozen all the time.
    fn frozen(&self) -> Option<f64> {
        let calls = self.flows.iter().filter(|flow| flow.flow != Flow::Tcp);
        let frozen: Vec<f64> = calls.map(|call| call.seen.as_ref().and_then(Seen::frozen).unwrap_or(1.0)).collect();
        (!frozen.is_empty()).then(|| frozen.iter().sum::<f64>() / frozen.len() as f64)
    }
}

/// A flow that runs.
struct Flowing {
    pair: usize,
    /// When it was there, since the start of the path.
    there: Duration,
    /// From when on it is watched, in unix ms.
    since: f64,
    source: Source,
}

enum Source {
    Call(Box<Running>),
    /// Held until the end of the measurement.
    Tcp {
        _flow: TcpFlow,
    },
}

/// Lets the flows of `mix` share the bottleneck of `line`.
///
/// # Panics
/// Where a program cannot be started.
pub async fn hold(line: &Line, mix: &[Flow]) -> Outcome {
    let path = Arc::new(Path::start(mix.len(), line.forward.clone(), line.back.clone(), line.seed));
    let mut starting = JoinSet::new();
    for (pair, (flow, from)) in mix.iter().copied().zip(line.starts.iter().copied()).enumerate() {
        starting.spawn(begin(Arc::clone(&path), pair, flow, from, line.media));
    }
    let mut flowing = starting.join_all().await;
    flowing.sort_by_key(|flow| flow.pair);
    sleep(line.end.saturating_sub(path.elapsed())).await;

    let (end, forward) = (path.elapsed(), path.forward());
    let all_there = flowing.iter().map(|flow| flow.there).max().unwrap_or_default();
    let sharing = all_there + SHARING;
    let fair = line.forward.capacity(sharing, end).map(|bits| bits / mix.len() as f64);
    let flows = flowing.iter().map(|flow| {
        let bits = forward.carried_by(flow.pair, sharing, end) as f64 * 8.0;
        FlowOutcome {
            flow: mix[flow.pair],
            kbps: bits / 1000.0 / end.saturating_sub(sharing).as_secs_f64(),
            fair_share: fair.map(|fair| bits / fair),
            seen: match &flow.source {
                Source::Call(running) if running.is_connected() => Some(running.seen(flow.since)),
                Source::Call(_) | Source::Tcp { .. } => None,
            },
        }
    });
    let flows = flows.collect();
    let calls = || flowing.iter().filter(|flow| mix[flow.pair] != Flow::Tcp);
    let first = calls().map(|call| call.there).min().unwrap_or_default() + SETTLE;
    let by_calls: u64 = calls().map(|call| forward.carried_by(call.pair, first, end)).sum();
    Outcome {
        flows,
        used: line.forward.capacity(first, end).map(|bits| by_calls as f64 * 8.0 / bits),
        queue_ms: forward.queue_between(first, end),
        forward,
    }
}

/// Begins one flow at its time, and returns when it is there.
async fn begin(path: Arc<Path>, pair: usize, flow: Flow, from: Duration, media: Media) -> Flowing {
    sleep(from.saturating_sub(path.elapsed())).await;
    let source = match flow {
        Flow::Call(ends) => Source::Call(Box::new(call::start(&path.pairs[pair], ends, media).await)),
        Flow::Tcp => {
            let on = Arc::clone(&path);
            let flow = spawn_blocking(move || TcpFlow::start(&on.pairs[pair])).await;
            Source::Tcp { _flow: flow.expect("a TCP connection over the path") }
        }
    };
    Flowing { pair, there: path.elapsed(), since: measure::unix_ms() + milliseconds(SETTLE), source }
}
