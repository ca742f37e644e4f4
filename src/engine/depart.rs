//! Lets a turn that is too long to be in memory at once leave in pieces.
//!
//! ```text
//! while it is open   the finished parts of sections and of sub-agents, as they become ready
//! when it has ended  section by section, each call with the sub-agent below it, then the root
//! ```
//!
//! - A piece is what one commit takes. Parts that have left are marked: after a crash the walk begins anew and passes
//!   over them.
//! - A section is made into spans with the sections near it in memory, because the response that made a call, the
//!   response that followed a failed attempt and the hooks of a call may stand there.
//! - A sub-agent that is itself too long is walked before the section that holds its call.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use super::Engine;
use super::departure::{Chosen, DEPARTURES_MAX, Departure, Frame, UNITS_MAX};
use super::lanes::has_parts_left;
use super::leave::{SPANS_MAX, family_of};
use crate::engine::turns::{Leaving, Next, mark, mark_finished, mark_parts};
use crate::ledger::family::is_started_by;
use crate::ledger::known::Known;
use crate::ledger::parts::PARTS_MAX;
use crate::ledger::unit::{Parts, Tool, TurnEnd, Unit, UnitId, UnitKey};
use crate::store::StoreError;
use crate::views::traces::tree::Earlier;

/// How many parts before a section, and how many after it, are in memory when its spans are made.
const NEAR_PARTS: usize = PARTS_MAX;

impl Engine {
    /// Lets the next piece of a long turn leave. Returns true if there are more pieces.
    pub(super) fn depart(&mut self, id: UnitId, next: Next, leaving: &mut Leaving) -> Result<bool, StoreError> {
        // The response that made a call may stand in a section far away, which only the index finds.
        self.load_index()?;
        let (had_left, before) = (self.known.unit(id).is_some_and(has_parts_left), leaving.spans.len());
        let mut departure = match self.departures.remove(&id) {
            Some(departure) => departure,
            None => self.begin(id)?,
        };
        let goes_on = match next {
            Next::Leave { end, wanted } => self.depart_whole(&mut departure, id, (end, wanted), leaving)?,
            Next::LeaveEarly => {
                departure.frames.clear();
                self.depart_early(&mut departure, id, leaving)?
            }
            Next::Nothing => false,
        };
        if leaving.spans.len() > before {
            self.history.leaves(id, had_left);
        }
        if goes_on || next == Next::LeaveEarly {
            if self.departures.len() >= DEPARTURES_MAX {
                self.departures.clear();
            }
            self.departures.insert(id, departure);
        }
        Ok(goes_on)
    }

    fn begin(&self, id: UnitId) -> Result<Departure, StoreError> {
        let mut named = HashSet::new();
        let mut note = |parts: &Parts| {
            let sent = parts.messages.iter().filter(|message| message.sent);
            named.extend(sent.filter_map(|message| Some(xxh3_64(message.request.as_deref()?.as_bytes()))));
        };
        let Some(unit) = self.known.unit(id) else { return Ok(Departure::new(named, Earlier::default())) };
        note(&unit.parts);
        let gist = unit.gist();
        if gist.unsent < gist.spans {
            self.writer.rows().each_section(id, 0, |section| {
                note(&section.parts);
                std::ops::ControlFlow::Continue(())
            })?;
        }
        let top = self.known.top_of(unit);
        let earlier = self.earlier_of(top, self.known.session(top.session()))?;
        Ok(Departure::new(named, earlier))
    }

