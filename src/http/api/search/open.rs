//! A session whose files have lines that may match: its events, one by one in the order that is asked for.

use std::ops::Range;
use std::sync::Arc;

use super::files::{Candidates, Reading, SearchError};
use super::known::KnownFiles;
use super::learn::files_of;
use super::question::{Listed, Place, SearchQuestion};
use crate::http::api::long_session::LongSession;
use crate::store::{StoreError, StoreReader};
use crate::transcript::time::Timestamp;
use crate::views::sessions::events::{PlacedEvent, placed_events};

/// How many events of a long session are looked at together.
const WINDOW_EVENTS: usize = 4096;

/// A session that is being searched.
pub(super) struct OpenSession {
    pub(super) listed: Arc<Listed>,
    candidates: Candidates,
    /// The events that come next, the very next one last.
    next: Vec<PlacedEvent>,
    /// The rest of a session that is too long to be in memory.
    rest: Option<(Box<LongSession>, Range<usize>)>,
}

impl OpenSession {
    /// Opens a session; `None` if no line of its files may match, or if it is not in the state any more.
    pub(super) fn open(
        (reader, known): (&StoreReader, &KnownFiles),
        reading: &mut Reading<'_>,
        listed: Arc<Listed>,
        question: &SearchQuestion,
    ) -> Result<Option<Self>, SearchError> {
        // Of most sessions the files are known, and have nothing: nothing of them is read from the state.
        let (kept, age) = known.of(&listed.id);
        let mut candidates = None;
        if let Some(files) = &kept {
            candidates = reading.candidates(files)?;
            if candidates.is_none() {
                return Ok(None);
            }
        }
        let Some(session) = reader.session(&listed.id)? else { return Ok(None) };
        let mut units = None;
        if kept.is_none() {
            let (files, read) = files_of(reader, &session)?;
            known.keep(&session.id, &files, age);
            (candidates, units) = (reading.candidates(&files)?, read);
        }
        let Some(candidates) = candidates else { return Ok(None) };
        let mut open = Self { listed, candidates, next: Vec::new(), rest: None };
        if LongSession::is_one(&session) {
            let long = LongSession::read(reader, &session)?;
            let range = wanted(&long, question, &open.listed);
            open.rest = Some((Box::new(long), range));
        } else {
            let units = units.map_or_else(|| reader.units_of(&session), Ok)?;
            let events = placed_events(&units, |rows| open.candidates.have(rows));
            open.put(events, question);
        }
        Ok(Some(open))
    }

    /// The next event that may match, and its place.
    pub(super) fn next(
        &mut self,
        reader: &StoreReader,
        question: &SearchQuestion,
    ) -> Result<Option<(Place, PlacedEvent)>, StoreError> {
        loop {
            if let Some(event) = self.next.pop() {
                return Ok(Some((question.place(&self.listed, event.event.at, Some(&event.key)), event)));
            }
            let Some((long, range)) = self.rest.as_mut().filter(|(_, range)| !range.is_empty()) else {
                return Ok(None);
            };
            let window = if question.newest {
                range.end.saturating_sub(WINDOW_EVENTS).max(range.start)..range.end
            } else {
                range.start..(range.start + WINDOW_EVENTS).min(range.end)
            };
            *range = if question.newest { range.start..window.start } else { window.end..range.end };
            let events = long.placed_events(reader, window.start, window.len())?;
            self.put(events, question);
        }
    }

    /// Puts events in the order that is asked for, without those that cannot match and those of earlier pages.
    fn put(&mut self, mut events: Vec<PlacedEvent>, question: &SearchQuestion) {
        let before = |after: &Place, place: &Place| (&place.session, &place.event) != (&after.session, &after.event);
        events.retain(|placed| {
            let event = &placed.event;
            let place = || question.place(&self.listed, event.at, Some(&placed.key));
            event.source.as_ref().is_some_and(|source| self.candidates.have(&source.rows))
                && question.is_within(event.at)
                && self.listed.takes(placed.unit)
                && question.after.as_ref().is_none_or(|after| {
                    let place = place();
                    // Of the last event of a page, texts of further kinds may come on the next one.
                    place > *after || !before(after, &place)
                })
        });
        events.sort_by_cached_key(|placed| {
            std::cmp::Reverse(question.place(&self.listed, placed.event.at, Some(&placed.key)))
        });
        self.next = events;
    }
}

/// The events of a long session that lie in the window and behind the page before.
fn wanted(long: &LongSession, question: &SearchQuestion, listed: &Listed) -> Range<usize> {
    let (mut start, mut end) = (0, long.len());
    if let Some(since) = question.window.since {
        start = long.at(since);
    }
    if let Some(until) = question.window.until {
        end = long.at(until);
    }
    // Only what lies behind by its time. An event outside of its session is put at its edge, so that of those at the edge all
    // are looked at.
    let edge = question.towards(if question.newest { listed.last.max(listed.first) } else { listed.first });
    match question.after.as_ref().map(|after| after.time).filter(|time| *time != edge) {
        Some(time) if question.newest => end = end.min(long.at(Timestamp(time.saturating_neg().saturating_add(1)))),
        Some(time) => start = start.max(long.at(Timestamp(time))),
        None => {}
    }
    start..end.max(start)
}
