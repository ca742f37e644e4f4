//! The events of a session in order, without keeping what they tell. Of each event only its time, its kind, its rows and
//! what it changes are in memory, some 60 bytes; a page reads its own events from the state once more.
//!
//! ```text
//! 1. members   a short row of each unit    tells which turn each sub-agent belongs to
//! 2. units     every unit and section      tell time and kind of each event
//! 3. page      the wanted events           their units and sections are read once more
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::http::api::search::known::TextFiles;
use crate::ledger::ended;
use crate::ledger::session::Session;
use crate::ledger::unit::{Parts, RowPlace, TurnEnd, Unit, UnitId};
use crate::store::{StoreError, StoreReader};
use crate::transcript::chunk::FileNumber;
use crate::transcript::ids::SessionId;
use crate::transcript::record::LinePlace;
use crate::transcript::time::seconds;
use crate::views::sessions::event::Event;
use crate::views::sessions::events::PlacedEvent;
use crate::views::sessions::moments::{self, Around, Moment, SoFar};
use crate::views::sessions::nesting::Nesting;
use crate::views::sessions::outline::Outline;
use crate::views::sessions::paths::{OnPath, Threads};
use crate::views::sessions::state::{KEYFRAME_EVENTS, SessionState};
use crate::views::sessions::timeline::{Home, Timeline};
use crate::views::traces::ids::{SpanAt, SpanId, TURN, TURN_KEY, TraceId, span_id};

/// Most rows of the critical paths of turns that are kept. Beyond that, those of all turns but the latest are forgotten.
const PATH_ROWS_MAX: usize = 200_000;

/// The events of a session.
#[derive(Debug)]
pub(in crate::http) struct Reel {
    pub(in crate::http) outline: Outline,
    pub(in crate::http) nesting: Nesting,
    /// Calls that have returned, of sub-agents whose own rows do not say that they have ended.
    returned: HashSet<Box<str>>,
    pub(in crate::http) timeline: Timeline,
    /// The rows that texts stand in.
    rows: Vec<TextRow>,
    /// The position of each event by its number.
    positions: Vec<u32>,
    /// What lies on the critical paths of turns, as far as somebody has asked.
    paths: Mutex<Paths>,
}

/// A row that the text of an event stands in.
#[derive(Debug, Clone, Copy)]
struct TextRow {
    place: LinePlace,
    file: FileNumber,
    /// The number of the event.
    event: u32,
}

#[derive(Debug, Default)]
struct Paths {
    of_turns: HashMap<usize, Arc<OnPath>>,
    rows: usize,
}

/// Is given each unit as it is stored, and each section of it by its parts.
pub(in crate::http) type Take<'t> = dyn FnMut(&Unit, Option<&Parts>) + 't;

