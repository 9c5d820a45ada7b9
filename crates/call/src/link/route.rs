//! Which way a link's media take: from machine to machine, or by a relay. And how long a check takes over it,
//! for as long as nothing better is known of the round trip.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use rtc::{
    peer_connection::transport::{RTCIceCandidate, RTCIceCandidateType},
    statistics::StatsSelector,
};
use serde::{Deserialize, Serialize};
use webrtc::peer_connection::PeerConnection;

use super::{
    Connection,
    incoming::lock,
    outgoing::OutgoingTrack,
    restart::Restarts,
    stack::{Clocks, Stack},
    stats::SharedStats,
};

/// How often the stack is asked, as it does not tell: a new way is shown within this time.
const INTERVAL: Duration = Duration::from_secs(1);

/// Which way media take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// From machine to machine.
    Direct,
    /// By a relay (TURN), of this side's or the other's.
    Relayed,
}

impl Route {
    /// The route of a selected pair; `known` are the candidates that the other side named. A relay whose
    /// check comes before its candidate is known is taken for an address of the peer's own ("peer-reflexive",
    /// RFC 8445 section 7.3.1.3), so its address decides.
    fn of(local: &RTCIceCandidate, remote: &RTCIceCandidate, known: &[RTCIceCandidate]) -> Self {
        let is_relay = |candidate: &RTCIceCandidate| candidate.typ == RTCIceCandidateType::Relay;
        let is_there =
            |candidate: &&RTCIceCandidate| (&candidate.address, candidate.port) == (&remote.address, remote.port);
        let relayed = is_relay(local) || is_relay(remote) || known.iter().filter(is_there).any(is_relay);
        if relayed { Self::Relayed } else { Self::Direct }
    }
}

/// The parts of a stack that are asked.
pub(super) struct Watched {
    connection: Connection,
    track: Arc<OutgoingTrack>,
    clocks: Clocks,
}

impl From<&Stack> for Watched {
    fn from(stack: &Stack) -> Self {
        Self { connection: stack.connection.clone(), track: stack.audio.clone(), clocks: stack.clocks.clone() }
    }
}

/// Keeps the route in `stats` up to date until the link goes down, and what `clocks` know of the round trip
/// until a report tells it.
pub(super) async fn watch(stack: Watched, stats: SharedStats, restarts: Restarts) {
    let Watched { connection, track, clocks } = stack;
    let mut due = tokio::time::interval(INTERVAL);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        // Nothing is selected yet, or any more.
        let Some(ice) = track.ice_transport().await else { continue };
        let Ok(Some(pair)) = ice.get_selected_candidate_pair().await else { continue };
        let known = ice.get_remote_candidates().await.unwrap_or_default();
        stats.lock().route = Some(Route::of(pair.local(), pair.remote(), &known));
        restarts.set_used(base(pair.local()));
        if lock(&clocks).reported_round_trip.is_none()
            && let Some(round_trip) = checked_round_trip(&*connection).await
        {
            lock(&clocks).checked_round_trip = Some(round_trip);
            stats.lock().round_trip = Some(round_trip);
        }
    }
}

/// How long the newest check of the selected pair took (RFC 8445 section 2.2).
async fn checked_round_trip(connection: &dyn PeerConnection) -> Option<Duration> {
    let report = connection.get_stats(Instant::now(), StatsSelector::None).await;
    let pairs = report.candidate_pairs().filter(|pair| pair.nominated && pair.responses_received > 0);
    let newest = pairs.map(|pair| pair.current_round_trip_time).min_by(f64::total_cmp)?;
    Duration::try_from_secs_f64(newest).ok().filter(|newest| !newest.is_zero())
}

/// The address of the socket behind a local candidate: its own, or of a reflexive or relayed one the related
/// address (RFC 8839 section 5.1).
fn base(local: &RTCIceCandidate) -> Option<IpAddr> {
    let own = local.typ == RTCIceCandidateType::Host;
    if own { &local.address } else { &local.related_address }.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_used_address_is_the_sockets() {
        use RTCIceCandidateType::{Host, Relay, Srflx};
        let candidate = |typ, address: &str, related_address: &str| RTCIceCandidate {
            typ,
            address: address.into(),
            related_address: related_address.into(),
            ..Default::default()
        };
        for (candidate, used) in [
            (candidate(Host, "10.0.0.1", ""), Some("10.0.0.1")),
            (candidate(Srflx, "203.0.113.1", "10.0.0.1"), Some("10.0.0.1")),
            (candidate(Relay, "203.0.113.1", "10.0.0.1"), Some("10.0.0.1")),
            (candidate(Relay, "203.0.113.1", ""), None),
        ] {
            assert_eq!(base(&candidate), used.map(|used| used.parse().unwrap()), "{candidate:?}");
        }
    }

    #[test]
    fn a_relay_at_either_end_makes_a_route_relayed() {
        use RTCIceCandidateType::{Host, Prflx, Relay, Srflx};
        let at = |typ, port| RTCIceCandidate { typ, address: "192.0.2.1".into(), port, ..Default::default() };
        for (local, remote, known, route) in [
            (Host, at(Host, 1), vec![at(Host, 1), at(Relay, 2)], Route::Direct),
            (Srflx, at(Prflx, 1), vec![], Route::Direct),
            (Relay, at(Host, 1), vec![at(Host, 1)], Route::Relayed),
            (Host, at(Relay, 2), vec![at(Relay, 2)], Route::Relayed),
            (Host, at(Prflx, 2), vec![at(Host, 1), at(Relay, 2)], Route::Relayed),
            (Prflx, at(Relay, 2), vec![], Route::Relayed),
        ] {
            assert_eq!(Route::of(&at(local, 9), &remote, &known), route, "{local:?} {remote:?} {known:?}");
        }
    }
}
