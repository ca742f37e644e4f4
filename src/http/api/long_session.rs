//! A session that is too long to be in memory for an answer: its events, and the lists that are answered besides its sums.

use std::collections::BTreeSet;

use crate::http::api::reel::Reel;
use crate::http::api::sessions::ROWS_MAX;
use crate::ledger::session::Session;
use crate::store::{StoreError, StoreReader};
use crate::transcript::chunk::FileNumber;
use crate::transcript::time::Timestamp;
use crate::views::sessions::clues::Clues;
use crate::views::sessions::event::Event;
use crate::views::sessions::events::PlacedEvent;
use crate::views::sessions::moments::StepKind;
use crate::views::sessions::parts::{self, AgentSummary, SlowestSteps, TurnSummary};
use crate::views::sessions::summary::ToolDurations;
use crate::views::sessions::timeline::Timeline;

/// Most responses, tool calls, turns and sub-agents together of a session that is read as a whole.
const WHOLE_MAX: u64 = 10_000;

/// What is kept of a long session while it is answered.
pub(in crate::http) struct LongSession {
    reel: Reel,
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
        let (mut durations, mut files, mut clues) = (ToolDurations::default(), BTreeSet::new(), Clues::default());
        let reel = Reel::read(reader, &session.id, rows_max(), &mut |unit, section| {
            durations.add(section.unwrap_or(&unit.parts));
            parts::files(unit, section.unwrap_or(&unit.parts), &mut files);
            match section {
                Some(parts) => clues.add_parts(unit, parts),
                None => clues.add(unit),
            }
        })?;
        Ok(Self { reel, durations, files, clues })
    }

    /// What its rows tell of requests without rows.
    pub(in crate::http) fn clues(self) -> Clues {
        self.clues
    }

    /// The number of events of the whole session.
    pub(in crate::http) const fn len(&self) -> usize {
        self.reel.timeline.len()
    }

    /// The position of the first event at or after `time`.
    pub(in crate::http) fn at(&self, time: Timestamp) -> usize {
        self.reel.timeline.at(time)
    }

    fn positions(&self, from: usize, limit: usize) -> Vec<usize> {
        (from..from.saturating_add(limit).min(self.len())).collect()
    }

    /// At most `limit` events from position `from` on, without what was used before them and what turns waited for.
    pub(in crate::http) fn plain_events(
        &self,
        reader: &StoreReader,
        from: usize,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        let place = |position| self.reel.timeline.place_at(position).map(|(home, which)| (position, home, which));
        self.reel.plain_events(reader, self.positions(from, limit).into_iter().filter_map(place).collect())
    }

    /// At most `limit` events from position `from` on, each with whose it is.
    pub(in crate::http) fn placed_events(
        &self,
        reader: &StoreReader,
        from: usize,
        limit: usize,
    ) -> Result<Vec<PlacedEvent>, StoreError> {
        self.reel.placed_events(reader, &self.positions(from, limit))
    }

    /// The lists of the session that are answered besides its sums.
    pub(in crate::http) fn told(mut self, reader: &StoreReader) -> Result<ToldSession, StoreError> {
        let reel = &mut self.reel;
        let slowest = |kind| reel.plain_events(reader, reel.timeline.slowest(kind));
        let slowest_steps = SlowestSteps {
            tool_calls: parts::slowest(&slowest(StepKind::Tool)?).tool_calls,
            api_requests: parts::slowest(&slowest(StepKind::Message)?).api_requests,
        };
        reel.timeline = Timeline::default();
        let mut lists = reel.outline.lists();
        let mut turns: Vec<TurnSummary> = Vec::with_capacity(lists.turns.len());
        for (number, id) in lists.turns {
            let threads = reel.family(reader, id)?;
            let summary = reader.unit(id)?;
            let summary = summary.and_then(|unit| parts::turn_summary(&unit, number, || threads.summary(id)));
            let agents = lists.of_turns.remove(&number).unwrap_or_default();
            turns.extend(summary.map(|turn| turn.with_agents(agents)));
        }
        let mut subagents = Vec::with_capacity(lists.agents.len());
        for id in lists.agents {
            let Some(unit) = reader.unit(id)? else { continue };
            let (turn, apart) = (reel.outline.turn(id), reel.outline.is_apart(id));
            subagents.extend(parts::agent_summary(&unit, turn, reel.end_of(&unit), apart));
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
