//! What a contact says of itself, passed on only as often as somebody can take it in: each time is a look
//! into the user's database, and a list that is drawn anew.

use std::time::{Duration, Instant};

use crate::{Presence, limit::Bucket};

/// Changes that are told at once: somebody who comes, is called, hangs up and goes.
const BURST: u32 = 10;
/// And from then on. What came between two is never told.
const EVERY: Duration = Duration::from_secs(2);

/// Presence, and the name that goes with it.
pub(crate) type Said = (Presence, Option<String>);

/// What is to be told now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) said: Option<Said>,
    pub(crate) moved: bool,
}

/// What was said, and what of it was told.
pub(crate) struct Telling {
    said: Said,
    told: Said,
    moved: bool,
    bucket: Bucket,
    /// Not before then.
    not_before: Option<Instant>,
}

impl Telling {
    pub(crate) fn new(now: Instant) -> Self {
        let nothing: Said = (Presence::Offline, None);
        Self {
            said: nothing.clone(),
            told: nothing,
            moved: false,
            bucket: Bucket::new(BURST, EVERY, now),
            not_before: None,
        }
    }

    pub(crate) fn says(&mut self, presence: Presence, name: Option<String>) {
        self.said = (presence, name);
    }

    pub(crate) fn is_offline(&mut self) {
        self.said.0 = Presence::Offline;
    }

    /// It is to be looked for elsewhere.
    pub(crate) fn has_moved(&mut self) {
        self.moved = true;
    }

    /// When there will be something to tell.
    pub(crate) fn next_tick(&self) -> Option<Instant> {
        self.not_before.filter(|_| self.has_news())
    }

    pub(crate) fn news(&mut self, now: Instant) -> News {
        if !self.has_news() || self.not_before.is_some_and(|at| now < at) {
            return News::default();
        }
        if let Err(wait) = self.bucket.take(now) {
            self.not_before = Some(now + wait);
            return News::default();
        }
        self.not_before = None;
        let said = (self.said != self.told).then(|| self.said.clone());
        self.told.clone_from(&self.said);
        News { said, moved: std::mem::take(&mut self.moved) }
    }

    fn has_news(&self) -> bool {
        self.moved || self.said != self.told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_that_flickers_is_told_of_seldom_and_rightly_in_the_end() {
        let start = Instant::now();
        let mut telling = Telling::new(start);
        let (mut told, mut last) = (0, None);
        // A hundred changes a second for a minute.
        for step in 0..6000_u32 {
            let now = start + Duration::from_millis(10) * step;
            telling.says(Presence::Online, Some(step.to_string()));
            telling.has_moved();
            let news = telling.news(now);
            assert_eq!(news.moved, news.said.is_some());
            told += u32::from(news.moved);
            last = news.said.or(last);
        }
        assert!((30..45).contains(&told), "told {told} times");
        let at = telling.next_tick().unwrap();
        assert!(at <= start + Duration::from_secs(62));
        assert_eq!(telling.news(at).said, Some((Presence::Online, Some("5999".to_owned()))));
        assert_eq!((telling.next_tick(), telling.news(at + EVERY)), (None, News::default()));
    }

    #[test]
    fn what_is_taken_back_in_time_is_not_told() {
        let now = Instant::now();
        let mut telling = Telling::new(now);
        telling.says(Presence::Online, None);
        telling.is_offline();
        assert_eq!(telling.news(now), News::default());
    }
}
