//! Finds events of a session by their texts.
//!
//! The search index tells which lines of the session's files may match, and the reel which events these lines belong to. Only
//! these events are read, in order, until enough have matched or the time is up.

use std::time::{Duration, Instant};

use crate::archive::Archive;
use crate::http::api::reel::Reel;
use crate::http::api::search::files::{Reading, SearchError};
use crate::http::api::search::walk::kind_of;
use crate::index::catalogue::SearchIndex;
use crate::store::StoreReader;
use crate::views::sessions::events::PlacedEvent;
use crate::views::text::find::hint::Hint;
use crate::views::text::find::query::Query;

/// How many events are looked at together.
const WINDOW_EVENTS: usize = 16;

/// What is looked for.
pub(super) struct Sought<'q> {
    pub(super) query: &'q Query,
    /// The position of the first event that may be found.
    pub(super) from: usize,
    /// How many are found at most.
    pub(super) limit: usize,
    /// How long the search goes on.
    pub(super) patience: Duration,
}

/// Positions of events whose texts match.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hits {
    pub(super) positions: Vec<usize>,
    /// Where a search for more begins; `None` if there are no more.
    pub(super) next: Option<usize>,
}

/// Finds events that `takes` takes by their positions and whose texts match. Fails if the state cannot be read.
pub(super) fn find(
    (reader, archive, index): (&StoreReader, &Archive, Option<&SearchIndex>),
    reel: &Reel,
    sought: &Sought<'_>,
    takes: impl Fn(usize) -> bool,
) -> Result<Hits, SearchError> {
    let (began, hint) = (Instant::now(), Hint::of(sought.query));
    let mut always = || true;
    let mut reading = Reading::new((reader, archive), index, &hint, &mut always);
    let Some(lines) = reading.candidates(&reel.text_files())? else { return Ok(Hits::default()) };
    let mut candidates = reel.with_rows(|file, place, is_of_several| lines.have_row(file, place, is_of_several));
    candidates.retain(|position| *position >= sought.from && takes(*position));
    let (mut hits, mut went_on) = (Hits::default(), false);
    for window in candidates.chunks(WINDOW_EVENTS) {
        for placed in reel.placed_events(reader, window)? {
            let index = placed.event.index;
            // One is looked at in any case, so that a search that goes on comes to its end.
            if hits.positions.len() >= sought.limit || went_on && began.elapsed() >= sought.patience {
                hits.next = Some(index);
                return Ok(hits);
            }
            went_on = true;
            if matches(&mut reading, &placed, sought.query)? {
                hits.positions.push(index);
            }
        }
    }
    Ok(hits)
}

fn matches(reading: &mut Reading<'_>, placed: &PlacedEvent, query: &Query) -> Result<bool, SearchError> {
    let event = &placed.event;
    let Some((source, plain)) = event.source.as_ref().zip(kind_of(&event.detail)) else { return Ok(false) };
    let texts = reading.texts(source, plain)?;
    Ok(texts.into_iter().flatten().any(|(_, pieces)| query.find(&pieces).is_some()))
}