    /// Lets the next piece of a turn that has ended leave. Returns true if there are more pieces.
    fn depart_whole(
        &mut self,
        departure: &mut Departure,
        id: UnitId,
        (end, wanted): (TurnEnd, bool),
        leaving: &mut Leaving,
    ) -> Result<bool, StoreError> {
        let (mut spans, mut units) = (0, 0);
        if departure.frames.is_empty() {
            let is_late = self.known.unit(id).is_some_and(|unit| unit.export.sent);
            // A turn that has not left is walked as a whole, so the noted sub-agents are only needed for one that has.
            let noted = self.turns.take_ready(id);
            let mut late = if is_late { noted } else { BTreeSet::new() };
            // If the first rows of a sub-agent came late, its own span is still to be made, which only a whole walk
            // does.
            let is_new = self.is_any_new(&late)?;
            if is_new {
                late.clear();
            }
            let mut frame = Frame::of(id, None);
            let is_below = !late.is_empty() || self.known.unit(id).is_some_and(|unit| !has_unsent_below(unit));
            frame.only_unsent = is_late && !is_new && is_below;
            for unit in late {
                spans += self.depart_from(departure, (id, unit), wanted, Which::Unsent, leaving)?;
            }
            departure.frames.push(frame);
        }
        while spans < SPANS_MAX && units < UNITS_MAX {
            let Some(frame) = departure.frames.last_mut() else { return Ok(false) };
            self.load(frame.unit)?;
            let Some(home) = self.known.unit(frame.unit).and_then(|unit| frame.next_home(unit)) else {
                // All parts of this unit have left; now the span of the unit itself leaves.
                let Some(frame) = departure.frames.pop() else { return Ok(false) };
                if frame.unit == id && self.turns.has_ready(id) {
                    return Ok(true);
                }
                if wanted {
                    leaving.spans.extend(self.own_spans(departure, &frame, id, end));
                }
                if frame.unit == id {
                    self.turns.leave(&mut self.known, &[id], end, wanted, leaving);
                    return Ok(false);
                }
                mark(&mut self.known, frame.unit, wanted);
                departure.walked.insert(frame.unit);
                continue;
            };
            let Some(chosen) = self.choose(departure, home)? else { continue };
            if wanted {
                let batches = self.slice(departure, &chosen, id, end)?;
                spans += batches.iter().map(|batch| batch.spans.len()).sum::<usize>();
                leaving.spans.extend(batches);
            }
            units += 1 + chosen.agents.len();
            for agent in &chosen.agents {
                mark(&mut self.known, *agent, wanted);
            }
            let Some(frame) = departure.frames.last_mut() else { return Ok(false) };
            let calls = self.known.parts(home).map_or(0, |parts| parts.tools.len());
            if frame.tool >= calls {
                mark_parts(&mut self.known, home, wanted);
                (frame.position, frame.tool) = (frame.position + 1, 0);
            } else if let Some(parts) = self.known.parts_mut(home).filter(|_| wanted) {
                let is_chosen = |id: &str| chosen.only.contains(id);
                parts.messages.iter_mut().filter(|message| is_chosen(&message.id)).for_each(|message| {
                    (message.closed, message.sent) = (true, true);
                });
                parts.tools.iter_mut().filter(|tool| is_chosen(&tool.id)).for_each(|tool| tool.sent = true);
            }
        }
        Ok(true)
    }

    /// True if the own span of one of these units has not left.
    fn is_any_new(&mut self, units: &BTreeSet<UnitId>) -> Result<bool, StoreError> {
        for unit in units {
            self.load(*unit)?;
        }
        Ok(units.iter().any(|unit| self.known.unit(*unit).is_some_and(|unit| !unit.export.sent)))
    }

    /// Chooses parts of the section `home` that leave in one piece, and loads everything that their spans need. Returns
    /// `None` if a long sub-agent has to leave before them; its frame is added to `departure` then.
    pub(super) fn choose(&mut self, departure: &mut Departure, home: UnitId) -> Result<Option<Chosen>, StoreError> {
        let Some(frame) = departure.frames.last() else { return Ok(None) };
        let (id, position, from) = (frame.unit, frame.position, frame.tool);
        let near = self.load_around(id, position)?;
        let Some(unit) = self.known.unit(id) else { return Ok(None) };
        let session = self.known.top_of(unit).session().clone();
        let mut chosen = Chosen { home, near, only: HashSet::new(), agents: Vec::new() };
        let Some(parts) = self.known.parts(home) else { return Ok(Some(chosen)) };
        if from == 0 {
            chosen.only.extend(parts.messages.iter().filter(|one| !one.sent).map(|one| one.id.clone()));
            chosen.only.extend(parts.unsent_compactions());
        }
        let calls = parts.tools.iter().skip(from);
        let calls: Vec<_> = calls
            .map(|tool| {
                (tool.id.clone(), tool.agents().cloned().collect::<Vec<_>>(), !tool.sent && tool.call.is_some())
            })
            .collect();
        let (mut spans, mut to) = (chosen.only.len() as u64, from);
        for (call, agents, is_wanted) in calls {
            if spans >= SPANS_MAX as u64 {
                break;
            }
            for agent in agents.iter().map(|agent| UnitKey::agent(&session, agent).id()) {
                self.load(agent)?;
                if let Some(below) = self.known.unit(agent).filter(|unit| is_started_by(unit, &call)) {
                    let is_long = self.turns.is_long(below);
                    // If the call itself has left, only a walk of the sub-agent makes spans of what came late below it.
                    let came_late = !is_wanted && has_unsent(below);
                    if (is_long || came_late) && departure.may_walk(agent) {
                        departure.frames.push(Frame::of(agent, Some(call.clone())));
                        return Ok(None);
                    }
                    if !is_long && !came_late {
                        spans += below.gist_with_below().spans;
                        self.load_below(agent)?;
                        chosen.agents.extend(foreground(&self.known, agent));
                    }
                }
            }
            if is_wanted {
                chosen.only.insert(call);
            }
            (spans, to) = (spans + 1, to + 1);
        }
        if let Some(frame) = departure.frames.last_mut() {
            frame.tool = to;
        }
        Ok(Some(chosen))
    }

