//! The media side of the one call that can run: its devices, its links, and what goes from the ones to the
//! others.

use std::{collections::HashMap, sync::Arc, time::Instant};

use ahoy_media::{audio::mixer::MixerError, units::Bitrate, webm::hub::Hub};
use tokio::sync::mpsc;

use super::{
    EngineConfig, PeerStats, VideoEncoding, VideoLimit,
    actor::Notice,
    hearing::Hearing,
    judge::Judge,
    keyframes::KeyFrameLimiter,
    local::LocalMedia,
    remote::{self, RemoteSound},
    remote_stream,
    roaming::Networks,
    routes::Routes,
};
use crate::{
    id::{CallId, PeerId},
    link::{Ceiling, Estimate, LinkConfig, PeerLink, Reports},
    message::{MediaState, Paused},
    network::{Observation, Path},
    quality::NetworkState,
    rtp::voice::for_both,
    state::LinkCommand,
};

type Notices = mpsc::UnboundedSender<Notice>;

/// What sound takes of the estimate while its plan is not known, headers included; video gets the rest.
const SOUND_SHARE: Bitrate = Bitrate::from_kbps(75);
/// Share of video's packets that is headers: 58 bytes of some 1,000.
const HEADERS: f64 = 0.06;

/// One participant's link and the place of its sound.
pub(super) struct Peer {
    pub(super) link: Arc<PeerLink>,
    /// None: the mixer had no place for it.
    pub(super) sound: Option<RemoteSound>,
    /// What it is to get.
    pub(super) sending: MediaState,
    /// What it takes; until that is agreed, it is thought to take all.
    pub(super) takes: MediaState,
    /// Somebody holds the call with it.
    pub(super) held: bool,
    pub(super) estimate: Option<Estimate>,
    pub(super) hearing: Hearing,
    pub(super) judge: Judge,
}

impl Peer {
    /// What of ours arrives somewhere.
    fn gets(&self) -> MediaState {
        let Self { sending, takes, .. } = self;
        MediaState { audio: sending.audio && takes.audio, video: sending.video && takes.video }
    }

    fn stats(&self, peer: &PeerId, video: Option<VideoEncoding>) -> PeerStats {
        PeerStats {
            peer: peer.clone(),
            link: self.link.stats(),
            estimate: self.estimate,
            audio: self.sound.as_ref().map(RemoteSound::stats).unwrap_or_default(),
            video: video.filter(|_| self.gets().video),
        }
    }
}

/// The one call that can run, as far as media goes.
pub(super) struct Running {
    pub(super) id: CallId,
    pub(super) local: LocalMedia,
    pub(super) routes: Routes,
    pub(super) peers: HashMap<PeerId, Peer>,
    pub(super) key_frames: KeyFrameLimiter,
    /// What the call state was last told of our video.
    pub(super) paused: Option<Paused>,
    /// Somebody who sends one message that cannot be read will send many.
    pub(super) told_bad_message: bool,
    networks: Networks,
}

impl Running {
    /// Opens the speaker; the other devices wait until somebody is to get what they give.
    pub(super) fn start(id: CallId, config: &EngineConfig, hub: &Hub, notices: &Notices) -> Self {
        let routes = Routes::new(notices.clone());
        let local = LocalMedia::start(id.clone(), config, hub, &routes, notices);
        let key_frames = KeyFrameLimiter::default();
        let networks = Networks::watch(id.clone(), config.loopback_only, notices.clone());
        let peers = HashMap::new();
        Self { id, local, routes, peers, key_frames, paused: None, told_bad_message: false, networks }
    }

