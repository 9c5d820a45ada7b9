//! One end of a call, whatever it runs in: JSON lines in, JSON lines out.

use std::{any::Any, fmt::Write, time::Duration};

use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::timeout,
};

use crate::process::Log;

/// How long anything may take that a test waits for: a browser's start on a busy machine is the slowest.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Lines of each side that a failure's message shows.
const SHOWN_LINES: usize = 12;

/// One end of a call. It ends when this is dropped.
pub struct Peer {
    name: String,
    to_peer: mpsc::UnboundedSender<Value>,
    from_peer: watch::Receiver<Vec<Value>>,
    log: Log,
    _life: Box<dyn Any + Send + Sync>,
}

/// The other side of a [`Peer`]: what carries its lines.
pub struct Carrier {
    /// Lines for the peer.
    pub to_peer: mpsc::UnboundedReceiver<Value>,
    /// Every line that the peer gave. Dropping it says that the peer has ended.
    pub from_peer: watch::Sender<Vec<Value>>,
}

impl Carrier {
    /// Notes a line of the peer.
    pub fn received(&self, line: Value) {
        self.from_peer.send_modify(|lines| lines.push(line));
    }
}

/// The queues of a peer that is still to be started: its own end, and the one for what will carry its lines.
pub struct Unstarted {
    to_peer: mpsc::UnboundedSender<Value>,
    from_peer: watch::Receiver<Vec<Value>>,
}

/// Makes both ends of a line.
pub fn line() -> (Unstarted, Carrier) {
    let (to_peer, for_carrier) = mpsc::unbounded_channel();
    let (carried, from_peer) = watch::channel(Vec::new());
    (Unstarted { to_peer, from_peer }, Carrier { to_peer: for_carrier, from_peer: carried })
}

impl Unstarted {
    /// The peer, now that it runs. `life` is dropped with it; `log` is what a failure's message quotes.
    pub fn started(self, name: impl Into<String>, log: Log, life: impl Any + Send + Sync) -> Peer {
        let Self { to_peer, from_peer } = self;
        Peer { name: name.into(), to_peer, from_peer, log, _life: Box::new(life) }
    }
}

impl Peer {
    /// Gives the peer a line. One that has ended takes none, and that is no error: ends race with commands.
    pub fn send(&self, line: Value) {
        let _ = self.to_peer.send(line);
    }

    /// Gives the peer a command: `mute`, `camera-off`, `hangup`, …
    pub fn command(&self, command: &str) {
        self.send(json!({ "cmd": command }));
    }

    /// How many lines the peer has given so far: what [`Peer::wait_after`] starts from.
    pub fn position(&self) -> usize {
        self.from_peer.borrow().len()
    }

    /// The lines from `position` on.
    pub fn lines_after(&self, position: usize) -> Vec<Value> {
        self.from_peer.borrow().get(position..).unwrap_or_default().to_vec()
    }

    /// The payloads of all envelopes that the peer sent.
    pub fn sent_payloads(&self) -> Vec<Value> {
        self.from_peer.borrow().iter().filter_map(|line| line.get("payload").cloned()).collect()
    }

    /// Waits for the event called `name`; one that has been counts.
    ///
    /// # Panics
    /// Where it does not come within [`LIMIT`].
    pub async fn event(&self, name: &str) -> Value {
        self.event_after(0, name).await
    }

    /// Waits for the event called `name` among the lines from `position` on.
    ///
    /// # Panics
    /// Where it does not come within [`LIMIT`].
    pub async fn event_after(&self, position: usize, name: &str) -> Value {
        self.wait_after(position, &format!("event {name:?}"), |lines| {
            lines.iter().find(|line| is_event(line, name)).cloned()
        })
        .await
    }

    /// Waits for the event called `name`; one that has been counts. None where it does not come within
    /// `limit`, or the peer ends before.
    pub async fn event_within(&self, limit: Duration, name: &str) -> Option<Value> {
        let named = |lines: &[Value]| lines.iter().find(|line| is_event(line, name)).cloned();
        self.find(0, limit, named).await.ok()
    }

