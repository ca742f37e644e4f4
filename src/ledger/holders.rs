//! The sessions that have rows of one unit. Forks copy rows, so there may be several. Which of them owns the unit may
//! become known late; what is known of each session is kept, so that the order of reading does not matter.
//!
//! If no row tells which session has the copies, the source is the session whose rows are all in the other session too.
//! Rows are copied from the beginning on, so the source is the session that has no turn alone.

use std::cmp::Ordering;

use super::claim::{Claim, ClaimBy};
pub use super::holder::{Extent, Holder};
use super::unit::Unit;
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;

/// What decides who owns a unit, besides its own rows.
#[derive(Clone, Copy)]
pub(super) struct Settling<'a> {
    /// Orders two claims by the paths of their files.
    pub by_path: &'a dyn Fn(&Claim, &Claim) -> Ordering,
    /// True for a session that has the last row of some turn, and no other session has that row.
    pub has_own: &'a dyn Fn(&SessionId) -> bool,
}

impl Unit {
    /// Adds rows of a session.
    pub(super) fn held(&mut self, session: &SessionId, rows: &Extent, settling: Settling<'_>) {
        if self.is_held_alone_by(session) {
            return self.widen(rows);
        }
        self.change_holder(session, |holder| match &mut holder.rows {
            Some(known) => known.add(rows),
            none => *none = Some(rows.clone()),
        });
        self.settle_owner(settling);
    }

    /// Adds rows of the only session that has any.
    pub(super) fn widen(&mut self, rows: &Extent) {
        let mut own = Extent { first: self.first, last: self.last, context: std::mem::take(&mut self.context) };
        own.add(rows);
        (self.first, self.last, self.context) = (own.first, own.last, own.context);
    }

    /// True if a session is the only one that has rows of the unit.
    pub(super) fn is_held_alone_by(&self, session: &SessionId) -> bool {
        self.holders.is_empty() && self.claim.session == *session
    }

    /// True if several sessions have rows of the unit and no row tells which of them are copies.
    pub(super) fn is_tied(&self) -> bool {
        self.holders.len() > 1 && self.agent.is_none() && self.holders.iter().all(|holder| holder.word.is_none())
    }

    /// For each session that has rows of the unit, in the order in which they became known: true if only this session
    /// has the last row. Rows that are known to be copies do not count. Empty for a sub-agent, whose rows are not
    /// copied.
    pub(super) fn alone(&self) -> Vec<bool> {
        if self.agent.is_some() {
            return Vec::new();
        }
        if self.holders.is_empty() {
            return vec![true];
        }
        let lasts =
            || self.holders.iter().map(|holder| holder.rows.as_ref().filter(|_| !holder.is_copy).map(|rows| rows.last));
        let last = lasts().flatten().max();
        let is_shared = lasts().filter(|known| *known == last).count() > 1;
        lasts().map(|known| known.is_some() && known == last && !is_shared).collect()
    }

    /// True if a session has rows of the unit.
    pub(super) fn is_held_by(&self, session: &SessionId) -> bool {
        self.is_held_alone_by(session)
            || self.holders.iter().any(|holder| holder.session == *session && holder.rows.is_some())
    }

    /// True if a row of a session at this time does not change the times of the unit.
    pub(super) fn is_known_to_hold(&self, session: &SessionId, time: Timestamp) -> bool {
        let holder = self.holders.iter().find(|holder| holder.session == *session);
        match holder.and_then(|holder| holder.rows.as_ref()) {
            Some(rows) => (rows.first..=rows.last).contains(&time),
            None => self.is_held_alone_by(session) && (self.first..=self.last).contains(&time),
        }
    }

    /// Adds a claim of a session on the unit.
    pub(super) fn claimed(&mut self, claim: &Claim, settling: Settling<'_>) {
        if self.is_held_alone_by(&claim.session) {
            if order(claim, &self.claim, settling).is_lt() {
                self.claim = claim.clone();
            }
            return;
        }
        let changed = self.change_holder(&claim.session, |holder| {
            let slot = if claim.by == ClaimBy::Word { &mut holder.word } else { &mut holder.claim };
            let is_better = slot.as_ref().is_none_or(|known| order(claim, known, settling).is_lt());
            if is_better {
                *slot = Some(claim.clone());
            }
            is_better
        });
        if changed {
            self.settle_owner(settling);
        }
    }

