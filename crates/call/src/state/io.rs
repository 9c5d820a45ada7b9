//! What goes into a call's state and what comes out of it.

use crate::{
    event::CallEvent,
    id::PeerId,
    message::{Envelope, IceCandidate, MediaState, Paused},
    network::Path,
};

/// What can happen to a call.
#[derive(Clone, Debug)]
pub enum Input {
    /// The user takes the incoming call.
    Accept {
        /// What we are going to send.
        media: MediaState,
    },
    /// The user does not take the incoming call.
    Decline,
    /// The user ends the call, whatever its state.
    HangUp,
    /// The user puts the call on hold.
    Hold,
    /// The user takes the call back from hold.
    Resume,
    /// The user switched microphone or camera.
    SetMedia(MediaState),
    /// What our devices give has changed; at first they are thought to give all. The other side is told that
    /// it does not get what a device does not give, and the link goes on as the user wants: the device may
    /// come back by itself.
    SetAvailable(MediaState),
    /// Our camera's video is not sent for this reason, or is sent again (none). The other side is told.
    SetPaused(Option<Paused>),
    /// Whether the sound that a peer says it sends is heard here, where that has changed; at first it is
    /// thought to be.
    Hears {
        /// Whose sound.
        peer: PeerId,
        /// Whether it is heard.
        hears: bool,
    },
    /// A message came.
    Received {
        /// Who sent it, as the transport knows.
        from: PeerId,
        /// The message.
        envelope: Envelope,
    },
    /// A message could not be sent.
    SendFailed {
        /// Whom it was for.
        to: PeerId,
        /// Why, in words.
        error: String,
    },
    /// A peer link has something to say.
    Link {
        /// Whose link.
        peer: PeerId,
        /// What.
        event: LinkEvent,
    },
    /// The networks of this machine have changed, and the path to a peer with them.
    NetworkChanged {
        /// Whose path.
        peer: PeerId,
        /// What became of it.
        path: Path,
    },
    /// Nothing but time passed.
    Tick,
}

/// What a peer link reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// The offer that `CreateOffer` asked for, set as the local description.
    LocalOffer(String),
    /// The answer to the offer of `AcceptOffer`, set as the local description.
    LocalAnswer(String),
    /// A local candidate was gathered.
    LocalCandidate(IceCandidate),
    /// No more local candidates in this generation.
    LocalCandidatesDone,
    /// ICE and DTLS are up, for the first time or again.
    Connected,
    /// The way is lost, for ICE "disconnected" and "failed" alike; an ICE restart may find another.
    Disconnected,
    /// The link is broken for good: no restart can mend it. Why, in words.
    Failed(String),
    /// The other side's offer or answer cannot be used. Why, in words.
    RemoteDescriptionRefused(String),
    /// A medium that a description of either side has is not part of the call. What happened, in words; a
    /// link says the same once.
    MediumRefused(String),
    /// No description has a section for these media, so sending one of them takes another offer. Reported
    /// after each exchange that leaves any.
    Absent(MediaState),
    /// A candidate of the other side cannot be used. Why, in words.
    CandidateRefused(String),
}

/// What a peer link is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkCommand {
    /// Make the link. The first command of each link.
    Open {
        /// Which end we are.
        role: Role,
    },
    /// Make an offer, set it as the local description, report `LocalOffer`.
    CreateOffer {
        /// With new ICE credentials (RFC 8445 section 9).
        ice_restart: bool,
    },
    /// Set this offer as the remote description, make the answer and set it, report `LocalAnswer`.
    AcceptOffer {
        /// The offer.
        sdp: String,
    },
    /// Set this answer as the remote description.
    AcceptAnswer {
        /// The answer.
        sdp: String,
    },
    /// Take back an offer that was not answered; nothing to do where none is open (RFC 9429 section
    /// 4.1.10.2).
    Rollback,
    /// A candidate of the other side.
    AddCandidate(IceCandidate),
    /// The other side has no more candidates in this generation.
    EndOfCandidates,
    /// What to send from now on; what is off is off on the wire.
    SetSending(MediaState),
    /// Whether to play and show what comes in.
    SetPlaying(bool),
    /// Whether the other side reads the deep redundancy that we write. It is taken not to before this
    /// command.
    SetTakesDred(bool),
    /// Take the link down. The last command of each link.
    Close,
}

/// Which end of a call we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Made the call; impolite in perfect negotiation: its offers win.
    Caller,
    /// Was called; polite: takes its own offer back when offers cross.
    Callee,
}

/// What is to be done for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a message.
    Send {
        /// To whom.
        to: PeerId,
        /// The message.
        envelope: Envelope,
    },
    /// Tell the program that shows the call.
    Event(CallEvent),
    /// Command a peer link.
    Link {
        /// Whose link.
        peer: PeerId,
        /// What it is to do.
        command: LinkCommand,
    },
}
