//! Watches the networks of this machine while a call runs.

use std::time::Duration;

use tokio::{task::JoinHandle, time::MissedTickBehavior};
use tracing::{debug, warn};

use super::{Snapshot, signal::Signal};

/// From the first message of the kernel to the look at what there is: one change of network is a dozen
/// messages within some ten milliseconds.
const SETTLE: Duration = Duration::from_millis(100);
/// How often the clock is looked at, to notice that the machine slept.
const BEAT: Duration = Duration::from_secs(1);
/// A beat that is later than this: the machine slept, or this process was stopped. A busy machine is late by
/// less.
const SLEPT: Duration = Duration::from_secs(3);

/// What the monitor saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Observation {
    /// The networks that there are now.
    pub(crate) networks: Snapshot,
    /// The machine has just woken up, or this process was continued.
    pub(crate) woke: bool,
}

/// A running monitor. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Monitor(JoinHandle<()>);

impl Monitor {
    /// Starts on the current tokio runtime. `tell` is called for each change after `known`, and must not
    /// block.
    pub(crate) fn start(known: Snapshot, tell: impl Fn(Observation) + Send + 'static) -> Self {
        Self(tokio::spawn(async move {
            if let Err(error) = watch(known, tell).await {
                warn!(%error, "changes of network are no longer noticed at once");
            }
        }))
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn watch(mut known: Snapshot, tell: impl Fn(Observation)) -> std::io::Result<()> {
    let mut signal = Signal::open()?;
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = uptime();
    // What changed between the first look and the opening of the signal.
    let mut woke = false;
    loop {
        let networks = Snapshot::take();
        if networks != known || woke {
            debug!(?networks, woke, "networks changed");
            known = networks.clone();
            tell(Observation { networks, woke });
        }
        woke = loop {
            tokio::select! {
                changed = signal.changed() => {
                    changed?;
                    tokio::time::sleep(SETTLE).await;
                    break false;
                }
                _ = beat.tick() => {
                    let (before, now) = (last, uptime());
                    last = now;
                    if now.saturating_sub(before) > SLEPT {
                        break true;
                    }
                }
            }
        };
    }
}

/// Time since the machine started, sleep included.
#[cfg(target_os = "linux")]
fn uptime() -> Duration {
    use nix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
}

/// Sleep is noticed by the wall clock, which may also be set.
#[cfg(not(target_os = "linux"))]
fn uptime() -> Duration {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use ahoy_test_support::net::{available, namespace::Namespace};
    use tokio::{sync::mpsc, time::timeout};

    use super::*;

    /// Long after [`SETTLE`], on a busy machine.
    const LIMIT: Duration = Duration::from_secs(5);

    /// Runs `test` in a namespace of its own, with what a monitor there tells.
    fn in_namespace(name: &str, test: impl AsyncFnOnce(&Namespace, mpsc::UnboundedReceiver<Observation>) + Send) {
        if let Err(reason) = available() {
            println!("SKIPPED: {reason}");
            return;
        }
        let namespace = Namespace::new(format!("ahoy-mon{}-{name}", std::process::id()));
        namespace.ip(["link", "add", "eth0", "type", "veth", "peer", "name", "eth1"]);
        namespace.ip(["link", "set", "eth0", "up"]);
        namespace.ip(["link", "set", "eth1", "up"]);
        namespace.enter(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (told, heard) = mpsc::unbounded_channel();
                let _monitor = Monitor::start(Snapshot::take(), move |observation| drop(told.send(observation)));
                // The monitor listens once its task has run.
                tokio::time::sleep(Duration::from_millis(50)).await;
                test(&namespace, heard).await;
            });
        });
    }

    #[test]
    fn an_address_that_comes_or_goes_is_told() {
        in_namespace("one", async |namespace, mut heard| {
            for verb in ["add", "del"] {
                namespace.ip(["addr", verb, "192.0.2.7/24", "dev", "eth0"]);
                let observation = timeout(LIMIT, heard.recv()).await.unwrap().unwrap();
                assert_eq!(observation.networks.has("192.0.2.7".parse().unwrap()), verb == "add");
                assert!(!observation.woke);
            }
        });
    }

    #[test]
    fn a_burst_of_changes_is_told_in_few_words_and_its_end_is_among_them() {
        in_namespace("many", async |namespace, mut heard| {
            for last in 1..=50 {
                namespace.ip(["addr", "add", &format!("192.0.2.{last}/32"), "dev", "eth0"]);
            }
            let mut told = 0;
            loop {
                let observation = timeout(LIMIT, heard.recv()).await.unwrap().unwrap();
                told += 1;
                if observation.networks.has("192.0.2.50".parse().unwrap()) {
                    break;
                }
            }
            assert!(told < 25, "{told} words about 50 changes");
        });
    }

    #[test]
    fn routes_that_change_nothing_for_calls_are_not_told() {
        in_namespace("none", async |namespace, mut heard| {
            for verb in ["add", "del"] {
                namespace.ip(["route", verb, "198.51.100.0/24", "dev", "eth0"]);
            }
            assert!(timeout(10 * SETTLE, heard.recv()).await.is_err(), "told of nothing");
        });
    }

    #[test]
    fn the_clock_that_notices_sleep_goes_on() {
        let before = uptime();
        std::thread::sleep(Duration::from_millis(20));
        assert!(uptime() > before && before > Duration::ZERO);
    }
}