    /// Notes that the rows of `copy` are copies of rows of the session that `word` names as the owner.
    pub(super) fn copied(&mut self, copy: &SessionId, word: &Claim, settling: Settling<'_>) {
        if !self.change_holder(copy, |holder| std::mem::replace(&mut holder.is_copy, true)) {
            self.settle_owner(settling);
        }
        self.claimed(word, settling);
    }

    /// True if it is known that the rows of `copy` are copies of those of `source`.
    pub(super) fn is_known_to_copy(&self, copy: &SessionId, source: &SessionId) -> bool {
        let has = |session: &SessionId, is: fn(&Holder) -> bool| {
            self.holders.iter().any(|holder| holder.session == *session && is(holder))
        };
        has(copy, |holder| holder.is_copy) && has(source, |holder| holder.word.is_some())
    }

    /// Changes what is known of a session. All sessions are listed once there is more than one.
    fn change_holder<T>(&mut self, session: &SessionId, change: impl FnOnce(&mut Holder) -> T) -> T {
        if self.holders.is_empty() {
            let rows = Extent { first: self.first, last: self.last, context: self.context.clone() };
            let claim = Some(self.claim.clone());
            let only = Holder { claim, rows: Some(rows), ..Holder::new(&self.claim.session) };
            self.holders.push(only);
        }
        if let Some(holder) = self.holders.iter_mut().find(|holder| holder.session == *session) {
            return change(holder);
        }
        let mut holder = Holder::new(session);
        let changed = change(&mut holder);
        self.holders.push(holder);
        changed
    }

    /// Decides which session owns the unit, and sets its times from the rows of the owner; if the owner has none, from
    /// all copies.
    pub(super) fn settle_owner(&mut self, settling: Settling<'_>) {
        let is_tied = self.is_tied();
        let claims = self.holders.iter().filter_map(|holder| Some((holder, holder.best()?)));
        let best = claims.min_by(|(one, a), (other, b)| {
            let key =
                |holder: &Holder| (holder.is_copy, holder.word.is_none(), holder.claim.as_ref().map(|claim| claim.by));
            let has_own = |holder: &Holder| is_tied && (settling.has_own)(&holder.session);
            // The session with the later last row is better: a fork that begins inside a turn lacks the end of it.
            let last = |holder: &Holder| holder.rows.as_ref().map(|rows| rows.last);
            key(one)
                .cmp(&key(other))
                .then_with(|| has_own(one).cmp(&has_own(other)))
                .then_with(|| (a.by, a.time).cmp(&(b.by, b.time)))
                .then_with(|| last(other).cmp(&last(one)))
                .then_with(|| order(a, b, settling))
        });
        let Some((owner, claim)) = best else { return };
        let by = if owner.word.is_some() { ClaimBy::Word } else { claim.by };
        let rows = owner.rows.clone().or_else(|| {
            let mut rows: Vec<&Extent> = self.holders.iter().filter_map(|holder| holder.rows.as_ref()).collect();
            rows.sort_by_key(|rows| rows.first);
            let (first, more) = rows.split_first()?;
            let mut all = (*first).clone();
            more.iter().for_each(|rows| all.add(rows));
            Some(all)
        });
        self.claim = Claim { by, ..claim.clone() };
        if let Some(rows) = rows {
            (self.first, self.last, self.context) = (rows.first, rows.last, rows.context);
        }
    }
}

/// Orders two claims, the better one first: by what they rest on, then by the earlier row, then by the lower path.
fn order(one: &Claim, other: &Claim, settling: Settling<'_>) -> Ordering {
    let key = |claim: &Claim| (claim.by, claim.time);
    key(one).cmp(&key(other)).then_with(|| (settling.by_path)(one, other))
}
