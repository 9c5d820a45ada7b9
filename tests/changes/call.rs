//! A call between two machines, and how long its sound is away.

use std::time::Duration;

use ahoy_test_support::{
    content::{Content, Level},
    native::{self, Native},
    net::namespace::Namespace,
    peer,
};
use tokio::{sync::watch, time::sleep};

use crate::{end::unix_ms, recording::Recording};

/// The goal: after a change of network, and after the end of an outage, sound is back within this time.
pub const GOAL: Duration = Duration::from_secs(2);

/// Sound under this share of what is usual is away: the concealment of lost packets fades.
const AWAY: f64 = 0.5;
/// The tone is heard above this (root mean square); it is sent at 0.035.
const AUDIBLE: f64 = 0.007;
/// Sound that stays this long is back, in levels of 50 ms.
const BACK: usize = 20;
/// A change shows in what is heard within this time: the jitter buffer is empty, and the concealment has
/// faded.
const SHOWN: Duration = Duration::from_millis(1500);
const POLL: Duration = Duration::from_millis(250);
/// Longer than any restart of ICE; a call whose sound is not back by then has failed.
pub const LIMIT: Duration = Duration::from_secs(15);

/// One end.
pub struct End {
    /// Its `ahoy-peer`.
    pub native: Native,
    recording: Recording,
    /// How loud the other side usually is (root mean square): the tone, and the beeps that hide it once a
    /// second.
    usual: f64,
}

/// A running call. Near calls far.
pub struct Call {
    /// The caller.
    pub near: End,
    /// The callee.
    pub far: End,
    /// False: the signaling stands still.
    pub signaling: watch::Sender<bool>,
}

impl End {
    fn start(machine: &Namespace, role: &str, camera: &str) -> Self {
        let recording = Recording::new();
        let (webm, wav) = (recording.webm().display().to_string(), recording.wav().display().to_string());
        let speaker = format!("file:{wav}");
        // Noise suppression would take the test tone for noise.
        let mut arguments = vec![role, "--processing", "none", "--video", "640x360@30", "--camera", camera];
        arguments.extend(["--speaker", &speaker, "--remote-webm", &webm]);
        let native = native::start_in(machine, arguments);
        Self { native, recording, usual: 0.0 }
    }

    /// What arrived so far.
    pub fn content(&mut self) -> Content {
        self.recording.content()
    }

    /// Waits until the other side's tone was heard for a second, and remembers how loud it is.
    async fn hears(&mut self) {
        let began = unix_ms();
        loop {
            sleep(POLL).await;
            let mut levels: Vec<_> = self.content().levels.iter().rev().take(BACK).map(|level| level.rms).collect();
            levels.sort_by(f64::total_cmp);
            let faintest = levels.first().filter(|_| levels.len() == BACK);
            if let (Some(faintest), Some(median)) = (faintest, levels.get(BACK / 2))
                && *faintest > AWAY * median
                && *median > AUDIBLE
            {
                self.usual = *median;
                return;
            }
            assert!(unix_ms() - began < 30_000.0, "no tone at first{}", self.native.peer.recent());
        }
    }

    /// How long after `moment` (unix ms) the sound was last away; none while it has not been back for a
    /// second.
    fn away_until(&mut self, moment: f64) -> Option<Duration> {
        let heard = self.content().since(moment);
        let away = |level: &Level| level.rms < AWAY * self.usual;
        let last = heard.levels.iter().rposition(away);
        let after = heard.levels.len() - last.map_or(0, |last| last + 1);
        let at = last.and_then(|last| heard.levels.get(last)).map_or(moment, |level| level.at);
        (after >= BACK).then(|| Duration::from_secs_f64((at - moment).max(0.0) / 1000.0))
    }
}

impl Call {
    /// Connects two machines, and waits until both hear each other.
    ///
    /// # Panics
    /// Where they do not.
    pub async fn between(near: &Namespace, far: &Namespace) -> Self {
        Self::with_camera(near, far, "none").await
    }

    /// As [`Call::between`], with a camera at both ends.
    ///
    /// # Panics
    /// As [`Call::between`].
    pub async fn with_camera(near: &Namespace, far: &Namespace, camera: &str) -> Self {
        let (near, far) = (End::start(near, "call", camera), End::start(far, "answer", camera));
        let (signaling, whole) = watch::channel(true);
        peer::connect_over(&whole, &near.native.peer, &far.native.peer);
        let mut this = Self { near, far, signaling };
        tokio::join!(this.near.hears(), this.far.hears());
        this
    }

    /// Waits until both ends hear each other again after `moment` (unix ms), and gives the time it took the
    /// later one.
    ///
    /// # Panics
    /// Where it takes longer than [`LIMIT`].
    pub async fn sound_is_back(&mut self, moment: f64) -> Duration {
        sleep(SHOWN).await;
        loop {
            if let (Some(near), Some(far)) = (self.near.away_until(moment), self.far.away_until(moment)) {
                let took = near.max(far);
                if took > GOAL {
                    println!("sound is back after {took:?}{}", self.recent());
                }
                return took;
            }
            let waited = unix_ms() - moment;
            assert!(waited < LIMIT.as_secs_f64() * 1000.0, "no sound within {LIMIT:?}{}", self.recent());
            sleep(POLL).await;
        }
    }

    /// What both ends said last.
    fn recent(&self) -> String {
        format!("{}{}", self.near.native.peer.recent(), self.far.native.peer.recent())
    }

    /// As [`Call::sound_is_back`], printed, and held against [`GOAL`].
    ///
    /// # Panics
    /// Where it takes longer.
    pub async fn expect_sound(&mut self, what: &str, moment: f64) {
        let took = self.sound_is_back(moment).await;
        println!("{what}: sound is back after {} ms", took.as_millis());
        assert!(took <= GOAL, "{what}: sound is back after {took:?}");
    }
}
