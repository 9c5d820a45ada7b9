//! People.

use ahoy_call::engine::EngineCommand;
use ahoy_store::{DisplayName, EndpointId, InviteToken, Request, UnixMs};
use ahoy_transport::Whereabouts;

use super::{
    App,
    call::Running,
    echo,
    network::{entry, invite_notice, key_of, request_notice},
    now, qr,
};
use crate::{
    api::{AppEvent, Contact, ContactRequest, Invite, MediaModeReason, Notice, Presence},
    settings::Values,
};

/// How long an invite is good for: a week is enough for anybody to read a message.
const INVITE_DAYS: i64 = 7;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

impl App {
    /// All contacts, the echo contact first.
    ///
    /// # Errors
    /// The database.
    pub async fn contacts(&self) -> Result<Vec<Contact>, Notice> {
        let kept = self.database(|store| store.contacts()).await?;
        let state = self.state();
        let echo = Contact {
            id: self.echo.id().to_string(),
            name: echo::NAME.to_owned(),
            own_name: None,
            presence: Presence::Online,
            blocked: false,
            echo: true,
            last_seen: None,
        };
        let contact = |contact: ahoy_store::Contact| Contact {
            id: contact.peer.to_string(),
            name: contact.own_name.map_or_else(|| contact.peer.short(), |name| name.to_string()),
            own_name: contact.name.map(|name| name.to_string()),
            presence: state.present.get(&contact.peer).copied().unwrap_or(Presence::Offline),
            blocked: contact.blocked,
            echo: false,
            last_seen: state.last_seen.get(&contact.peer).map(|at| at.0),
        };
        Ok(std::iter::once(echo).chain(kept.into_iter().map(contact)).collect())
    }

    /// Whom a contact's id means, if that contact can be called now.
    pub(super) async fn callable(&self, contact: &str) -> Result<EndpointId, Notice> {
        if self.settings().video_disabled {
            let todo = "Switch calls on again in the settings.";
            return Err(Notice::new("calls-disabled", "You have disabled calls.", todo));
        }
        if self.current_media_mode().why == MediaModeReason::WebviewCannot {
            return Err(Notice::new(
                "webview-cannot",
                "This webview has no WebRTC of its own.",
                "Switch on Ahoy's own calls in the settings.",
            ));
        }
        let peer = parse(contact)?;
        if peer == self.echo.id() {
            return Ok(peer);
        }
        match self.database(move |store| store.contact(peer)).await? {
            Some(contact) if contact.blocked => {
                Err(Notice::new("contact-blocked", "You have blocked this contact.", "Unblock the contact to call it."))
            }
            Some(contact) if self.state().present.get(&peer) == Some(&Presence::NoCalls) => Err(Notice::new(
                "contact-no-calls",
                format!("{} takes no calls.", contact.shown_name()),
                "You see when calls can be taken again: the call buttons are back then.",
            )),
            Some(_) => Ok(peer),
            None => Err(unknown()),
        }
    }

    /// Who asks to be a contact.
    ///
    /// # Errors
    /// The database.
    pub async fn requests(&self) -> Result<Vec<ContactRequest>, Notice> {
        let kept = self.database(|store| store.requests()).await?;
        let request = |request: Request| ContactRequest {
            id: request.peer.to_string(),
            name: request.own_name.map_or_else(|| request.peer.short(), |name| name.to_string()),
            text: request.text.map(|text| text.to_string()).unwrap_or_default(),
            at: request.received_at.0,
        };
        Ok(kept.into_iter().map(request).collect())
    }

    /// Calls a contact by another name; by its own again if the name is empty.
    ///
    /// # Errors
    /// No such contact, or the database.
    pub async fn contacts_rename(&self, id: &str, name: &str) -> Result<(), Notice> {
        let (peer, name) = (self.real(id)?, DisplayName::new(name));
        self.database(move |store| store.rename_contact(peer, name.as_ref())).await?;
        self.tell_contacts().await
    }

    /// Removes a contact.
    ///
    /// # Errors
    /// The echo contact, or the database.
    pub async fn contacts_remove(&self, id: &str) -> Result<(), Notice> {
        let peer = self.real(id)?;
        self.database(move |store| store.remove_contact(peer)).await?;
        if let Some(key) = key_of(peer) {
            self.part_from(peer);
            self.transport.remove_contact(key);
        }
        self.tell_contacts().await
    }

    /// Blocks a key, or unblocks it.
    ///
    /// # Errors
    /// The echo contact, or the database.
    pub async fn contacts_block(&self, id: &str, blocked: bool) -> Result<(), Notice> {
        let peer = self.real(id)?;
        self.database(move |store| if blocked { store.block(peer, now()) } else { store.unblock(peer).map(drop) })
            .await?;
        self.part_from(peer);
        match (key_of(peer), blocked) {
            (Some(key), true) => self.transport.block(key),
            (Some(key), false) => self.transport.unblock(key),
            (None, _) => {}
        }
        self.tell_requests().await?;
        self.tell_contacts().await
    }

    /// Makes a contact of somebody who asks, or forgets the request.
    ///
    /// # Errors
    /// No such request, or the database.
    pub async fn request_answer(&self, id: &str, accept: bool) -> Result<(), Notice> {
        let peer = parse(id)?;
        let contact = self.database(move |store| match accept {
            true => store.accept_request(peer, now()).and_then(|()| store.contact(peer)),
            false => store.decline_request(peer).map(|_| None),
        });
        if let Some(entry) = contact.await?.and_then(|contact| entry(peer, &contact.whereabouts)) {
            self.transport.add_contact(entry);
        }
        self.tell_requests().await?;
        self.tell_contacts().await
    }