    /// Makes the link to a peer, with a place for its sound and a stream for its pictures.
    ///
    /// # Errors
    /// The link is there, but the mixer has no place for its sound.
    pub(super) fn open_link(
        &mut self,
        peer: &PeerId,
        config: &EngineConfig,
        hub: &Hub,
        notices: &Notices,
    ) -> Result<(), MixerError> {
        let echo = config.echo.then(|| self.routes.clone());
        let (sound, heard) = match RemoteSound::new(self.local.mixer()) {
            Ok(sound) => (Some(sound), Ok(())),
            Err(error) => (None, Err(error)),
        };
        let stream = remote_stream(&self.id, peer);
        let sinks = remote::sinks(hub, stream, sound.as_ref(), peer.clone(), notices.clone(), echo);
        let (link, reports) = PeerLink::spawn(link_config(config, peer), sinks);
        tokio::spawn(forward(reports, self.id.clone(), peer.clone(), notices.clone()));
        let link = Arc::new(link);
        self.routes.add(peer.clone(), Arc::clone(&link));
        let (sending, takes) = (MediaState::NONE, MediaState::BOTH);
        let (hearing, judge) = (Hearing::new(Instant::now()), Judge::new(Instant::now()));
        let peer_state = Peer { link, sound, sending, takes, held: false, estimate: None, hearing, judge };
        self.peers.insert(peer.clone(), peer_state);
        heard
    }

    /// What is measured of each peer.
    pub(super) fn stats(&self) -> Vec<PeerStats> {
        let video = self.local.video_encoding();
        self.peers.iter().map(|(peer, state)| state.stats(peer, video)).collect()
    }

    /// What one peer gets; the devices follow what all get together.
    pub(super) fn set_sending(&mut self, peer: &PeerId, media: MediaState) {
        self.change(peer, |peer| peer.sending = media);
    }

    /// What the other side has agreed to take. A camera that nobody watches is closed.
    pub(super) fn set_takes(&mut self, peer: &PeerId, media: MediaState) {
        self.change(peer, |peer| peer.takes = media);
    }

    fn change(&mut self, peer: &PeerId, change: impl FnOnce(&mut Peer)) {
        let mut begins = false;
        if let Some(peer) = self.peers.get_mut(peer) {
            let before = peer.gets();
            change(peer);
            begins = peer.gets().video && !before.video;
        }
        self.update_sending();
        if begins {
            // Where the encoder has been running for others, this peer missed its last key frame.
            self.key_frames.want_at_once(Instant::now());
            self.make_key_frame();
        }
    }

    pub(super) fn set_held(&mut self, peer: &PeerId, held: bool) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.held = held;
            peer.hearing.set_held(held);
            peer.judge.set_held(held);
        }
        self.update_sending();
    }

    pub(super) fn update_sending(&mut self) {
        let any = |wanted: fn(&MediaState) -> bool| self.peers.values().any(|peer| wanted(&peer.gets()));
        let all = MediaState { audio: any(|media| media.audio), video: any(|media| media.video) };
        self.local.want(all);
        for peer in self.peers.values() {
            // Muted for all, the microphone itself gives silence, and its last packets let the other side
            // fade out instead of guessing; muted for one alone, or held, the gate of that link is what
            // closes.
            let silence = !all.audio && !peer.held;
            let media = MediaState { audio: peer.sending.audio || silence, ..peer.sending };
            peer.link.command(LinkCommand::SetSending(media));
        }
    }

    /// Whose path has changed with the networks of this machine, and how.
    pub(super) fn roam(&mut self, observation: Observation) -> Vec<(PeerId, Path)> {
        let used = self.peers.iter().map(|(id, peer)| (id.clone(), peer.link.used_address()));
        self.networks.change(observation, used)
    }

    /// Who is heard no more, or again.
    pub(super) fn listen(&mut self, now: Instant) -> Vec<(PeerId, bool)> {
        let heard = |(id, peer): (&PeerId, &mut Peer)| {
            // Without a place in the mixer nobody is heard, which is told by itself.
            let level = peer.sound.as_ref().map_or(1.0, RemoteSound::level);
            Some((id.clone(), peer.hearing.look(now, peer.link.stats().audio_in_packets, level)?))
        };
        self.peers.iter_mut().filter_map(heard).collect()
    }

    /// How well the network carries the call with each peer, where a person would notice that it has changed.
    pub(super) fn judge(&mut self, now: Instant) -> Vec<(PeerId, NetworkState)> {
        let video = self.local.video_encoding();
        let judged = |(id, peer): (&PeerId, &mut Peer)| {
            if !peer.judge.is_due(now) {
                return None;
            }
            let stats = peer.stats(id, video);
            Some((id.clone(), peer.judge.look(now, stats)?))
        };
        self.peers.iter_mut().filter_map(judged).collect()
    }

    /// When there is something to do, if nothing else happens before.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let listen = self.peers.values().map(|peer| peer.hearing.next_deadline());
        let judge = self.peers.values().map(|peer| peer.judge.next_deadline());
        listen.chain(judge).chain(self.key_frames.next_deadline()).min()
    }

    pub(super) fn make_key_frame(&mut self) {
        if self.key_frames.take(Instant::now()) {
            self.local.request_key_frame();
        }
    }

    /// Sends no more than this of the camera from now on, to all.
    pub(super) fn set_limit(&mut self, limit: VideoLimit) {
        self.local.set_limit(Instant::now(), limit);
        for peer in self.peers.values() {
            peer.link.set_ceiling(Ceiling { video: limit.bitrate, total: limit.total });
        }
        self.adapt(limit.bitrate);
    }

    /// The one encoder goes by the slowest path.
    pub(super) fn adapt(&mut self, ceiling: Bitrate) {
        let video = |peer: &Peer| {
            let voice = peer.link.stats().voice.map_or(SOUND_SHARE, |plan| plan.wire_rate());
            Some(video_share(peer.estimate?, voice))
        };
        if let Some(slowest) = self.peers.values().filter_map(video).min_by_key(|rate| rate.bps()) {
            self.local.set_bitrate(Instant::now(), slowest.min(ceiling));
        }
        let plans = self.peers.values().filter_map(|peer| peer.link.stats().voice);
        if let Some(encoding) = plans.map(|plan| plan.encoding).reduce(for_both) {
            self.local.set_voice(encoding);
        }
    }
}

