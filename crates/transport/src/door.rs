//! Where connections come in: who is there, and what for.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use iroh::endpoint::{Connection, Incoming, RecvStream, SendStream};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{
    Contact, Event, Introduction, Newcomer,
    frame::{Answer, Frame, Hello, MAX_CONTROL_BYTES, Status, Verdict},
    guest,
    local::Local,
    peer::{Code, Command, Connected},
    roster::Standing,
    text,
    wire::read_frame,
};

/// Connections that are not greeted yet, at a time.
const ARRIVING: usize = 64;

/// Of these, as many come without having shown that their address is their own (RFC 9000 section 8.1).
const ARRIVING_UNPROVEN: usize = 16;

/// Strangers that are attended to at a time.
const GUESTS: usize = 8;

/// The cryptographic handshake of who comes.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// From then until the first frame is there, whole.
const FIRST_FRAME_LIMIT: Duration = Duration::from_secs(5);

/// Takes connections until the endpoint is closed.
pub(crate) async fn keep(local: Arc<Local>) {
    let arriving = Arc::new(Semaphore::new(ARRIVING));
    let guests = Arc::new(Semaphore::new(GUESTS));
    while let Some(incoming) = local.endpoint.accept().await {
        let Ok(place) = arriving.clone().try_acquire_owned() else {
            incoming.refuse();
            continue;
        };
        let crowded = arriving.available_permits() < ARRIVING - ARRIVING_UNPROVEN;
        if crowded && !incoming.remote_addr_validated() {
            // It comes again with a proof; that it cannot be asked for one means that it has one.
            let _ = incoming.retry();
            continue;
        }
        tokio::spawn(admit(local.clone(), incoming, place, guests.clone()));
    }
}

async fn admit(local: Arc<Local>, incoming: Incoming, place: OwnedSemaphorePermit, guests: Arc<Semaphore>) {
    let Ok(accepting) = incoming.accept() else { return };
    let Ok(Ok(connection)) = timeout(HANDSHAKE_LIMIT, accepting).await else { return };
    let peer = connection.remote_id();
    let standing = local.registry().visit(peer, Instant::now());
    let (standing, guest) = match standing {
        Some(Standing::Blocked) => return Code::Silence.close(&connection),
        None => return Code::TooMuch.close(&connection),
        Some(Standing::Stranger) => match guests.try_acquire_owned() {
            Ok(guest) => (Standing::Stranger, Some(guest)),
            Err(_) => return Code::TooMuch.close(&connection),
        },
        Some(standing) => (standing, None),
    };
    let first = async {
        let (send, mut recv) = connection.accept_bi().await.ok()?;
        Some((send, read_frame(&mut recv, MAX_CONTROL_BYTES).await.ok()?, recv))
    };
    let Ok(Some((send, frame, recv))) = timeout(FIRST_FRAME_LIMIT, first).await else {
        return Code::Protocol.close(&connection);
    };
    drop(place);
    match (standing, frame) {
        (Standing::Contact | Standing::Requested, Frame::Hello(hello)) => {
            if standing == Standing::Requested {
                accepted(&local, &connection, hello.status.clone()).await;
            }
            greet(&local, connection, send, recv, hello).await;
        }
        (_, Frame::Redeem(redeem)) => guest::redeem(&local, connection, send, redeem).await,
        // Who asks a contact, or asks who asks, need not wait for an answer.
        (Standing::Contact | Standing::Requested, Frame::Request(request)) => {
            accepted(&local, &connection, request.status).await;
            let status = local.status.borrow().clone();
            guest::answer(&local, &connection, send, Answer { verdict: Verdict::Accepted, status }).await;
        }
        (Standing::Stranger, Frame::Request(request)) => guest::request(&local, connection, send, request).await,
        (Standing::Stranger, Frame::Hello(_) | Frame::Envelope { .. } | Frame::Message { .. }) => {
            local.registry().dismissal(peer).close(&connection);
        }
        _ => Code::Protocol.close(&connection),
    }
    drop(guest);
}

/// Greets a contact, and hands the connection to its task.
async fn greet(local: &Local, connection: Connection, mut send: SendStream, recv: RecvStream, hello: Hello) {
    let peer = connection.remote_id();
    let task = local.registry().task(peer);
    // Blocked or removed just now.
    let Some(task) = task else { return local.registry().dismissal(peer).close(&connection) };
    let ours = Frame::Hello(local.hello()).encode();
    if !matches!(timeout(FIRST_FRAME_LIMIT, send.write_all(&ours)).await, Ok(Ok(()))) {
        return Code::Protocol.close(&connection);
    }
    let connected = Connected { connection, send, recv, hello, dialled: false };
    // A task that has ended closes the connection by dropping it.
    let _ = task.send(Command::Connected(Box::new(connected)));
}

/// Somebody whom this side had asked is a contact now.
async fn accepted(local: &Arc<Local>, connection: &Connection, status: Status) {
    let newcomer = newcomer(connection, status);
    let known = local.registry().task(newcomer.peer).is_some();
    local.add(Contact { peer: newcomer.peer, whereabouts: newcomer.whereabouts.clone() });
    if !known {
        // Without a reader there is nobody to tell.
        let _ = local.events.send(Event::Introduced { newcomer, by: Introduction::AcceptedRequest }).await;
    }
}

/// Who is at the other end, and what it says of itself.
pub(crate) fn newcomer(connection: &Connection, status: Status) -> Newcomer {
    let mut whereabouts = status.whereabouts.checked();
    whereabouts.prefer(crate::peer::remote_address(connection));
    Newcomer { peer: connection.remote_id(), name: status.name.as_deref().and_then(text::name), whereabouts }
}