    /// Adds a contact by an invite.
    ///
    /// # Errors
    /// A link that is of no use, or nobody to be reached.
    pub async fn contacts_add(&self, link: &str) -> Result<Contact, Notice> {
        let newcomer = self.transport.open_invite(link.trim()).await.map_err(invite_notice)?;
        let id = self.remember(&newcomer).await?.to_string();
        self.tell_contacts().await?;
        self.contacts().await?.into_iter().find(|contact| contact.id == id).ok_or_else(unknown)
    }

    /// Asks somebody on this network to be a contact.
    ///
    /// # Errors
    /// Nobody to be reached.
    pub async fn nearby_add(&self, id: &str) -> Result<(), Notice> {
        let key = key_of(parse(id)?).ok_or_else(unknown)?;
        let contact = ahoy_transport::Contact { peer: key, whereabouts: Whereabouts::default() };
        match self.transport.request_contact(&contact, None).await.map_err(request_notice)? {
            Some(newcomer) => {
                self.remember(&newcomer).await?;
                self.tell_contacts().await
            }
            None => {
                let peer = super::network::id_of(key);
                self.database(move |store| store.ask(peer, now())).await?;
                let todo = "You will see each other as contacts as soon as the request is accepted.";
                let notice = Notice::new("request-sent", "Your request was sent.", todo);
                self.tell(AppEvent::Notice { notice });
                Ok(())
            }
        }
    }

    /// Makes an invite.
    ///
    /// # Errors
    /// Too many are open, or the database.
    pub async fn invite_create(&self) -> Result<Invite, Notice> {
        let bytes: [u8; InviteToken::BYTES] = rand::random();
        let at = now();
        let expires = UnixMs(at.0 + INVITE_DAYS * DAY_MS);
        // Kept before it is shown: a link that is out must be good.
        self.database(move |store| store.issue_invite(InviteToken::from(bytes), at, expires)).await?;
        let expires_at_ms = u64::try_from(expires.0).unwrap_or(u64::MAX);
        let link = self.transport.invite(bytes.into(), expires_at_ms).to_link();
        Ok(Invite { qr_svg: qr::svg(&link)?, link, expires_at: expires.0 })
    }

    /// What the user wants to be seen as.
    ///
    /// # Errors
    /// What nobody can say of themselves.
    pub async fn presence_set(&self, presence: Presence) -> Result<(), Notice> {
        let wanted = match presence {
            Presence::Online | Presence::Away => presence,
            // That is a setting: it also keeps the ringing off, and lasts until it is taken back.
            Presence::DoNotDisturb => Presence::Online,
            Presence::Offline | Presence::Busy | Presence::InCall | Presence::NoCalls => {
                let todo = "Choose online, away or do not disturb.";
                return Err(Notice::new("presence-refused", "You cannot be seen as that.", todo));
            }
        };
        self.state().presence = wanted;
        let quiet = presence == Presence::DoNotDisturb;
        if self.settings().do_not_disturb != quiet {
            self.settings_set(Values::from_iter([("doNotDisturb".to_owned(), quiet.into())])).await?;
        }
        self.publish_presence();
        Ok(())
    }

    /// Hangs up on somebody who is no contact any more, or blocked, and forgets where it was.
    fn part_from(&self, peer: EndpointId) {
        let mut state = self.state();
        state.present.remove(&peer);
        let talks = |running: &Running| running.call.end.is_none() && running.call.peer == peer.to_string();
        if state.running.as_ref().is_some_and(talks) {
            state.caller.command(EngineCommand::HangUp);
        }
    }

    pub(super) async fn tell_contacts(&self) -> Result<(), Notice> {
        let contacts = self.contacts().await?;
        self.tell(AppEvent::Contacts { contacts });
        // Who became a contact is not somebody new on this network any more.
        let has_nearby = !self.state().nearby.is_empty();
        if has_nearby { self.tell_nearby().await } else { Ok(()) }
    }

    pub(super) async fn tell_requests(&self) -> Result<(), Notice> {
        let requests = self.requests().await?;
        self.tell(AppEvent::Requests { requests });
        Ok(())
    }

    /// What somebody is shown as.
    pub(super) async fn peer_name(&self, peer: EndpointId) -> String {
        let contact = self.database(move |store| store.contact(peer)).await.ok().flatten();
        contact.map_or_else(|| self.nameless(peer), |contact| contact.shown_name())
    }

    /// What somebody without a name is shown as.
    pub(super) fn nameless(&self, peer: EndpointId) -> String {
        if peer == self.echo.id() { echo::NAME.to_owned() } else { peer.short() }
    }

    /// Whom an id means, if it is not the echo contact, which cannot be changed.
    fn real(&self, id: &str) -> Result<EndpointId, Notice> {
        let peer = parse(id)?;
        if peer == self.echo.id() {
            return Err(Notice::new("echo-stays", "The echo contact is a part of Ahoy.", "It can only be called."));
        }
        Ok(peer)
    }
}

pub fn parse(id: &str) -> Result<EndpointId, Notice> {
    id.parse().map_err(|_| unknown())
}

pub fn unknown() -> Notice {
    Notice::new("no-contact", "There is no such contact (any more).", "Add it again by an invite.")
}
