//! The WebRTC stack as this engine wants it: codecs, timers, interceptors, sockets.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use ahoy_media::audio::opus::VoiceEncoding;
use rtc::{
    ice::mdns::MulticastDnsMode,
    interceptor::{CongestionControlBuilder, ReceiverReportBuilder, TwccReceiverBuilder, TwccSenderBuilder},
    media_stream::MediaStreamTrack,
    peer_connection::configuration::{RTCOfferOptions, interceptor_registry::Slot, media_engine},
    rtp_transceiver::rtp_sender::{
        RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
        RTCRtpHeaderExtensionCapability, RtpCodecKind,
    },
};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc};
use webrtc::{
    error::Result,
    media_stream::track_local::{TrackLocal, static_rtp::TrackLocalStaticRTP},
    peer_connection::{
        MediaEngine, PeerConnection, PeerConnectionBuilder, RTCConfigurationBuilder, RTCIceServer,
        RTCIceTransportPolicy, Registry, SettingEngine, SettingEngineBuilder, SrtpProtectionProfile,
    },
    runtime::Runtime,
};

use super::{
    Connection, Incoming, LinkReport, Tasks,
    addresses::LocalAddresses,
    description::{self, Addresses},
    estimate::{Ceiling, Coverage, CoverageTap, Estimator, ProbeTurn, SendControl},
    impair::{ImpairedRuntime, Impairment},
    incoming::{self, Handler},
    outgoing::{NO_PAYLOAD_TYPE, OutgoingTrack, Voice},
    reader::Reader,
    restart::Restarts,
    rtx::RtxReceiver,
    send::SendInterceptor,
    stats::SharedStats,
    tap::Tap,
};
use crate::{
    message::MediaState,
    rtp::{AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ, clock::WallClock},
};

/// Between connectivity checks. The crate's 200 ms are four lost frames of waiting at each of the three steps
/// to a pair; RFC 8445 section 14.2 allows down to 5 ms a check, and this stays far over it with a dozen
/// candidates.
const ICE_CHECK_INTERVAL: Duration = Duration::from_millis(20);
/// Checks per pair before it is given up: with the interval above 10 s, in which the other side's candidates
/// arrive even over slow signaling.
const ICE_MAX_CHECKS: u16 = 500;
/// Consent and keep-alive (RFC 7675 wants a check at least every 5 s). After an outage the first check that
/// passes opens the path again, so this is also how late sound is back; 2 checks and 2 answers a second are 2
/// kbit/s.
const ICE_KEEPALIVE: Duration = Duration::from_millis(500);
/// Silence after which the link counts as disconnected and an ICE restart is tried: 5 checks of ours and 5 of
/// the other side. At 20 % loss both ways they are all lost once in 500,000 times, by calculation.
const ICE_DISCONNECTED: Duration = Duration::from_millis(2500);
/// Silence after which the stack gives up. The call state's own limit comes first.
const ICE_FAILED: Duration = Duration::from_secs(60);
/// A relay costs somebody money and everybody delay: direct pairs get this head start. (The crate waits 2 s.)
const RELAY_HEAD_START: Duration = Duration::from_millis(300);
/// Between two reports of what arrived when: libwebrtc's middle ground between fresh estimates and 5 % of the
/// rate.
const TWCC_INTERVAL: Duration = Duration::from_millis(50);
/// Payload types as browsers use them, so that a dump reads familiar.
const VP8_PAYLOAD_TYPE: u8 = 96;
const OPUS_PAYLOAD_TYPE: u8 = 111;
const RED_PAYLOAD_TYPE: u8 = 63;
/// Redundant audio (RFC 2198), which the crate has no name for.
pub(super) const MIME_TYPE_RED: &str = "audio/red";
/// Between application and every interceptor of the crate: the tap sees what they all have seen.
const TAP_SLOT: usize = 14_000;
/// Behind all that count what came, before all that look at what it holds.
const RTX_SLOT: usize = 13_500;
/// Before the congestion controller: it is asked about packets as soon as the controller has read their
/// feedback.
const COVERAGE_SLOT: usize = 500;

/// A STUN or TURN server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceServer {
    /// `stun:host:port` or `turn:host:port` (RFC 7064, RFC 7065).
    pub url: String,
    /// For TURN.
    #[serde(default)]
    pub user: String,
    /// For TURN.
    #[serde(default)]
    pub credential: String,
}

