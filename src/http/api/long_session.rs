//! A session that is too long to be in memory for an answer. Its units are read one by one.
//!
//! ```text
//! 1. members   a short row of each unit    tells which turn each sub-agent belongs to
//! 2. units     every unit and section      tell time and kind of each event, durations of tools, files
//! 3. page      the wanted events           their units and sections are read once more
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;

use crate::http::api::sessions::ROWS_MAX;
use crate::ledger::ended;
use crate::ledger::session::Session;
use crate::ledger::unit::{TurnEnd, Unit, UnitId};
use crate::store::{StoreError, StoreReader};
use crate::transcript::chunk::FileNumber;
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;
use crate::views::sessions::clues::Clues;
use crate::views::sessions::event::{Detail, Event};
use crate::views::sessions::events::PlacedEvent;
use crate::views::sessions::moments::{self, Around, Moment, SoFar, StepKind};
use crate::views::sessions::outline::Outline;
use crate::views::sessions::parts::{self, AgentSummary, SlowestSteps, TurnSummary};
use crate::views::sessions::paths::{OnPath, Threads};
use crate::views::sessions::summary::ToolDurations;
use crate::views::sessions::timeline::{EventPage, Home, Timeline};

/// Most responses, tool calls, turns and sub-agents together of a session that is read as a whole.
const WHOLE_MAX: u64 = 10_000;

/// What is kept of a long session while it is answered.
pub(in crate::http) struct LongSession {
    outline: Outline,
    /// Calls that have returned, of sub-agents whose own rows do not say that they have ended.
    returned: HashSet<Box<str>>,
    timeline: Timeline,
    durations: ToolDurations,
    files: BTreeSet<FileNumber>,
    clues: Clues,
}

impl LongSession {
    /// True if a session is too long to be read as a whole.
    pub(in crate::http) fn is_one(session: &Session) -> bool {
        let tally = &session.tally;
        let calls: u64 = tally.tools.values().map(|tool| tool.calls).sum();
        tally.messages() + calls + tally.turns + tally.subagents > WHOLE_MAX
    }

