//! One-time tokens by which somebody becomes a contact without asking.

use std::{fmt, str::FromStr};

use data_encoding::BASE32_NOPAD;
use rusqlite::{
    OptionalExtension, Row, params,
    types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef},
};

use crate::{EndpointId, NewContact, Store, StoreError, UnixMs, blocked::is_blocked, contacts};

/// Invites that are kept, used ones included: nobody has so many open, and a script gone wild shall not fill
/// the disk.
pub const MAX_INVITES: usize = 200;

/// 32 random bytes: a person who has them may become a contact, once. As text, 52 letters of base32 (RFC 4648
/// section 6, without padding, either case). `Debug` does not show them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InviteToken([u8; Self::BYTES]);

/// A text that is no invite token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an invite has 52 letters and digits: copy it again, whole")]
pub struct InviteTokenError;

impl InviteToken {
    /// Size of a token.
    pub const BYTES: usize = 32;

    /// The token's bytes.
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

/// Of bytes from a random generator that is fit for keys.
impl From<[u8; InviteToken::BYTES]> for InviteToken {
    fn from(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }
}

impl FromStr for InviteToken {
    type Err = InviteTokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 52 {
            return Err(InviteTokenError);
        }
        let bytes = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).map_err(|_| InviteTokenError)?;
        bytes.try_into().map(Self).map_err(|_| InviteTokenError)
    }
}

impl fmt::Display for InviteToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
    }
}

impl fmt::Debug for InviteToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InviteToken(…)")
    }
}

impl ToSql for InviteToken {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.as_slice()))
    }
}

impl FromSql for InviteToken {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        FromSql::column_result(value).map(Self)
    }
}

/// An invite that was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invite {
    /// What the invite link carries.
    pub token: InviteToken,
    /// When it was issued.
    pub created_at: UnixMs,
    /// From when on it is of no use.
    pub expires_at: UnixMs,
    /// Who used it, and when.
    pub used: Option<(EndpointId, UnixMs)>,
}

/// What became of an attempt to use an invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redemption {
    /// The peer is a contact now. It gets the same answer when it asks again, having missed the first.
    Accepted,
    /// No such invite was issued, it was withdrawn, or the peer's key is blocked.
    Unknown,
    /// Too late.
    Expired,
    /// It was used, by somebody else or by a contact that the user has removed since.
    Used,
}

const INVITES: &str = "SELECT token, created_at, expires_at, used_by, used_at FROM invite";

impl Invite {
    fn from_row(row: &Row) -> rusqlite::Result<Self> {
        let used_by: Option<EndpointId> = row.get(3)?;
        let used_at: Option<UnixMs> = row.get(4)?;
        Ok(Self { token: row.get(0)?, created_at: row.get(1)?, expires_at: row.get(2)?, used: used_by.zip(used_at) })
    }
}