/// How a link is made.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// For reflexive and relayed candidates.
    pub ice_servers: Vec<IceServer>,
    /// Only by relay: hides this machine's addresses from the peer.
    pub relay_only: bool,
    /// Only this machine: for tests, and for two peers on one machine without a network.
    pub loopback_only: bool,
    /// What the network does to packets, in tests.
    pub impairment: Option<Impairment>,
    /// Limits of what is sent; the estimator does not probe for more.
    pub ceiling: Ceiling,
    /// How a voice is encoded for a fast and clean path.
    pub voice: VoiceEncoding,
    /// Shared by all links of this program: one of them probes at a time.
    pub probe_turn: ProbeTurn,
}

/// A connection with its two outgoing tracks.
pub(super) struct Stack {
    pub(super) connection: Connection,
    pub(super) video: Arc<OutgoingTrack>,
    pub(super) audio: Arc<OutgoingTrack>,
    pub(super) feedback: Feedback,
    /// What comes in is handed on; off while the call is held.
    pub(super) playing: Switch,
    /// What the two sides described to each other.
    pub(super) session: description::Session,
    /// A stream came that no description declares.
    pub(super) undeclared: Arc<Notify>,
    pub(super) clocks: Clocks,
    formats: Arc<SoundFormats>,
}

/// What sending depends on and the network decides.
#[derive(Clone, Debug)]
pub(super) struct Feedback {
    /// For sender reports.
    pub(super) wall: WallClock,
    pub(super) voice: Voice,
}

/// The streams that we send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ssrcs {
    pub(super) audio: u32,
    pub(super) video: u32,
}

/// Something that one task of a link decides and another goes by.
#[derive(Clone, Debug, Default)]
pub(super) struct Switch(Arc<AtomicBool>);