    pub(in crate::http) fn read(reader: &StoreReader, session: &Session) -> Result<Self, StoreError> {
        let mut members = Vec::new();
        reader.each_member(&session.id, |member| {
            members.push(member);
            ControlFlow::Continue(())
        })?;
        let outline = Outline::of(&members, rows_max());
        drop(members);
        let (timeline, durations, files) = (Timeline::default(), ToolDurations::default(), BTreeSet::new());
        let clues = Clues::default();
        let mut long = Self { outline, returned: HashSet::new(), timeline, durations, files, clues };
        // If the rows of a sub-agent do not say that it has ended, its call tells. All calls must be read before.
        let (mut open, mut calls) = (Vec::new(), HashSet::new());
        reader.each_unit_of(&session.id, |unit| {
            match unit.agent.as_ref().filter(|agent| !agent.background && unit.end().is_none()) {
                Some(agent) => {
                    calls.extend(agent.call.clone());
                    open.push(unit.key.id());
                }
                None => long.add(reader, &unit)?,
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if !calls.is_empty() {
            long.returned = returned(reader, &session.id, &calls)?;
        }
        for id in open {
            if let Some(unit) = reader.unit(id)? {
                long.add(reader, &unit)?;
            }
        }
        long.outline.sort();
        long.sort(reader)?;
        Ok(long)
    }

    fn add(&mut self, reader: &StoreReader, unit: &Unit) -> Result<(), StoreError> {
        let id = unit.key.id();
        self.outline.add(unit);
        let around = self.around(unit);
        self.timeline.add(id, None, moments::of_unit(&around).chain(moments::of_parts(&unit.parts)));
        self.durations.add(&unit.parts);
        self.clues.add(unit);
        parts::files(unit, &unit.parts, &mut self.files);
        if unit.sections.is_some() {
            reader.each_section(id, |section| {
                self.timeline.add(id, Some(section.position), moments::of_parts(&section.parts));
                self.durations.add(&section.parts);
                self.clues.add_parts(unit, &section.parts);
                parts::files(unit, &section.parts, &mut self.files);
                ControlFlow::Continue(())
            })?;
        }
        Ok(())
    }

    /// Puts all events in order.
    fn sort(&mut self, reader: &StoreReader) -> Result<(), StoreError> {
        let tied = self.timeline.sort();
        if tied.is_empty() {
            return Ok(());
        }
        let mut ids = HashMap::with_capacity(tied.len());
        self.each_moment(reader, tied, |event, _, moment| {
            ids.insert(event, moment.id().into_owned());
        })?;
        self.timeline.settle(&ids);
        Ok(())
    }

    /// What was done in a turn, and in the sub-agents that it waits for.
    fn family(&self, reader: &StoreReader, turn: UnitId) -> Result<Threads, StoreError> {
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

    /// What lies on the paths of the turns of these units.
    fn on_path(&self, reader: &StoreReader, units: impl Iterator<Item = UnitId>) -> Result<OnPath, StoreError> {
        let turns: BTreeSet<usize> = units.filter_map(|unit| self.outline.turn(unit)).collect();
        let mut paths = OnPath::default();
        for turn in turns.into_iter().filter_map(|number| self.outline.numbered(number)) {
            if let Some(path) = self.family(reader, turn)?.path(turn) {
                paths.add(&path);
            }
        }
        Ok(paths)
    }

    fn around<'a>(&self, unit: &'a Unit) -> Around<'a> {
        Around { unit, turn: self.outline.turn(unit.key.id()), end: self.end_of(unit) }
    }

    /// When and how a sub-agent ended; `None` while it runs.
    fn end_of(&self, unit: &Unit) -> Option<TurnEnd> {
        let agent = unit.agent.as_ref()?;
        let has_returned = || !agent.background && agent.call.as_ref().is_some_and(|call| self.returned.contains(call));
        unit.end().or_else(|| has_returned().then(|| ended::returned(unit)))
    }

    /// The number of events of the whole session.
    pub(in crate::http) const fn len(&self) -> usize {
        self.timeline.len()
    }

    /// The position of the first event at or after `time`.
    pub(in crate::http) fn at(&self, time: Timestamp) -> usize {
        self.timeline.at(time)
    }

    /// At most `limit` events from position `from` on.
    pub(in crate::http) fn events(
        &self,
        reader: &StoreReader,
        from: usize,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        let EventPage { before, events } = self.timeline.page(from, limit);
        let on_path = self.on_path(reader, events.iter().map(|(home, _)| home.unit))?;
        let places = (from..).zip(events).map(|(index, (home, which))| (index, home, which)).collect();
        let mut events = self.read_events(reader, places, &on_path)?;
        let mut so_far = before;
        for event in &mut events {
            if let Detail::Message { tokens, cost_usd, .. } = &event.detail {
                so_far.tokens += *tokens;
                so_far.cost += cost_usd.unwrap_or_default();
            }
            (event.tokens_so_far, event.cost_usd_so_far) = (so_far.tokens, so_far.cost);
        }
        Ok(events)
    }

    /// At most `limit` events from position `from` on, without what was used before them and what turns waited for.
    pub(in crate::http) fn plain_events(
        &self,
        reader: &StoreReader,
        from: usize,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        let EventPage { events, .. } = self.timeline.page(from, limit);
        let places = (from..).zip(events).map(|(index, (home, which))| (index, home, which)).collect();
        self.read_events(reader, places, &OnPath::default())
    }

    /// At most `limit` events from position `from` on, each with whose it is.
    pub(in crate::http) fn placed_events(
        &self,
        reader: &StoreReader,
        from: usize,
        limit: usize,
    ) -> Result<Vec<PlacedEvent>, StoreError> {
        let EventPage { events, .. } = self.timeline.page(from, limit);
        let places = (from..).zip(events).map(|(index, (home, which))| (index, home, which)).collect();
        let mut events: BTreeMap<usize, PlacedEvent> = BTreeMap::new();
        self.each_moment(reader, places, |index, around, moment| {
            events.insert(index, PlacedEvent::of(around, index, moment));
        })?;
        Ok(events.into_values().collect())
    }

    /// The events at these places, in this order. Each place is a position in the session, a home, and a position
    /// there. The tokens and cost of earlier events are not added.
    fn read_events(
        &self,
        reader: &StoreReader,
        places: Vec<(usize, Home, usize)>,
        on_path: &OnPath,
    ) -> Result<Vec<Event>, StoreError> {
        let wanted =
            (0usize..).zip(places).map(|(place, (index, home, which))| ((place, index), home, which)).collect();
        let mut events: BTreeMap<usize, Event> = BTreeMap::new();
        self.each_moment(reader, wanted, |(place, index), around, moment| {
            let critical_path_seconds = moment.on_path(on_path);
            let event = moment.event(around, index, &mut SoFar::default());
            events.insert(place, Event { critical_path_seconds, ..event });
        })?;
        Ok(events.into_values().collect())
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

    /// The lists of the session that are answered besides its sums.
    pub(in crate::http) fn told(mut self, reader: &StoreReader) -> Result<ToldSession, StoreError> {
        let slowest = |kind| self.read_events(reader, self.timeline.slowest(kind), &OnPath::default());
        let slowest_steps = SlowestSteps {
            tool_calls: parts::slowest(&slowest(StepKind::Tool)?).tool_calls,
            api_requests: parts::slowest(&slowest(StepKind::Message)?).api_requests,
        };
        self.timeline = Timeline::default();
        let mut lists = self.outline.lists();
        let mut turns: Vec<TurnSummary> = Vec::with_capacity(lists.turns.len());
        for (number, id) in lists.turns {
            let threads = self.family(reader, id)?;
            let summary = reader.unit(id)?;
            let summary = summary.and_then(|unit| parts::turn_summary(&unit, number, || threads.summary(id)));
            let agents = lists.of_turns.remove(&number).unwrap_or_default();
            turns.extend(summary.map(|turn| turn.with_agents(agents)));
        }
        let mut subagents = Vec::with_capacity(lists.agents.len());
        for id in lists.agents {
            let Some(unit) = reader.unit(id)? else { continue };
            let (turn, apart) = (self.outline.turn(id), self.outline.is_apart(id));
            subagents.extend(parts::agent_summary(&unit, turn, self.end_of(&unit), apart));
        }
        Ok(ToldSession {
            turns: (turns, lists.turns_omitted),
            subagents: (subagents, lists.agents_omitted),
            trace_ids: lists.traces.into_iter().map(|trace| trace.to_string()).collect(),
            slowest_steps,
            files: self.files,
            durations: self.durations,
            clues: self.clues,
        })
    }
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

/// The lists of a session that are answered besides its sums, with at most [`ROWS_MAX`] turns, sub-agents and traces.
/// The numbers say how many further turns and sub-agents there are.
pub(in crate::http) struct ToldSession {
    pub(in crate::http) turns: (Vec<TurnSummary>, usize),
    pub(in crate::http) subagents: (Vec<AgentSummary>, usize),
    pub(in crate::http) trace_ids: Vec<String>,
    pub(in crate::http) slowest_steps: SlowestSteps,
    pub(in crate::http) files: BTreeSet<FileNumber>,
    pub(in crate::http) durations: ToolDurations,
    pub(in crate::http) clues: Clues,
}

/// [`ROWS_MAX`] as a length.
pub(in crate::http) fn rows_max() -> usize {
    usize::try_from(ROWS_MAX).unwrap_or(usize::MAX)
}
