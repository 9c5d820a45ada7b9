//! Our own side of a call.

use super::Role;
use crate::message::{MediaState, Paused};

/// What all participants of a call are told of us.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local {
    pub(super) role: Role,
    /// What the user wants to send.
    pub(super) media: MediaState,
    /// What our devices give.
    pub(super) available: MediaState,
    /// Why our camera's video is not sent for now.
    pub(super) paused: Option<Paused>,
    /// The user holds the call.
    pub(super) held: bool,
}

impl Local {
    pub(super) fn new(role: Role, media: MediaState) -> Self {
        Self { role, media, available: MediaState::BOTH, paused: None, held: false }
    }

    /// The media that we send, as the other side is told.
    pub(super) fn given(&self) -> MediaState {
        MediaState { video: self.has_video() && self.paused.is_none(), audio: self.media.audio && self.available.audio }
    }

    /// Why our video is not sent; none where it is sent, or where there is no video to send.
    pub(super) fn paused(&self) -> Option<Paused> {
        self.paused.filter(|_| self.has_video())
    }

    fn has_video(&self) -> bool {
        self.media.video && self.available.video
    }
}
