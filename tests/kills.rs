//! The app is killed (SIGKILL) in the middle of whatever it does, again and again: all that it had confirmed
//! is there at the next start, and what was under way is there as a whole or not at all.

use std::{fmt::Debug, time::Duration};

use ahoy_test_support::bridge::{self, App};
use fastrand::Rng;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

const KILLS: u32 = 50;
/// Of the operations and of the moments.
const SEED: u64 = 20_261_121;
/// A round of operations takes about as long, a call's beginning included.
const LATEST_KILL_MS: u64 = 500;

/// Something kept: what was confirmed last, and what was asked for since and may be there already.
struct Kept<T> {
    confirmed: T,
    asked: Option<T>,
}

impl<T: PartialEq + Clone + Debug> Kept<T> {
    fn new(confirmed: T) -> Self {
        Self { confirmed, asked: None }
    }

    fn ask(&mut self, value: T) {
        self.asked = Some(value);
    }

    fn confirm(&mut self) {
        self.confirmed = self.asked.take().expect("something was asked for");
    }

    fn check(&mut self, what: &str, round: u32, found: T) {
        let whole = found == self.confirmed || self.asked.as_ref() == Some(&found);
        assert!(whole, "{what} after kill {round}: {found:?}, not {:?} or {:?}", self.confirmed, self.asked);
        *self = Self::new(found);
    }
}

/// What the app has said that it keeps.
struct Model {
    name: Kept<String>,
    contact_name: Kept<Value>,
    blocked: Kept<bool>,
    calls: Kept<usize>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_confirmed_survives_kills_in_the_middle_of_anything() {
    let (page, home) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let ben = bridge::start("ben", page.path()).await;
    let invite = ben.tell("invite_create", json!({})).await;
    let ada = bridge::start_in("ada", page.path(), home.path()).await;
    let patch = json!({
        "name": "", "firstRunDone": true, "experimentalCalls": true, "camera": "pattern", "microphone": "tone",
    });
    ada.tell("settings_set", json!({ "patch": patch })).await;
    ada.tell("contacts_add", json!({"link": invite["link"]})).await;
    let start = ada.tell("start", json!({})).await;
    let (me, contact) = (start["me"]["id"].clone(), people(&start).0["id"].clone());
    drop(ada);

    let mut chances = Rng::with_seed(SEED);
    let mut model = Model {
        name: Kept::new(String::new()),
        contact_name: Kept::new(Value::Null),
        blocked: Kept::new(false),
        calls: Kept::new(0),
    };
    for round in 0..KILLS {
        let ada = bridge::start_in("ada", page.path(), home.path()).await;
        let start = ada.tell("start", json!({})).await;
        assert_eq!(start["me"]["id"], me, "another identity after kill {round}");
        assert_eq!(start["notices"].as_array().map(Vec::len), Some(0), "after kill {round}: {}", start["notices"]);
        model.check(&start, &contact, round);
        let moment = Duration::from_millis(chances.u64(..LATEST_KILL_MS));
        let working = work(&ada, &contact, &mut model, &mut chances, round);
        // Whatever it is at: the process group is killed by the drop.
        let _ = timeout(moment, working).await;
        drop(ada);
    }
    let ada = bridge::start_in("ada", page.path(), home.path()).await;
    let start = ada.tell("start", json!({})).await;
    model.check(&start, &contact, KILLS);
    for outcome in ["interrupted", "answered"] {
        let calls = start["history"].as_array().expect("a history");
        assert!(calls.iter().any(|call| call["outcome"] == outcome), "no call was {outcome}: {calls:?}");
    }
}

/// The contact, and Echo.
fn people(start: &Value) -> (&Value, &Value) {
    let contacts = start["contacts"].as_array().expect("contacts");
    assert_eq!(contacts.len(), 2, "{contacts:?}");
    let of = |echo| contacts.iter().find(|contact| contact["echo"] == echo).expect("a contact");
    (of(false), of(true))
}

impl Model {
    fn check(&mut self, start: &Value, contact: &Value, round: u32) {
        let (friend, _) = people(start);
        assert_eq!(friend["id"], *contact);
        let name = start["settings"]["name"].as_str().expect("a name").to_owned();
        self.name.check("one's name", round, name);
        self.contact_name.check("the contact's name", round, friend["ownName"].clone());
        self.blocked.check("the block", round, friend["blocked"] == true);
        let calls = start["history"].as_array().expect("a history");
        self.calls.check("the number of calls", round, calls.len());
        for call in calls {
            assert!(call["endedAt"].is_u64() || call["outcome"] == "interrupted", "after kill {round}: {call}");
        }
    }
}

/// Does one thing after the other, and notes what was confirmed.
async fn work(ada: &App, contact: &Value, model: &mut Model, chances: &mut Rng, round: u32) {
    for number in 0.. {
        let text = format!("{round}.{number} {}", "x".repeat(chances.usize(1..40)));
        match chances.u8(..4) {
            0 => {
                model.name.ask(text.clone());
                ada.tell("settings_set", json!({"patch": {"name": text}})).await;
                model.name.confirm();
            }
            1 => {
                model.contact_name.ask(json!(text));
                ada.tell("contacts_rename", json!({"id": contact, "name": text})).await;
                model.contact_name.confirm();
            }
            2 => {
                let blocked = !model.blocked.confirmed;
                model.blocked.ask(blocked);
                ada.tell("contacts_block", json!({"id": contact, "blocked": blocked})).await;
                model.blocked.confirm();
            }
            _ => call_echo(ada, model, chances.bool()).await,
        }
    }
}

async fn call_echo(ada: &App, model: &mut Model, to_the_end: bool) {
    let running = ada.tell("calls_list", json!({})).await;
    if running.as_array().is_some_and(|calls| calls.iter().any(|call| call["end"].is_null())) {
        return;
    }
    let start = ada.tell("start", json!({})).await;
    let (_, echo) = people(&start);
    let position = ada.peer.position();
    model.calls.ask(model.calls.confirmed + 1);
    ada.tell("call_start", json!({"contact": echo["id"], "video": true})).await;
    model.calls.confirm();
    if to_the_end {
        ada.phase(position, "active").await;
        ada.tell("call_hang_up", json!({})).await;
        ada.phase(position, "ended").await;
    }
}