    /// Loads a section of a unit, and as many sections before and after it as hold [`NEAR_PARTS`] parts on each side.
    /// Returns the positions of all of these sections.
    fn load_around(&mut self, id: UnitId, position: u32) -> Result<Range<u32>, StoreError> {
        let count = self.known.unit(id).and_then(|unit| unit.sections.as_ref()).map_or(0, |sections| sections.count);
        if count == 0 {
            return Ok(0..0);
        }
        self.load_section(id, position)?;
        let (mut from, mut to, mut parts) = (position, position + 1, 0);
        while from > 0 && parts < NEAR_PARTS {
            from -= 1;
            self.load_section(id, from)?;
            parts += self.known.parts(id.section(from)).map_or(1, Parts::len);
        }
        parts = 0;
        while to < count && parts < NEAR_PARTS {
            self.load_section(id, to)?;
            parts += self.known.parts(id.section(to)).map_or(1, Parts::len);
            to += 1;
        }
        Ok(from..to)
    }

    /// Lets the finished parts of an open turn leave, and those of the sub-agents below it. Returns true if there are
    /// more.
    fn depart_early(
        &mut self,
        departure: &mut Departure,
        id: UnitId,
        leaving: &mut Leaving,
    ) -> Result<bool, StoreError> {
        let mut units = vec![id];
        units.extend(self.turns.take_ready(id));
        let (mut spans, mut goes_on) = (0, false);
        for unit in units {
            if spans >= SPANS_MAX {
                self.turns.note_again(id, unit);
                goes_on = true;
                continue;
            }
            spans += self.depart_from(departure, (id, unit), true, Which::Finished, leaving)?;
        }
        Ok(goes_on || self.known.unit(id).is_some_and(|unit| unit.gist().ready > 0 && spans >= SPANS_MAX))
    }

    /// Lets some parts of `unit`, which belongs to `turn`, leave without the rest of the turn. Returns the number of
    /// spans.
    fn depart_from(
        &mut self,
        departure: &mut Departure,
        (turn, unit): (UnitId, UnitId),
        wanted: bool,
        which: Which,
        leaving: &mut Leaving,
    ) -> Result<usize, StoreError> {
        self.load(unit)?;
        let Some(known) = self.known.unit(unit) else { return Ok(0) };
        let positions: Vec<u32> = match (&known.sections, which) {
            (Some(sections), Which::Finished) => sections.ready.iter().collect(),
            (Some(sections), Which::Unsent) => sections.unsent.iter().collect(),
            (None, _) => vec![0],
        };
        let (end, mut spans) = (TurnEnd { at: known.activity_end(), reason: "open" }, 0);
        for position in positions {
            if spans >= SPANS_MAX {
                self.turns.note_again(turn, unit);
                break;
            }
            let near = self.load_around(unit, position)?;
            let Some(home) = self.known.unit(unit).map(|unit| home_at(unit, position)) else { continue };
            let Some(parts) = self.known.parts(home) else { continue };
            let chosen = Chosen { home, near, only: which.of(parts), agents: Vec::new() };
            if chosen.only.is_empty() {
                continue;
            }
            if wanted {
                departure.frames.push(Frame { position, ..Frame::of(unit, None) });
                let batches = self.slice(departure, &chosen, turn, end);
                departure.frames.pop();
                let batches = batches?;
                spans += batches.iter().map(|batch| batch.spans.len()).sum::<usize>();
                leaving.spans.extend(batches);
            }
            match which {
                Which::Finished => mark_finished(&mut self.known, home),
                Which::Unsent => mark_parts(&mut self.known, home, wanted),
            }
        }
        Ok(spans)
    }
}

/// Which parts leave without the rest of their turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    /// The parts of an open unit that cannot change any more.
    Finished,
    /// All parts that have not left, of a unit that got rows after its turn had left.
    Unsent,
}

impl Which {
    /// Ids of the parts in `parts` that this is about.
    fn of(self, parts: &Parts) -> HashSet<Box<str>> {
        let all = self == Self::Unsent;
        let messages = parts.messages.iter().filter(|one| !one.sent && (all || one.closed)).map(|one| one.id.clone());
        let is_ready = |tool: &&Tool| !tool.sent && if all { tool.call.is_some() } else { tool.is_finished() };
        let tools = parts.tools.iter().filter(is_ready).map(|one| one.id.clone());
        messages.chain(tools).chain(parts.unsent_compactions()).collect()
    }
}

/// True if something of a sub-agent, or of the sub-agents below it, has not left.
fn has_unsent(unit: &Unit) -> bool {
    !unit.export.sent || unit.gist_with_below().unsent > 0
}

/// True if a sub-agent below a unit has parts that have not left.
fn has_unsent_below(unit: &Unit) -> bool {
    unit.below.as_ref().is_some_and(|below| below.unsent > 0)
}

/// The home of the parts at a position: a section of the unit, or the unit itself if it has no sections.
fn home_at(unit: &Unit, position: u32) -> UnitId {
    let id = unit.key.id();
    if unit.sections.is_some() { id.section(position) } else { id }
}

/// A sub-agent and the sub-agents below it that leave together with it. All of them must be in memory.
fn foreground(known: &Known, id: UnitId) -> Vec<UnitId> {
    family_of(known, id).map(|family| family.ids()).unwrap_or_default()
}