impl Switch {
    pub(super) fn set(&self, on: bool) {
        self.0.store(on, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Stack {
    /// Payload types are known now, or have changed, by the two sides' descriptions. `received` is what the
    /// other side says that it receives; gives what of that can be sent.
    pub(super) async fn negotiated(&self, received: MediaState) -> MediaState {
        if let Some(local) = self.connection.local_description().await {
            self.formats.learn(&local.sdp);
        }
        let taken = MediaState {
            audio: self.audio.learn_payload_type(received.audio).await,
            video: self.video.learn_payload_type(received.video).await,
        };
        self.feedback.voice.takes_red.set(self.audio.takes_red());
        taken
    }
}

pub(super) fn offer_options(ice_restart: bool) -> RTCOfferOptions {
    RTCOfferOptions { ice_restart }
}

pub(super) async fn build(
    config: &LinkConfig,
    reports: &mpsc::Sender<LinkReport>,
    incoming: Incoming,
    stats: &SharedStats,
    (restarts, control): (&Restarts, &SendControl),
    tasks: &Tasks,
) -> Result<Stack> {
    let mut codecs = codecs()?;
    let session = description::Session::new(addresses(config));
    let (tap, rtcp, undeclared) = Tap::new(session.clone());
    let coverage = Coverage::default();
    let (estimator, estimate) =
        Estimator::new(config.ceiling, config.probe_turn.clone(), coverage.clone(), control.clone());
    let ssrcs = Ssrcs { audio: fastrand::u32(1..), video: fastrand::u32(1..) };
    let interceptors = Registry::new()
        .with(Slot::CongestionControl, CongestionControlBuilder::new(estimator).build())
        .with(Slot::TwccSender, TwccSenderBuilder::new().build())
        .with(Slot::from(COVERAGE_SLOT), Reader::new(CoverageTap::new(coverage)))
        .with(Slot::Pacer, SendInterceptor::new(ssrcs.video, control.clone(), Instant::now()))
        .with(Slot::TwccReceiver, TwccReceiverBuilder::new().with_interval(TWCC_INTERVAL).build())
        .with(Slot::ReceiverReport, ReceiverReportBuilder::new().build())
        .with(Slot::from(RTX_SLOT), Reader::new(RtxReceiver::new(session.clone())))
        .with(Slot::from(TAP_SLOT), Reader::new(tap));
    extensions(&mut codecs)?;

    let (playing, formats, gate) = (Switch::default(), Arc::new(SoundFormats::default()), incoming.gate.clone());
    playing.set(true);
    let handler = Arc::new(Handler::new(
        incoming,
        incoming::Shared {
            ssrcs,
            reports: reports.clone(),
            stats: stats.clone(),
            playing: playing.clone(),
            formats: Arc::clone(&formats),
            session: session.clone(),
            clocks: Clocks::default(),
            restarts: restarts.clone(),
            tasks: tasks.clone(),
        },
    ));
    let runtime: Arc<dyn Runtime> = Arc::new(ImpairedRuntime::new(config.impairment.clone()));
    let connection: Connection = Arc::new(
        PeerConnectionBuilder::new()
            .with_configuration(configuration(config))
            .with_media_engine(codecs)
            .with_setting_engine(settings(config))
            .with_interceptor_registry(interceptors)
            .with_runtime(runtime)
            .with_handler(handler.clone())
            .with_udp_addrs(vec![LocalAddresses { loopback_only: config.loopback_only }])
            .build()
            .await?,
    );
    // Sound first: it is the media section that is never missing.
    let audio = outgoing_track(&*connection, RtpCodecKind::Audio, ssrcs.audio).await?;
    let video = outgoing_track(&*connection, RtpCodecKind::Video, ssrcs.video).await?;
    let now = Instant::now();
    let wall = WallClock::new(now, SystemTime::now());
    let voice = Voice::default();
    let sending = incoming::Sending { gate, voice: voice.clone() };
    let context = incoming::RtcpContext::new(handler.shared(), wall, estimate, sending, config.voice);
    tasks.spawn(incoming::read_rtcp(rtcp, context));
    let feedback = Feedback { wall, voice };
    let clocks = Arc::clone(&handler.shared().clocks);
    Ok(Stack { connection, video, audio, feedback, playing, session, undeclared, clocks, formats })
}

/// The payload types under which sound comes: those that our own description gives (RFC 3264 section 5.1).
#[derive(Debug)]
pub(super) struct SoundFormats {
    opus: AtomicU8,
    red: AtomicU8,
}

impl Default for SoundFormats {
    fn default() -> Self {
        Self { opus: AtomicU8::new(OPUS_PAYLOAD_TYPE), red: AtomicU8::new(RED_PAYLOAD_TYPE) }
    }
}

impl SoundFormats {
    fn learn(&self, local: &str) {
        for (number, codec) in [(&self.opus, "opus"), (&self.red, "red")] {
            // Left out: a packet with this number is of something else.
            let payload_type = description::payload_type(local, RtpCodecKind::Audio, codec);
            number.store(payload_type.unwrap_or(NO_PAYLOAD_TYPE), Ordering::Relaxed);
        }
    }

    pub(super) fn is_opus(&self, payload_type: u8) -> bool {
        self.opus.load(Ordering::Relaxed) == payload_type
    }

    pub(super) fn is_red(&self, payload_type: u8) -> bool {
        self.red.load(Ordering::Relaxed) == payload_type
    }
}

fn vp8() -> RTCRtpCodec {
    let feedback = |typ: &str, parameter: &str| RTCPFeedback { typ: typ.into(), parameter: parameter.into() };
    RTCRtpCodec {
        mime_type: media_engine::MIME_TYPE_VP8.to_owned(),
        clock_rate: VIDEO_CLOCK_HZ,
        channels: 0,
        sdp_fmtp_line: String::new(),
        rtcp_feedback: vec![
            feedback("nack", ""),
            feedback("nack", "pli"),
            feedback("ccm", "fir"),
            feedback("transport-cc", ""),
        ],
    }
}

fn opus() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: media_engine::MIME_TYPE_OPUS.to_owned(),
        clock_rate: AUDIO_CLOCK_HZ,
        // Always 2, whatever is sent (RFC 7587 section 7).
        channels: 2,
        sdp_fmtp_line: description::OPUS_PARAMETERS.to_owned(),
        rtcp_feedback: vec![RTCPFeedback { typ: "transport-cc".into(), parameter: String::new() }],
    }
}

/// Each packet with the one before it, both of Opus.
fn red() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_RED.to_owned(),
        sdp_fmtp_line: format!("{OPUS_PAYLOAD_TYPE}/{OPUS_PAYLOAD_TYPE}"),
        ..opus()
    }
}