impl Store {
    /// Notes an invite, which is good before `expires_at`. Forgets those that have expired.
    ///
    /// # Errors
    /// [`StoreError::TooManyInvites`], [`StoreError::InviteExists`]; disk full, or not accessible.
    pub fn issue_invite(&self, token: InviteToken, now: UnixMs, expires_at: UnixMs) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute("DELETE FROM invite WHERE expires_at <= ?1", [now])?;
            let kept: i64 = transaction.query_row("SELECT count(*) FROM invite", [], |row| row.get(0))?;
            if usize::try_from(kept).is_ok_and(|kept| kept >= MAX_INVITES) {
                return Err(StoreError::TooManyInvites.into());
            }
            let issue = "INSERT INTO invite (token, created_at, expires_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
            match transaction.execute(issue, params![token, now, expires_at])? {
                0 => Err(StoreError::InviteExists.into()),
                _ => Ok(()),
            }
        })
    }

    /// Uses an invite for a peer, and makes the peer a contact, in one step: of two who come with the same
    /// token at once, one wins. Who is a contact already stays as the user has it, and the invite is used
    /// nonetheless.
    ///
    /// # Errors
    /// Disk full, or not accessible; the invite can then be used again.
    pub fn redeem_invite(
        &self,
        token: InviteToken,
        contact: &NewContact,
        now: UnixMs,
    ) -> Result<Redemption, StoreError> {
        let peer = contact.peer;
        self.write(|transaction| {
            let query = format!("{INVITES} WHERE token = ?1");
            let invite = transaction.query_row(&query, [token], Invite::from_row).optional()?;
            let Some(invite) = invite else { return Ok(Redemption::Unknown) };
            if is_blocked(transaction, peer)? {
                return Ok(Redemption::Unknown);
            }
            let known = contacts::is_contact(transaction, peer)?;
            match invite.used {
                Some((by, _)) if by == peer && known => return Ok(Redemption::Accepted),
                Some(_) => return Ok(Redemption::Used),
                None if invite.expires_at <= now => return Ok(Redemption::Expired),
                None => {}
            }
            let redeem = "UPDATE invite SET used_by = ?2, used_at = ?3 WHERE token = ?1";
            transaction.execute(redeem, params![token, peer, now])?;
            if !known {
                contacts::add(transaction, contact, now)?;
            }
            Ok(Redemption::Accepted)
        })
    }

    /// The invites that have not expired or were used, the latest first.
    ///
    /// # Errors
    /// Damaged, or not accessible.
    pub fn invites(&self) -> Result<Vec<Invite>, StoreError> {
        self.read(|connection| {
            let mut query = connection.prepare(&format!("{INVITES} ORDER BY rowid DESC"))?;
            Ok(query.query_map([], Invite::from_row)?.collect::<Result<_, _>>()?)
        })
    }

    /// Withdraws an invite, or forgets a used one. False when there was none.
    ///
    /// # Errors
    /// Disk full, or not accessible.
    pub fn withdraw_invite(&self, token: InviteToken) -> Result<bool, StoreError> {
        self.write(|transaction| Ok(transaction.execute("DELETE FROM invite WHERE token = ?1", [token])? > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{T0, TestStore, contact, later, peer};

    fn token(number: u8) -> InviteToken {
        [number; InviteToken::BYTES].into()
    }

    #[test]
    fn an_invite_works_once_in_its_time() {
        let mut store = TestStore::new();
        store.issue_invite(token(1), T0, later(10)).unwrap();
        store.issue_invite(token(2), T0, later(10)).unwrap();
        store.block(peer(9), T0).unwrap();
        store.reopen();
        let steps = [
            (3, 1, 1, Redemption::Unknown),
            (1, 9, 1, Redemption::Unknown),
            (1, 1, 9, Redemption::Accepted),
            (1, 2, 9, Redemption::Used),
            (1, 1, 99, Redemption::Accepted),
            (2, 2, 10, Redemption::Expired),
            (2, 1, 9, Redemption::Accepted),
            (2, 2, 9, Redemption::Used),
        ];
        for (number, who, when, expected) in steps {
            let outcome = store.redeem_invite(token(number), &contact(who), later(when));
            assert_eq!(outcome, Ok(expected), "token {number}, peer {who}, at {when}");
        }
        let contacts: Vec<_> = store.contacts().unwrap().iter().map(|c| c.peer).collect();
        assert_eq!(contacts, [peer(1)]);
        assert_eq!(store.invites().unwrap()[1].used, Some((peer(1), later(9))));
    }

    #[test]
    fn a_removed_contact_does_not_come_back_by_its_old_invite() {
        let store = TestStore::new();
        store.issue_invite(token(1), T0, later(10)).unwrap();
        store.redeem_invite(token(1), &contact(1), T0).unwrap();
        store.remove_contact(peer(1)).unwrap();
        assert_eq!(store.redeem_invite(token(1), &contact(1), T0), Ok(Redemption::Used));
        assert_eq!(store.contacts(), Ok(vec![]));
    }

    #[test]
    fn of_two_at_once_one_wins() {
        let store = TestStore::new();
        for round in 0..20 {
            store.issue_invite(token(round), T0, later(10)).unwrap();
            let start = std::sync::Barrier::new(2);
            let attempt = |who| {
                start.wait();
                store.redeem_invite(token(round), &contact(who), T0).unwrap()
            };
            let (a, b) = (2 * round, 2 * round + 1);
            let mut outcomes = std::thread::scope(|scope| {
                let other = scope.spawn(|| attempt(a));
                [attempt(b), other.join().unwrap()]
            });
            outcomes.sort_by_key(|outcome| *outcome == Redemption::Used);
            assert_eq!(outcomes, [Redemption::Accepted, Redemption::Used], "round {round}");
            assert_eq!(store.contacts().unwrap().len(), usize::from(round) + 1);
        }
    }

    #[test]
    fn invites_are_limited_and_expired_ones_make_room() {
        let store = TestStore::new();
        let unique = |i: usize| InviteToken::from(std::array::from_fn(|byte| if byte == 0 { i as u8 } else { 7 }));
        for i in 0..MAX_INVITES {
            store.issue_invite(unique(i), T0, later(10)).unwrap();
        }
        assert_eq!(store.issue_invite(unique(MAX_INVITES), T0, later(10)), Err(StoreError::TooManyInvites));
        store.issue_invite(unique(MAX_INVITES), later(10), later(20)).unwrap();
        assert_eq!(store.invites().unwrap().len(), 1);
        let again = store.issue_invite(unique(MAX_INVITES), later(10), later(20));
        assert_eq!(again, Err(StoreError::InviteExists));
        assert_eq!(store.withdraw_invite(unique(MAX_INVITES)), Ok(true));
        assert_eq!(store.redeem_invite(unique(MAX_INVITES), &contact(1), later(11)), Ok(Redemption::Unknown));
    }

    #[test]
    fn tokens_are_read_from_their_text_and_not_shown_by_debug() {
        let token = InviteToken::from(std::array::from_fn(|i| i as u8 * 5));
        let text = token.to_string();
        assert_eq!((text.parse(), text.to_uppercase().parse()), (Ok(token), Ok(token)));
        for bad in ["", &text[1..], &text.replace('a', "1"), &"é".repeat(26)] {
            assert_eq!(bad.parse::<InviteToken>(), Err(InviteTokenError), "{bad:?}");
        }
        assert_eq!(format!("{token:?}"), "InviteToken(…)");
    }
}