impl Reel {
    /// Reads the events of a session. `take` is given everything that is read, and lists of the outline will have at most
    /// `rows_max` items. Fails if the state cannot be read.
    pub(in crate::http) fn read(
        reader: &StoreReader,
        session: &SessionId,
        rows_max: usize,
        take: &mut Take<'_>,
    ) -> Result<Self, StoreError> {
        let mut members = Vec::new();
        reader.each_member(session, |member| {
            members.push(member);
            ControlFlow::Continue(())
        })?;
        let outline = Outline::of(&members, rows_max);
        drop(members);
        let (nesting, timeline, paths) = (Nesting::default(), Timeline::default(), Mutex::default());
        let (rows, positions) = (Vec::new(), Vec::new());
        let mut reel = Self { outline, nesting, returned: HashSet::new(), timeline, rows, positions, paths };
        // If the rows of a sub-agent do not say that it has ended, its call tells. All calls must be read before.
        let (mut open, mut calls) = (Vec::new(), HashSet::new());
        reader.each_unit_of(session, |unit| {
            match unit.agent.as_ref().filter(|agent| !agent.background && unit.end().is_none()) {
                Some(agent) => {
                    calls.extend(agent.call.clone());
                    open.push(unit.key.id());
                }
                None => reel.add(reader, &unit, take)?,
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if !calls.is_empty() {
            reel.returned = returned(reader, session, &calls)?;
        }
        for id in open {
            if let Some(unit) = reader.unit(id)? {
                reel.add(reader, &unit, take)?;
            }
        }
        reel.outline.sort();
        reel.sort(reader)?;
        Ok(reel)
    }

    fn add(&mut self, reader: &StoreReader, unit: &Unit, take: &mut Take<'_>) -> Result<(), StoreError> {
        let id = unit.key.id();
        self.outline.add(unit);
        self.nesting.add(unit);
        take(unit, None);
        let (turn, end) = (self.outline.turn(id), self.end_of(unit));
        let around = Around { unit, turn, end, depth: 0, parent: None };
        let whose = (turn, unit.agent.is_some());
        self.put((id, None), whose, moments::of_unit(&around).chain(moments::of_parts(&unit.parts)));
        if unit.sections.is_some() {
            reader.each_section(id, |section| {
                take(unit, Some(&section.parts));
                self.put((id, Some(section.position)), whose, moments::of_parts(&section.parts));
                ControlFlow::Continue(())
            })?;
        }
        Ok(())
    }

    fn put<'a>(
        &mut self,
        home: (UnitId, Option<u32>),
        whose: (Option<usize>, bool),
        moments: impl Iterator<Item = Moment<'a>>,
    ) {
        let (mut event, rows) = (u32::try_from(self.timeline.len()).unwrap_or(u32::MAX), &mut self.rows);
        let moments = moments.inspect(|moment| {
            let row = |RowPlace { file, place, .. }| TextRow { place, file, event };
            rows.extend(moment.rows().map(row));
            event = event.saturating_add(1);
        });
        self.timeline.add(home, whose, moments);
    }

    /// Puts all events in order.
    fn sort(&mut self, reader: &StoreReader) -> Result<(), StoreError> {
        let tied = self.timeline.sort();
        let mut ids = HashMap::with_capacity(tied.len());
        self.each_moment(reader, tied, |event, _, moment| {
            ids.insert(event, moment.id().into_owned());
        })?;
        self.timeline.settle(&ids);
        self.positions = self.timeline.positions();
        self.rows.shrink_to_fit();
        Ok(())
    }

    fn around<'a>(&'a self, unit: &'a Unit) -> Around<'a> {
        let id = unit.key.id();
        let (depth, parent) = (self.nesting.depth(id), self.nesting.parent(id));
        Around { unit, turn: self.outline.turn(id), end: self.end_of(unit), depth, parent }
    }

    /// When and how a sub-agent ended; `None` while it runs.
    pub(in crate::http) fn end_of(&self, unit: &Unit) -> Option<TurnEnd> {
        let agent = unit.agent.as_ref()?;
        let has_returned = || !agent.background && agent.call.as_ref().is_some_and(|call| self.returned.contains(call));
        unit.end().or_else(|| has_returned().then(|| ended::returned(unit)))
    }

    /// About how many bytes of memory it takes.
    pub(in crate::http) fn weight(&self) -> usize {
        const EVENT_BYTES: usize = 40;
        self.timeline.len() * EVENT_BYTES + self.rows.len() * size_of::<TextRow>()
    }

    /// What was done in a turn, and in the sub-agents that it waits for.
    pub(in crate::http) fn family(&self, reader: &StoreReader, turn: UnitId) -> Result<Threads, StoreError> {
        let (mut threads, mut open, mut met) = (Threads::default(), vec![turn], HashSet::from([turn]));
        while let Some(id) = open.pop() {
            let Some(unit) = reader.unit(id)? else { continue };
            threads.add(&unit);
            if unit.sections.is_some() {
                reader.each_section(id, |section| {
                    threads.add_section(id, &section.parts);
                    ControlFlow::Continue(())
                })?;
            }
            let agents = threads.waiting_calls(id).flat_map(|call| self.outline.waited_for(call));
            open.extend(agents.filter(|agent| met.insert(*agent)));
        }
        Ok(threads)
    }

    fn paths(&self) -> MutexGuard<'_, Paths> {
        // A poisoned lock can be used: paths are put in as a whole.
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What lies on the path of a turn.
    fn path(&self, reader: &StoreReader, turn: usize) -> Result<Arc<OnPath>, StoreError> {
        if let Some(known) = self.paths().of_turns.get(&turn) {
            return Ok(Arc::clone(known));
        }
        let mut on_path = OnPath::default();
        if let Some(unit) = self.outline.numbered(turn)
            && let Some(path) = self.family(reader, unit)?.path(unit)
        {
            on_path.add(&path);
        }
        let (on_path, mut kept) = (Arc::new(on_path), self.paths());
        if kept.rows.saturating_add(on_path.len()) > PATH_ROWS_MAX {
            *kept = Paths::default();
        }
        kept.rows += on_path.len();
        kept.of_turns.insert(turn, Arc::clone(&on_path));
        Ok(on_path)
    }

    /// The events at these positions, each with the state after it, in the same order. One that has gone meanwhile is
    /// left out.
    pub(in crate::http) fn events(
        &self,
        reader: &StoreReader,
        positions: &[usize],
    ) -> Result<Vec<(Event, SessionState)>, StoreError> {
        let turn = |position: &usize| self.outline.turn(self.timeline.look(*position)?.unit);
        let turns: BTreeSet<usize> = positions.iter().filter_map(turn).collect();
        let mut paths: HashMap<usize, Arc<OnPath>> = HashMap::new();
        for turn in turns {
            paths.insert(turn, self.path(reader, turn)?);
        }
        let mut states = Vec::with_capacity(positions.len());
        let (mut next, mut state) = (0, SessionState::default());
        for position in positions {
            if *position < next || *position - next >= KEYFRAME_EVENTS {
                (next, state) = (*position, self.timeline.state_before(*position));
            }
            for step in next..=*position {
                self.timeline.go_on(&mut state, step);
            }
            next = *position + 1;
            states.push(state.clone());
        }
        let places = self.places(positions);
        let mut events: BTreeMap<usize, Event> = BTreeMap::new();
        self.each_moment(reader, places, |(place, index), around, moment| {
            let critical_path_seconds = around.turn.and_then(|turn| moment.on_path(paths.get(&turn)?));
            let event = moment.event(around, index, &mut SoFar::default());
            let before = index.checked_sub(1).and_then(|before| self.timeline.look(before));
            let gap_seconds = before.map(|before| seconds(moment.at().since_ms(before.at)));
            events.insert(place, Event { critical_path_seconds, gap_seconds, ..event });
        })?;
        let told = (0..).zip(states).filter_map(|(place, state)| {
            let event = events.remove(&place)?;
            let SoFar { tokens, cost } = state.so_far;
            Some((Event { tokens_so_far: tokens, cost_usd_so_far: cost, ..event }, state))
        });
        Ok(told.collect())
    }

    fn places(&self, positions: &[usize]) -> Vec<((usize, usize), Home, usize)> {
        let place = |(place, position): (usize, &usize)| {
            let (home, which) = self.timeline.place_at(*position)?;
            Some(((place, *position), home, which))
        };
        positions.iter().enumerate().filter_map(place).collect()
    }

    /// The events at these places, without what was used before them and what turns waited for. Each place is a position
    /// in the session, a home, and a position there.
    pub(in crate::http) fn plain_events(
        &self,
        reader: &StoreReader,
        places: Vec<(usize, Home, usize)>,
    ) -> Result<Vec<Event>, StoreError> {
        let wanted =
            (0usize..).zip(places).map(|(place, (index, home, which))| ((place, index), home, which)).collect();
        let mut events: BTreeMap<usize, Event> = BTreeMap::new();
        self.each_moment(reader, wanted, |(place, index), around, moment| {
            events.insert(place, moment.event(around, index, &mut SoFar::default()));
        })?;
        Ok(events.into_values().collect())
    }

    /// The events at these positions, each with whose it is, without what was used before them and what turns waited for.
    pub(in crate::http) fn placed_events(
        &self,
        reader: &StoreReader,
        positions: &[usize],
    ) -> Result<Vec<PlacedEvent>, StoreError> {
        let mut events: BTreeMap<usize, PlacedEvent> = BTreeMap::new();
        self.each_moment(reader, self.places(positions), |(place, index), around, moment| {
            events.insert(place, PlacedEvent::of(around, index, moment));
        })?;
        Ok(events.into_values().collect())
    }

    /// The position of the event that a span is made of. `traces` tells the trace of the spans of each unit that may hold
    /// it. A turn without a prompt is shown by its first event.
    pub(in crate::http) fn of_span(
        &self,
        reader: &StoreReader,
        traces: &HashMap<UnitId, TraceId>,
        span: SpanId,
    ) -> Result<Option<usize>, StoreError> {
        let may_hold = |position: &usize| {
            let look = self.timeline.look(*position);
            look.is_some_and(|look| traces.contains_key(&look.unit))
        };
        let positions: Vec<usize> = (0..self.timeline.len()).filter(may_hold).collect();
        let (mut own, mut first_of_turn): (Option<usize>, Option<usize>) = (None, None);
        self.each_moment(reader, self.places(&positions), |(_, position), around, moment| {
            let Some(trace) = traces.get(&around.unit.key.id()) else { return };
            let earliest = |known: Option<usize>| Some(known.map_or(position, |known| known.min(position)));
            if moment.is_span(SpanAt { trace: *trace, span }) {
                own = earliest(own);
            } else if around.unit.agent.is_none() && span == span_id(*trace, TURN, TURN_KEY) {
                first_of_turn = earliest(first_of_turn);
            }
        })?;
        Ok(own.or(first_of_turn))
    }

    /// The rows of each event that has text.
    fn texts(&self) -> impl Iterator<Item = &[TextRow]> {
        self.rows.chunk_by(|row, next| row.event == next.event)
    }

    /// Where the texts stand.
    pub(in crate::http) fn text_files(&self) -> TextFiles {
        let mut files = TextFiles::default();
        self.texts().for_each(|rows| files.add_rows(rows.iter().map(|row| (row.file, row.place.offset))));
        files
    }

    /// The positions of events with a row that `takes` takes, in order. It is told the file, the place there, and whether
    /// the event has further rows.
    pub(in crate::http) fn with_rows(&self, takes: impl Fn(FileNumber, LinePlace, bool) -> bool) -> Vec<usize> {
        let is_taken = |rows: &[TextRow]| rows.iter().any(|row| takes(row.file, row.place, rows.len() > 1));
        let taken = self.texts().filter(|rows| is_taken(rows));
        let mut positions: Vec<usize> = taken.filter_map(|rows| self.position(rows.first()?.event)).collect();
        positions.sort_unstable();
        positions
    }

    /// The positions of events by their numbers.
    pub(in crate::http) fn position(&self, event: u32) -> Option<usize> {
        usize::try_from(*self.positions.get(usize::try_from(event).ok()?)?).ok()
    }

    /// Reads the moments at these places once more. Each place is a value that `take` gets back with the moment, a
    /// home, and a position there.
    fn each_moment<T>(
        &self,
        reader: &StoreReader,
        places: Vec<(T, Home, usize)>,
        mut take: impl FnMut(T, &Around<'_>, &Moment<'_>),
    ) -> Result<(), StoreError> {
        let mut homes: BTreeMap<_, Vec<(T, usize)>> = BTreeMap::new();
        for (wanted, home, which) in places {
            homes.entry((home.unit, home.section)).or_default().push((wanted, which));
        }
        for ((unit, section), wanted) in homes {
            let Some(unit) = reader.unit(unit)? else { continue };
            let around = self.around(&unit);
            let section = match section {
                Some(position) => reader.section(unit.key.id(), position)?,
                None => None,
            };
            let moments: Vec<_> = match &section {
                Some(section) => moments::of_parts(&section.parts).collect(),
                None => moments::of_unit(&around).chain(moments::of_parts(&unit.parts)).collect(),
            };
            for (wanted, which) in wanted {
                if let Some(moment) = moments.get(which) {
                    take(wanted, &around, moment);
                }
            }
        }
        Ok(())
    }
}

/// Most turns, sub-agents and traces that a reel keeps besides its events, if nobody lists them.
const NONE: usize = 0;

/// The events of a session alone. Fails if the state cannot be read.
pub(in crate::http) fn reel_of(reader: &StoreReader, session: &Session) -> Result<Reel, StoreError> {
    Reel::read(reader, &session.id, NONE, &mut |_, _| {})
}

/// Which of these calls have a result.
fn returned(
    reader: &StoreReader,
    session: &SessionId,
    calls: &HashSet<Box<str>>,
) -> Result<HashSet<Box<str>>, StoreError> {
    let mut returned = HashSet::new();
    reader.each_parts_of(session, |parts| {
        let tools = parts.tools.iter().filter(|tool| tool.result.is_some() && calls.contains(&tool.id));
        returned.extend(tools.map(|tool| tool.id.clone()));
    })?;
    Ok(returned)
}
