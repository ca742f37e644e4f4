//! Sessions that have rows of one unit. Forks copy rows, so several may; which of them owns it may turn out late, and what is
//! known of each is kept until then, so that the order of reading says nothing.
//!
//! Where no row tells a copy from its source, the source is the session all of whose rows are in the other. Rows are copied
//! from the beginning on, so it is the one that has no turn to itself.

use std::cmp::Ordering;

use super::claim::{Claim, ClaimBy};
pub use super::holder::{Extent, Holder};
use super::unit::Unit;
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;

/// What settles whose a unit is, beside what its rows say.
#[derive(Clone, Copy)]
pub(super) struct Settling<'a> {
    /// The order of two claims by the paths of their files.
    pub by_path: &'a dyn Fn(&Claim, &Claim) -> Ordering,
    /// True for a session that has turns, or the end of one, to itself.
    pub has_own: &'a dyn Fn(&SessionId) -> bool,
}

impl Unit {
    /// Takes in rows of a session.
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

    /// Takes in rows of the only session that has any.
    pub(super) fn widen(&mut self, rows: &Extent) {
        let mut own = Extent { first: self.first, last: self.last, context: std::mem::take(&mut self.context) };
        own.add(rows);
        (self.first, self.last, self.context) = (own.first, own.last, own.context);
    }

    /// True if a session is the only one that has rows of the unit.
    pub(super) fn is_held_alone_by(&self, session: &SessionId) -> bool {
        self.holders.is_empty() && self.claim.session == *session
    }

    /// True if several sessions have rows of the unit and none says which of them are copies.
    pub(super) fn is_tied(&self) -> bool {
        self.holders.len() > 1 && self.agent.is_none() && self.holders.iter().all(|holder| holder.word.is_none())
    }

    /// Of each session that has rows of it, in the order in which they became known, whether it has the last one to itself.
    /// Rows that are known to be copies do not count, and those of sub-agents are nobody's copies.
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

    /// True if rows of a session say nothing new of when the unit was.
    pub(super) fn is_known_to_hold(&self, session: &SessionId, time: Timestamp) -> bool {
        let holder = self.holders.iter().find(|holder| holder.session == *session);
        match holder.and_then(|holder| holder.rows.as_ref()) {
            Some(rows) => (rows.first..=rows.last).contains(&time),
            None => self.is_held_alone_by(session) && (self.first..=self.last).contains(&time),
        }
    }

    /// Takes in that a session claims the unit.
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

    /// Takes in that the rows of `copy` are copies of those of the session that claims the unit by this word.
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

    /// Changes what is known of a session; from the second one on all are listed.
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

    /// Finds out whose it is, and when it was: from the rows of its owner, or, if that has none any more, from all copies.
    pub(super) fn settle_owner(&mut self, settling: Settling<'_>) {
        let is_tied = self.is_tied();
        let claims = self.holders.iter().filter_map(|holder| Some((holder, holder.best()?)));
        let best = claims.min_by(|(one, a), (other, b)| {
            let key =
                |holder: &Holder| (holder.is_copy, holder.word.is_none(), holder.claim.as_ref().map(|claim| claim.by));
            let has_own = |holder: &Holder| is_tied && (settling.has_own)(&holder.session);
            // A fork that leaves a turn before its end does not have that end.
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

/// Which of two claims is better, but for what is said of their sessions: what it rests on, the earliest row, the lower path.
fn order(one: &Claim, other: &Claim, settling: Settling<'_>) -> Ordering {
    let key = |claim: &Claim| (claim.by, claim.time);
    key(one).cmp(&key(other)).then_with(|| (settling.by_path)(one, other))
}
