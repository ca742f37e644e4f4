//! A session that is too long to be in memory for an answer: its units are read one by one, twice.
//!
//! ```text
//! first    a line of each unit     which turn a sub-agent belongs to, what is told of the first thousand
//! second   every event             when, which kind, its id; the order of all; how long tools took; files
//! page     the events wanted       their units and sections once more
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;

use super::session_detail::{Told, rows_max};
use crate::ledger::session::Session;
use crate::ledger::unit::{TurnEnd, Unit, UnitId};
use crate::store::{Reader, StoreError};
use crate::transcript::chunk::FileNumber;
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;
use crate::views::moments::{self, Around, Kind, SoFar};
use crate::views::outline::Outline;
use crate::views::replay::{Detail, Event};
use crate::views::replay_detail::{self, SlowestSteps, TurnSummary};
use crate::views::summary::ToolDurations;
use crate::views::timeline::{Home, Page, Timeline};

/// Responses, tool calls, turns and sub-agents of a session that is read as a whole.
const WHOLE_MAX: u64 = 10_000;

/// What is known of a long session.
pub(super) struct LongSession {
    outline: Outline,
    ends: HashMap<UnitId, TurnEnd>,
    timeline: Timeline,
    durations: ToolDurations,
    files: BTreeSet<FileNumber>,
}

impl LongSession {
    /// True if a session is too long to be read as a whole.
    pub(super) fn is_one(session: &Session) -> bool {
        let tally = &session.tally;
        let calls: u64 = tally.tools.values().map(|tool| tool.calls).sum();
        tally.messages() + calls + tally.turns + tally.subagents > WHOLE_MAX
    }

    pub(super) fn read(reader: &Reader, session: &Session) -> Result<Self, StoreError> {
        let (mut outline, id) = (Outline::default(), &session.id);
        reader.each_unit_of(id, |unit| {
            outline.add(&unit);
            Ok(ControlFlow::Continue(()))
        })?;
        outline.number();
        if !outline.asked().is_empty() {
            let returned = returned(reader, id, outline.asked())?;
            outline.tell(&returned);
        }
        let ends = outline.ends();
        let (timeline, durations, files) = (Timeline::default(), ToolDurations::default(), BTreeSet::new());
        let mut long = Self { outline, ends, timeline, durations, files };
        reader.each_unit_of(id, |unit| {
            long.add(reader, &unit)?;
            Ok(ControlFlow::Continue(()))
        })?;
        long.timeline.sort();
        Ok(long)
    }

    fn add(&mut self, reader: &Reader, unit: &Unit) -> Result<(), StoreError> {
        let id = unit.key.id();
        let around = self.around(unit);
        self.timeline.add(id, None, moments::of_unit(&around).chain(moments::of_parts(&unit.parts)));
        self.durations.add(&unit.parts);
        replay_detail::files(unit, &unit.parts, &mut self.files);
        if unit.sections.is_some() {
            reader.each_section(id, |section| {
                self.timeline.add(id, Some(section.position), moments::of_parts(&section.parts));
                self.durations.add(&section.parts);
                replay_detail::files(unit, &section.parts, &mut self.files);
                ControlFlow::Continue(())
            })?;
        }
        Ok(())
    }

    fn around<'a>(&self, unit: &'a Unit) -> Around<'a> {
        let id = unit.key.id();
        Around { unit, turn: self.outline.turn(id), end: self.ends.get(&id).copied() }
    }

    /// Events of the whole session.
    pub(super) const fn len(&self) -> usize {
        self.timeline.len()
    }

    /// The position of the first event at or after a time.
    pub(super) fn at(&self, time: Timestamp) -> usize {
        self.timeline.at(time)
    }

    /// The events from a position on.
    pub(super) fn events(&self, reader: &Reader, from: usize, limit: usize) -> Result<Vec<Event>, StoreError> {
        let Page { before, events } = self.timeline.page(from, limit);
        let places = (from..).zip(events).map(|(index, (home, which))| (index, home, which)).collect();
        let mut events = self.read_events(reader, places)?;
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

    /// Events by their positions and homes, in this order, without what was used before them.
    fn read_events(&self, reader: &Reader, places: Vec<(usize, Home, usize)>) -> Result<Vec<Event>, StoreError> {
        let mut homes: BTreeMap<(UnitId, Option<u32>), Vec<Wanted>> = BTreeMap::new();
        for (place, (index, home, which)) in places.iter().enumerate() {
            homes.entry((home.unit, home.section)).or_default().push(Wanted { which: *which, place, index: *index });
        }
        let mut events: Vec<Option<Event>> = places.iter().map(|_| None).collect();
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
            for Wanted { which, place, index } in wanted {
                let moment = moments.get(which);
                if let (Some(moment), Some(event)) = (moment, events.get_mut(place)) {
                    *event = Some(moment.event(&around, index, &mut SoFar::default()));
                }
            }
        }
        Ok(events.into_iter().flatten().collect())
    }

    /// What is told of the session beside its sums.
    pub(super) fn told(self, reader: &Reader) -> Result<Told, StoreError> {
        let mut of_turns = self.outline.agents_of_turns(rows_max());
        let (wanted, turns_omitted) = self.outline.turns(rows_max());
        let mut turns: Vec<TurnSummary> = Vec::with_capacity(wanted.len());
        for (number, id) in wanted {
            let summary = reader.unit(id)?.and_then(|unit| replay_detail::turn_summary(&unit, number));
            let agents = of_turns.remove(&number).unwrap_or_default();
            turns.extend(summary.map(|turn| turn.with_agents(agents)));
        }
        let (wanted, subagents_omitted) = self.outline.agents(rows_max());
        let apart = self.outline.apart();
        let mut subagents = Vec::with_capacity(wanted.len());
        for id in wanted {
            let Some(unit) = reader.unit(id)? else { continue };
            let (turn, end) = (self.outline.turn(id), self.ends.get(&id).copied());
            subagents.extend(replay_detail::agent_summary(&unit, turn, end, apart.contains(&id)));
        }
        let slowest = |kind| self.read_events(reader, self.timeline.slowest(kind));
        let slowest_steps = SlowestSteps {
            tool_calls: replay_detail::slowest(&slowest(Kind::Tool)?).tool_calls,
            api_requests: replay_detail::slowest(&slowest(Kind::Message)?).api_requests,
        };
        Ok(Told {
            turns: (turns, turns_omitted),
            subagents: (subagents, subagents_omitted),
            trace_ids: self.outline.traces(rows_max()).into_iter().map(|trace| format!("{trace:032x}")).collect(),
            slowest_steps,
            files: self.files,
            durations: self.durations,
        })
    }
}

/// One event that is wanted of a unit or a section.
struct Wanted {
    /// Its position among the moments of its home.
    which: usize,
    /// Its place in the answer.
    place: usize,
    /// Its position in the session.
    index: usize,
}

/// Which of these calls have a result.
fn returned(reader: &Reader, session: &SessionId, calls: &HashSet<Box<str>>) -> Result<HashSet<Box<str>>, StoreError> {
    let mut returned = HashSet::new();
    reader.each_parts_of(session, |parts| {
        let tools = parts.tools.iter().filter(|tool| tool.result.is_some() && calls.contains(&tool.id));
        returned.extend(tools.map(|tool| tool.id.clone()));
    })?;
    Ok(returned)
}