/// What the video encoder may make of an estimate: sound, headers and repairs come first.
fn video_share(estimate: Estimate, voice: Bitrate) -> Bitrate {
    let rest = estimate.target.bps().saturating_sub(voice.bps()) as f64;
    Bitrate::from_bps((rest * (1.0 - HEADERS) * (1.0 - estimate.protection)) as u64)
}

fn link_config(config: &EngineConfig, peer: &PeerId) -> LinkConfig {
    LinkConfig {
        ice_servers: config.ice_servers.clone(),
        relay_only: config.relay_only && config.same_machine.as_ref() != Some(peer),
        loopback_only: config.loopback_only,
        impairment: config.impairment.clone(),
        ceiling: Ceiling { video: config.bitrate, total: config.total },
        voice: config.opus.encoding(),
        probe_turn: config.probe_turn.clone(),
    }
}

/// Names the call and the peer of a link's reports.
async fn forward(mut reports: Reports, call: CallId, peer: PeerId, notices: Notices) {
    while let Some(report) = reports.recv().await {
        let notice = Notice::Link { call: call.clone(), peer: peer.clone(), report };
        if notices.send(notice).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use ahoy_media::{
        audio::{opus::OpusSettings, process::ProcessingSettings, speaker::SpeakerSpec},
        units::VideoFormat,
    };

    use super::*;
    use crate::link::ProbeTurn;

    #[test]
    fn only_what_is_on_this_machine_may_know_its_addresses() {
        for (relay_only, peer, relayed) in
            [(true, "away", true), (true, "here", false), (false, "away", false), (false, "here", false)]
        {
            let config = EngineConfig {
                camera: None,
                microphone: None,
                speaker: SpeakerSpec::None,
                video: VideoFormat::HD,
                largest: None,
                bitrate: Bitrate::from_kbps(1000),
                total: None,
                processing: ProcessingSettings::OFF,
                opus: OpusSettings::default(),
                ice_servers: Vec::new(),
                relay_only,
                same_machine: Some("here".into()),
                loopback_only: true,
                impairment: None,
                own_picture: false,
                echo: false,
                probe_turn: ProbeTurn::default(),
            };
            assert_eq!(link_config(&config, &peer.into()).relay_only, relayed, "{relay_only} {peer}");
        }
    }
}