fn codecs() -> Result<MediaEngine> {
    let mut engine = MediaEngine::default();
    for (rtp_codec, payload_type, kind) in [
        // Opus first: who sees redundancy preferred uses it even where nothing is lost.
        (opus(), OPUS_PAYLOAD_TYPE, RtpCodecKind::Audio),
        (red(), RED_PAYLOAD_TYPE, RtpCodecKind::Audio),
        (vp8(), VP8_PAYLOAD_TYPE, RtpCodecKind::Video),
    ] {
        engine.register_codec(RTCRtpCodecParameters { rtp_codec, payload_type }, kind)?;
    }
    Ok(engine)
}

fn extensions(engine: &mut MediaEngine) -> Result<()> {
    for kind in [RtpCodecKind::Audio, RtpCodecKind::Video] {
        for uri in description::EXTENSIONS {
            engine.register_header_extension(RTCRtpHeaderExtensionCapability { uri: uri.to_owned() }, kind, None)?;
        }
    }
    Ok(())
}

fn configuration(config: &LinkConfig) -> webrtc::peer_connection::RTCConfiguration {
    let servers = config
        .ice_servers
        .iter()
        .map(|server| RTCIceServer {
            urls: vec![server.url.clone()],
            username: server.user.clone(),
            credential: server.credential.clone(),
        })
        .collect();
    let policy = if config.relay_only { RTCIceTransportPolicy::Relay } else { RTCIceTransportPolicy::All };
    RTCConfigurationBuilder::new().with_ice_servers(servers).with_ice_transport_policy(policy).build()
}

fn settings(config: &LinkConfig) -> SettingEngine {
    let relay_wait = if config.relay_only { Duration::ZERO } else { RELAY_HEAD_START };
    SettingEngineBuilder::new()
        .with_ice_timeouts(Some(ICE_DISCONNECTED), Some(ICE_FAILED), Some(ICE_KEEPALIVE))
        .with_ice_connection_attempts(Some(ICE_CHECK_INTERVAL), Some(ICE_MAX_CHECKS))
        .with_host_acceptance_min_wait(Some(Duration::ZERO))
        .with_srflx_acceptance_min_wait(Some(Duration::ZERO))
        .with_prflx_acceptance_min_wait(Some(Duration::ZERO))
        .with_relay_acceptance_min_wait(Some(relay_wait))
        .with_multicast_dns_mode(MulticastDnsMode::Disabled)
        // A retransmission is the packet once more with another transport-wide number in its header. Under
        // GCM that is one nonce for two messages, which gives the authentication key away (RFC 7714 section
        // 8.4); under counter mode with HMAC it is harmless.
        .with_srtp_protection_profiles(vec![SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80])
        .with_include_loopback_candidate(config.loopback_only)
        // New sockets at each restart, for the addresses that there are then.
        .with_discard_local_candidates_during_ice_restart(true)
        .build()
}

/// The candidates of the other side that can be reached: those of loopback, too, where this machine has
/// nothing else.
fn addresses(config: &LinkConfig) -> Addresses {
    let elsewhere = || {
        rtc::shared::ifaces::ifaces()
            .is_ok_and(|all| all.iter().filter_map(|one| one.addr).any(|addr| !addr.ip().is_loopback()))
    };
    if config.loopback_only || !elsewhere() { Addresses::Loopback } else { Addresses::Network }
}

async fn outgoing_track(connection: &dyn PeerConnection, kind: RtpCodecKind, ssrc: u32) -> Result<Arc<OutgoingTrack>> {
    let (name, codec) = match kind {
        RtpCodecKind::Video => ("video", vp8()),
        _ => ("audio", opus()),
    };
    let encoding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() },
        codec: codec.clone(),
        ..Default::default()
    };
    // One stream id for both: what a browser syncs to each other (RFC 8830).
    let track = MediaStreamTrack::new("ahoy".to_owned(), name.to_owned(), name.to_owned(), kind, vec![encoding]);
    let track = Arc::new(TrackLocalStaticRTP::new(track));
    let sender = connection.add_track(Arc::clone(&track) as Arc<dyn TrackLocal>).await?;
    Ok(Arc::new(OutgoingTrack::new(track, sender, ssrc, codec.mime_type)))
}

/// The reported clocks of the peer's two streams, and which SSRC is which.
pub(super) type Clocks = Arc<Mutex<incoming::PeerClocks>>;
