//! One side of a call: an `ahoy-peer` of its own, or a page that is held open for many calls.

use std::time::Duration;

use ahoy_test_support::{
    browser::{self, Browser, Options, Role},
    native::{self, Native},
    peer::{Peer, is_event},
};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::{Party, plan::Plan};

/// A page holds so many calls before another one takes its place.
const CALLS_OF_A_PAGE: usize = 50;

/// Exit codes of `ahoy-peer`: the call ended as one side wished; no call came about.
const NORMAL: i32 = 0;
const NO_CONNECTION: i32 = 3;

/// The open pages, each with the number of its calls. A page serves both roles, so a pair with one page needs
/// only the first.
#[derive(Default)]
pub struct Pages([Option<(Browser, usize)>; 2]);

impl Pages {
    /// Opens the pages that `plan` needs, and closes those that have held enough calls.
    pub async fn prepare(&mut self, plan: &Plan) {
        for (page, party) in self.0.iter_mut().zip(seats(plan)) {
            page.take_if(|(_, calls)| *calls >= CALLS_OF_A_PAGE);
            if party == Some(Party::Chromium) {
                let (_, calls) = match page {
                    Some(page) => page,
                    None => page.insert((browser::open(&Options::new(Role::Answer)).await, 0)),
                };
                *calls += 1;
            }
        }
    }

    /// Closes them: after a call that failed, the next one begins in new pages.
    pub fn close(&mut self) {
        self.0 = [None, None];
    }

    fn page(&self, plan: &Plan, role: Role) -> &Browser {
        let seat = if role == Role::Call && plan.callee == Party::Chromium { 1 } else { 0 };
        let page = self.0[seat].as_ref();
        &page.expect("`prepare` has opened the pages of this call").0
    }
}

/// The pages of [`Pages`] that the call needs: with pages at both ends, the first one answers and the second
/// one calls.
fn seats(plan: &Plan) -> [Option<Party>; 2] {
    let one = [plan.caller, plan.callee].into_iter().find(|party| *party == Party::Chromium);
    let other = one.filter(|_| plan.caller == plan.callee);
    [one, other]
}

/// What runs on one side.
#[expect(clippy::large_enum_variant, reason = "a call has two of them")]
enum End<'a> {
    Ahoy(Native),
    Page(&'a Browser),
}

/// One side of a call.
pub struct Side<'a> {
    end: End<'a>,
    /// Where the lines of this call begin.
    position: usize,
}

impl<'a> Side<'a> {
    /// Starts the side of `plan` that has this role.
    pub fn start(plan: &Plan, role: Role, pages: &'a Pages) -> Self {
        let party = if role == Role::Call { plan.caller } else { plan.callee };
        match party {
            Party::Peer => Self { end: End::Ahoy(native::start(arguments(plan, role))), position: 0 },
            Party::App | Party::AppWithPage => unreachable!("apps are held by `Apps`"),
            Party::Chromium => {
                let page = pages.page(plan, role);
                let position = page.peer.position();
                let (audio, video) = (plan.media.sound(), plan.media.video());
                let (role, ring) = (role_name(role), plan.ring.as_millis());
                page.peer.send(json!({"cmd": "next", "role": role, "audio": audio, "video": video, "ring": ring}));
                Self { end: End::Page(page), position }
            }
        }
    }

    /// Its line, and where this call begins on it.
    pub fn line(&self) -> (&Peer, usize) {
        (self.peer(), self.position)
    }

    pub fn peer(&self) -> &Peer {
        match &self.end {
            End::Ahoy(native) => &native.peer,
            End::Page(page) => &page.peer,
        }
    }

    /// Waits for the first line of this call that `is` says yes to; `what` names it.
    pub async fn gives(&self, what: &str, limit: Duration, is: impl Fn(&Value) -> bool) -> Result<(), String> {
        let found = self.peer().find(self.position, limit, |lines| lines.iter().any(&is).then_some(())).await;
        found.map_err(|problem| format!("no {what}: {problem}"))
    }

    /// Waits for a message of this call that this side sends.
    pub async fn sends(&self, kind: &str, limit: Duration) -> Result<(), String> {
        self.gives(kind, limit, |line| line["payload"]["type"] == kind).await
    }

    /// Waits until it rings here.
    pub async fn rings(&self, limit: Duration) -> Result<(), String> {
        let event = match self.end {
            End::Ahoy(_) => "incoming",
            End::Page(_) => "ringing",
        };
        self.gives(event, limit, |line| is_event(line, event)).await
    }

    /// Waits until the call is over here: an `ahoy-peer` has ended without an error, a page has said so.
    pub async fn ends(&mut self, plan: &Plan, limit: Duration) -> Result<(), String> {
        let until = Instant::now() + limit;
        match &mut self.end {
            End::Page(_) => self.gives("end", limit, |line| is_event(line, "ended")).await,
            End::Ahoy(native) => match timeout_at(until, native.processes.leader().wait()).await {
                Err(_) => Err(format!("still runs {limit:?} after the hang-up")),
                Ok(status) => match status.map_err(|error| error.to_string())?.code() {
                    Some(NORMAL) => Ok(()),
                    Some(NO_CONNECTION) if !plan.connects() => Ok(()),
                    code => Err(format!("ended with exit code {code:?}")),
                },
            },
        }
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Call => "call",
        Role::Answer => "answer",
    }
}

fn arguments(plan: &Plan, role: Role) -> Vec<String> {
    let camera = if plan.media.video() { "pattern" } else { "none" };
    let mic = if plan.media.sound() { "tone" } else { "none" };
    let ring = plan.ring.as_millis().to_string();
    [role_name(role), "--loopback-only", "--video", "640x360@30", "--camera", camera, "--mic", mic, "--ring", &ring]
        .map(str::to_owned)
        .into()
}
