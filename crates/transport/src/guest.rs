//! Invites and contact requests, from both sides.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use iroh::endpoint::{Connection, SendStream};
use tokio::time::timeout;

use crate::{
    Contact, Event, Introduction, Invite, InviteError, Newcomer, Redemption, RequestError, Whereabouts,
    door::newcomer,
    frame::{Answer, Frame, Redeem, Request, Verdict},
    local::Local,
    peer::{Code, Down, greet},
    roster::Standing,
    text,
};

/// Time for an answer to get to who asked, who then closes.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Somebody comes with an invite of ours.
pub(crate) async fn redeem(local: &Arc<Local>, connection: Connection, send: SendStream, redeem: Redeem) {
    let newcomer = newcomer(&connection, redeem.status);
    let verdict = match local.policy.redeem(&redeem.token, &newcomer).await {
        Redemption::Accepted => Verdict::Accepted,
        Redemption::Used => Verdict::Used,
        Redemption::Expired => Verdict::Expired,
        Redemption::Unknown => Verdict::Unknown,
    };
    let status = match verdict {
        Verdict::Accepted => local.status.borrow().clone(),
        _ => Default::default(),
    };
    if verdict == Verdict::Accepted {
        let known = local.registry().task(newcomer.peer).is_some();
        // Before the answer: having it, the other side says hello.
        local.add(Contact { peer: newcomer.peer, whereabouts: newcomer.whereabouts.clone() });
        if !known {
            // Without a reader there is nobody to tell.
            let _ = local.events.send(Event::Introduced { newcomer, by: Introduction::Invite }).await;
        }
    }
    answer(local, &connection, send, Answer { verdict, status }).await;
}

/// A stranger asks to be a contact.
pub(crate) async fn request(local: &Arc<Local>, connection: Connection, send: SendStream, request: Request) {
    let newcomer = newcomer(&connection, request.status);
    let text = request.text.as_deref().and_then(|text| text::line(text, text::MAX_REQUEST_CHARS));
    let allowed = local.registry().may_request(newcomer.peer, Instant::now());
    let kept = allowed && local.policy.request(&newcomer, text.as_deref()).await;
    let verdict = if kept { Verdict::Kept } else { Verdict::Refused };
    answer(local, &connection, send, Answer { verdict, status: Default::default() }).await;
}

/// Answers, and waits until the other side has read it and closes. Who was blocked meanwhile gets no answer.
pub(crate) async fn answer(local: &Local, connection: &Connection, mut send: SendStream, answer: Answer) {
    if local.registry().standing(connection.remote_id()) == Standing::Blocked {
        return Code::Silence.close(connection);
    }
    let written = async {
        send.write_all(&Frame::Answer(answer).encode()).await.ok()?;
        send.finish().ok()?;
        Some(connection.closed().await)
    };
    let _ = timeout(ANSWER_LIMIT, written).await;
    Code::Superseded.close(connection);
}

/// Uses an invite of somebody else.
pub(crate) async fn open(local: &Arc<Local>, invite: &Invite) -> Result<Newcomer, InviteError> {
    let redeem = Redeem { token: invite.token, status: local.status.borrow().clone() };
    let (connection, answer) = ask(local, invite.peer, &invite.whereabouts, Frame::Redeem(redeem))
        .await
        .map_err(|_| InviteError::Unreachable)?;
    match answer.verdict {
        Verdict::Accepted => Ok(welcome(local, &connection, answer)),
        Verdict::Used => Err(InviteError::Used),
        Verdict::Expired => Err(InviteError::Link(crate::LinkError::Expired)),
        Verdict::Unknown | Verdict::Kept | Verdict::Refused => Err(InviteError::Unknown),
    }
}

/// Asks somebody to become a contact. The newcomer, when there was no need to ask.
pub(crate) async fn ask_for_contact(
    local: &Arc<Local>,
    contact: &Contact,
    text: Option<&str>,
) -> Result<Option<Newcomer>, RequestError> {
    if contact.peer == local.me {
        return Err(RequestError::Own);
    }
    // Before the dial: a quick answer is a hello.
    local.registry().request(contact.peer);
    let text = text.and_then(|text| text::line(text, text::MAX_REQUEST_CHARS));
    let request = Request { text, status: local.status.borrow().clone() };
    let (connection, answer) = ask(local, contact.peer, &contact.whereabouts, Frame::Request(request))
        .await
        .map_err(|why| if why == Down::Refused { RequestError::Refused } else { RequestError::Unreachable })?;
    match answer.verdict {
        Verdict::Accepted => Ok(Some(welcome(local, &connection, answer))),
        Verdict::Kept => Ok(None),
        Verdict::Used | Verdict::Expired | Verdict::Unknown | Verdict::Refused => Err(RequestError::Refused),
    }
}

async fn ask(
    local: &Arc<Local>,
    peer: iroh::EndpointId,
    whereabouts: &Whereabouts,
    first: Frame,
) -> Result<(Connection, Answer), Down> {
    let mut whereabouts = local.reachable(whereabouts.clone());
    whereabouts.prefer(local.registry().seen_at(peer));
    let (connection, _, _, answer) = greet(local.endpoint.clone(), whereabouts.to_address(peer), first).await?;
    Code::Superseded.close(&connection);
    match answer {
        Frame::Answer(answer) => Ok((connection, answer)),
        _ => Err(Down::Lost),
    }
}

/// Both are contacts now.
fn welcome(local: &Arc<Local>, connection: &Connection, answer: Answer) -> Newcomer {
    let newcomer = newcomer(connection, answer.status);
    local.add(Contact { peer: newcomer.peer, whereabouts: newcomer.whereabouts.clone() });
    newcomer
}