    /// Waits until `judge` finds what it looks for in the lines from `position` on. `what` names it for the
    /// failure.
    ///
    /// # Panics
    /// Where it finds nothing within [`LIMIT`], or the peer ends before.
    pub async fn wait_after<T>(&self, position: usize, what: &str, judge: impl Fn(&[Value]) -> Option<T>) -> T {
        let found = self.find(position, LIMIT, judge).await;
        found.unwrap_or_else(|problem| panic!("{}: no {what}: {problem}{}", self.name, self.recent()))
    }

    /// As [`Peer::wait_after`], with a limit of its own.
    ///
    /// # Errors
    /// Why nothing was found.
    pub async fn find<T>(
        &self,
        position: usize,
        limit: Duration,
        judge: impl Fn(&[Value]) -> Option<T>,
    ) -> Result<T, String> {
        let mut lines = self.from_peer.clone();
        let mut found = None;
        let outcome = timeout(
            limit,
            lines.wait_for(|lines| {
                found = judge(lines.get(position..).unwrap_or_default());
                found.is_some()
            }),
        )
        .await;
        let problem = match outcome {
            Ok(Ok(_)) => String::new(),
            Ok(Err(_)) => "it ended".to_owned(),
            Err(_) => format!("nothing within {limit:?}"),
        };
        found.ok_or(problem)
    }

    /// What the peer said last, for a failure's message.
    pub fn recent(&self) -> String {
        let lines = self.from_peer.borrow();
        let mut text = format!("\n--- last lines of {}\n", self.name);
        let plain: Vec<_> = lines.iter().filter(|line| !is_event(line, "media")).collect();
        for line in plain.iter().skip(plain.len().saturating_sub(SHOWN_LINES)) {
            let _ = writeln!(text, "{line:.400}");
        }
        let log = self.log.text();
        let _ = write!(text, "--- its stderr\n{log}\n---");
        text
    }

    fn envelopes(&self) -> (watch::Receiver<Vec<Value>>, mpsc::UnboundedSender<Value>) {
        (self.from_peer.clone(), self.to_peer.clone())
    }
}

/// Whether `line` is the event called `name`.
pub fn is_event(line: &Value, name: &str) -> bool {
    line.get("event").and_then(Value::as_str) == Some(name)
}

/// Carries the envelopes of each peer to the other, from the first one on, until both have ended.
pub fn connect(one: &Peer, other: &Peer) {
    let (_, whole) = watch::channel(true);
    connect_over(&whole, one, other);
}

/// As [`connect`], from a position of each peer's lines on, and until the result is dropped: peers that hold
/// one call after another are connected anew for each.
pub fn connect_after((one, one_position): (&Peer, usize), (other, other_position): (&Peer, usize)) -> JoinSet<()> {
    let (_, whole) = watch::channel(true);
    let (from_one, to_one) = one.envelopes();
    let (from_other, to_other) = other.envelopes();
    let mut wire = JoinSet::new();
    wire.spawn(carry(whole.clone(), from_one, one_position, to_other));
    wire.spawn(carry(whole, from_other, other_position, to_one));
    wire
}

/// As [`connect`], over a line that can be cut: while `whole` is false, envelopes wait in their order, as in
/// a connection that stands still.
pub fn connect_over(whole: &watch::Receiver<bool>, one: &Peer, other: &Peer) {
    let (from_one, to_one) = one.envelopes();
    let (from_other, to_other) = other.envelopes();
    tokio::spawn(carry(whole.clone(), from_one, 0, to_other));
    tokio::spawn(carry(whole.clone(), from_other, 0, to_one));
}

async fn carry(
    mut whole: watch::Receiver<bool>,
    mut from: watch::Receiver<Vec<Value>>,
    mut position: usize,
    to: mpsc::UnboundedSender<Value>,
) {
    loop {
        // A line whose owner is gone stays as it is.
        if whole.wait_for(|whole| *whole).await.is_err() && !*whole.borrow() {
            return;
        }
        let fresh: Vec<_> = from.borrow_and_update().get(position..).unwrap_or_default().to_vec();
        position += fresh.len();
        for envelope in fresh.into_iter().filter(|line| line.get("payload").is_some()) {
            let _ = to.send(envelope);
        }
        if from.changed().await.is_err() {
            return;
        }
    }
}
