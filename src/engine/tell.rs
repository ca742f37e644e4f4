//! What a commit tells those who follow: each thing once, when it is new.
//!
//! - New is a part that was not there at the last commit, in any unit. A copy in a fork, a second reading and a new price
//!   change parts or nothing. Parts that move into a section leave their unit in the same commit.
//! - What happened before the log was begun is history, and is not told; nor is what is more than a day older than the
//!   moment up to which everything had been read: that are old files which somebody puts there. What was written while no
//!   sidecar ran is behind that moment, however long it was.
//! - A turn is told when it has ended and was quiet for a moment, as for its histograms. A sub-agent has ended when its call
//!   has returned, or, if no call waits for it, as a turn does.

use std::collections::{BTreeSet, HashMap};

use super::Engine;
use crate::engine::turns::Leaving;
use crate::ledger::family::is_started_by;
use crate::ledger::run::Run;
use crate::ledger::unit::{Identity, Parts, Tool, Unit, UnitId, UnitKey};
use crate::store::{EventLimits, EventRef, StoreError, Told, session_number, session_number_of};
use crate::transcript::ids::SessionId;
use crate::transcript::record::Fact;
use crate::transcript::time::Timestamp;

/// Rows that are stamped longer than this before the moment up to which everything had been read are history, in
/// milliseconds: the clocks of other machines may be behind, and files may come late.
const LATE_MS: u64 = 86_400_000;

impl Engine {
    /// The same engine, which keeps so much of the log of events.
    #[must_use]
    pub fn with_events(mut self, limits: EventLimits) -> Self {
        self.writer.log().into_iter().for_each(|log| log.limit(limits));
        self
    }

    /// Notes that everything that was there at `now` has been read.
    pub const fn caught_up(&mut self, now: Timestamp) {
        self.telling.caught_up = Some(now);
    }

    /// Whether somebody waits for events.
    #[must_use]
    pub fn is_followed(&mut self) -> bool {
        self.writer.log().is_some_and(|log| log.is_awaited())
    }

    /// Up to when everything had been read before the next commit.
    pub(super) fn read_until(&mut self) -> Timestamp {
        let stored = self.writer.log().map(|log| log.caught_up);
        self.telling.caught_up.max(stored).unwrap_or_default()
    }

    /// What happened before this is history.
    fn told_from(&mut self) -> Timestamp {
        let late = Timestamp(self.read_until().0.saturating_sub_unsigned(LATE_MS));
        self.writer.log().map_or(late, |log| late.max(log.begun))
    }

    /// What the next commit tells, in order.
    pub(super) fn told(&mut self, leaving: &Leaving) -> Result<Vec<EventRef>, StoreError> {
        let from = self.told_from();
        let mut news = News { from, events: Vec::new() };
        let gone = self.gone();
        for (before, unit) in self.known.changed_units() {
            news.of_unit(before, unit);
            news.of_parts((unit.key.id(), None), before.map(|unit| &unit.parts), &unit.parts, &gone);
        }
        for (_, before, section) in self.known.changed_sections() {
            let home = (section.of, Some(section.position));
            news.of_parts(home, before.map(|section| &section.parts), &section.parts, &gone);
        }
        for (turn, _) in &leaving.observed {
            let end = self.known.unit(*turn).map(crate::ledger::ended::over);
            end.into_iter().for_each(|end| news.add(Told::Turn, *turn, end.at));
        }
        for agent in &leaving.agents {
            let end = self.known.unit(*agent).map(crate::ledger::ended::over);
            end.into_iter().for_each(|end| news.add(Told::SubagentEnd, *agent, end.at));
        }
        let mut events = news.events;
        let more = std::mem::take(&mut self.telling.more);
        // A wait may have begun before the one before it was seen to end, so their order is that in which they were told.
        let (mut waits, mut more): (Vec<_>, Vec<_>) = more.into_iter().partition(|event| event.told == Told::Waiting);
        events.append(&mut more);
        for (agent, at) in self.returned_agents(&gone)? {
            let told = EventRef { told: Told::SubagentEnd, unit: agent, section: None, identity: 0, at };
            events.extend((at >= from).then_some(told));
        }
        events.sort_by_key(|event| (event.at, event.told, event.unit, event.identity));
        events.dedup();
        events.append(&mut waits);
        Ok(events)
    }

    /// Tells something with the next commit that no change of the facts tells.
    pub fn tell(&mut self, event: EventRef) {
        self.telling.more.push(event);
    }

    /// Notes that a session began to run away or to wait, or that this is over, for the next commit. `which` is the position
    /// of the reason.
    pub fn tell_of_session(&mut self, told: Told, session: &SessionId, (which, is_over): (u64, bool), at: Timestamp) {
        let identity = which * 2 + u64::from(is_over);
        self.tell(EventRef { told, unit: session_number_of(session), section: None, identity, at });
    }

    /// Notes which runs began and ended, for this commit.
    pub(super) fn tell_runs(&mut self) {
        let (from, begun) = (self.told_from(), self.writer.log().map(|log| log.begun).unwrap_or_default());
        for (run, has_ended, at) in self.known.untold_runs() {
            // A run that nobody ended is known to have ended long after its last line.
            let given_up = self.known.run(run).filter(|run| has_ended && run.given_up);
            let known = at.0.saturating_add_unsigned(given_up.map_or(0, Run::patience_ms));
            if at >= begun && known >= from.0 {
                let (told, unit) = (Told::Run, UnitId(run.0.0));
                self.tell(EventRef { told, unit, section: None, identity: u64::from(has_ended), at });
            }
        }
    }

    /// True if something is to be told that no change of the facts brings with it.
    pub(super) fn has_more_to_tell(&self) -> bool {
        !self.telling.more.is_empty()
    }

    /// Notes that a session has begun, for the next commit.
    pub(super) fn tell_session(&mut self, session: &crate::ledger::session::Session) {
        let Some(at) = session.started().filter(|at| *at >= self.told_from()) else { return };
        let unit = session_number(session);
        self.telling.more.push(EventRef { told: Told::Session, unit, section: None, identity: 0, at });
    }

    /// The parts that have left a home since the last commit: whether each was called, and whether it has returned.
    fn gone(&self) -> Gone {
        let mut gone = Gone::default();
        for changed in self.known.changes() {
            let Some(before) = changed.parts_before.filter(|before| !is_appended(before, changed.parts)) else {
                continue;
            };
            gone.is_moved = true;
            let now: BTreeSet<u64> = changed.parts.identities().collect();
            let lost = |hash: &u64| !now.contains(hash);
            let messages = before.messages.iter().map(|message| Identity::Message(&message.id).hash());
            let rows = before.rows.iter().map(|row| Identity::Row(row.id).hash());
            gone.parts.extend(messages.chain(rows).filter(lost).map(|hash| (hash, (true, true))));
            let tools = before.tools.iter().map(|tool| (Identity::Call(&tool.id).hash(), had(tool)));
            gone.parts.extend(tools.filter(|(hash, _)| lost(hash)));
        }
        gone
    }

    /// The sub-agents whose calls have returned since the last commit, or which were found after that.
    fn returned_agents(&self, gone: &Gone) -> Result<Vec<(UnitId, Timestamp)>, StoreError> {
        let mut ended = Vec::new();
        for changed in self.known.changes() {
            let session = changed.unit.session();
            for tool in new_results(changed.parts_before, changed.parts, gone) {
                for agent in tool.agents() {
                    let id = UnitKey::agent(session, agent).id();
                    let stored = if self.known.has(id) { None } else { self.writer.rows().unit(id)? };
                    if let Some(unit) = self.known.unit(id).or(stored.as_ref())
                        && is_started_by(unit, &tool.id)
                        && has_begun(unit)
                        // The end of one that was given up was told with its turn.
                        && !unit.export.observed
                    {
                        ended.push((id, end_of(unit, tool)));
                    }
                }
            }
            // A sub-agent whose rows are found after its call has returned.
            let is_new = changed.is_unit() && has_begun(changed.unit) && !changed.before.is_some_and(has_begun);
            if let Some(agent) = changed.unit.agent.as_ref().filter(|agent| is_new && !agent.background)
                && let Some(call) = agent.call.as_deref()
                && let Some(parts) = self.known.index.home(Identity::Call(call).hash())
                && let Some(tool) = self.known.parts(parts).and_then(|parts| parts.tool(call))
                && tool.result.is_some()
            {
                ended.push((changed.unit.key.id(), end_of(changed.unit, tool)));
            }
        }
        ended.sort_unstable();
        ended.dedup_by_key(|(agent, _)| *agent);
        Ok(ended)
    }
}

/// Parts that were somewhere else at the last commit, by their identities: whether each was called, and whether it has
/// returned.
#[derive(Debug, Default)]
struct Gone {
    parts: HashMap<u64, (bool, bool)>,
    /// True if parts of a home are not where they were.
    is_moved: bool,
}

impl Gone {
    fn has(&self, hash: u64) -> bool {
        self.parts.contains_key(&hash)
    }

    /// True if parts were added behind others and nothing else: then each is where it was.
    const fn is_empty(&self) -> bool {
        !self.is_moved
    }
}

const fn had(tool: &Tool) -> (bool, bool) {
    (tool.call.is_some(), tool.result.is_some())
}

/// Whether parts were only added behind those that were there, as is nearly always so.
fn is_appended(before: &Parts, now: &Parts) -> bool {
    begins(&before.messages, &now.messages, |a, b| a.id == b.id)
        && begins(&before.tools, &now.tools, |a, b| a.id == b.id)
        && begins(&before.rows, &now.rows, |a, b| a.id == b.id)
}

fn begins<T>(before: &[T], now: &[T], is_same: impl Fn(&T, &T) -> bool) -> bool {
    before.len() <= now.len() && before.iter().zip(now).all(|(before, now)| is_same(before, now))
}

fn has_begun(unit: &Unit) -> bool {
    unit.agent.as_ref().is_some_and(|agent| agent.first_row.is_some())
}

/// When a sub-agent ended whose call has returned.
fn end_of(unit: &Unit, tool: &Tool) -> Timestamp {
    let returned = tool.result.as_ref().map_or(Timestamp(i64::MIN), |end| end.rank.time);
    unit.activity_end().max(returned)
}

/// The calls that have a result and had none at the last commit.
fn new_results<'a>(before: Option<&'a Parts>, now: &'a Parts, gone: &Gone) -> Vec<&'a Tool> {
    let returned = now.tools.iter().enumerate().filter(|(_, tool)| tool.result.is_some());
    returned.filter(|(place, tool)| !was(before, *place, tool, gone).1).map(|(_, tool)| tool).collect()
}

/// Whether a call was called, and whether it had returned, at the last commit. `place` is where it is now.
fn was(before: Option<&Parts>, place: usize, tool: &Tool, gone: &Gone) -> (bool, bool) {
    let tools = before.map_or(&[][..], |parts| &parts.tools);
    let same = tools.get(place).filter(|known| known.id == tool.id);
    let known = same.or_else(|| if gone.is_empty() { None } else { tools.iter().find(|known| known.id == tool.id) });
    match known {
        Some(known) => had(known),
        None => gone.parts.get(&Identity::Call(&tool.id).hash()).copied().unwrap_or_default(),
    }
}

/// Collects what is new.
struct News {
    from: Timestamp,
    events: Vec<EventRef>,
}

impl News {
    fn add(&mut self, told: Told, unit: UnitId, at: Timestamp) {
        if at >= self.from {
            self.events.push(EventRef { told, unit, section: None, identity: 0, at });
        }
    }

    fn of_unit(&mut self, before: Option<&Unit>, unit: &Unit) {
        let id = unit.key.id();
        if let Some(prompt) = unit.prompt.as_ref().filter(|_| unit.is_turn() && !before.is_some_and(Unit::is_turn)) {
            self.add(Told::Prompt, id, prompt.time);
        }
        if has_begun(unit) && !before.is_some_and(has_begun) {
            self.add(Told::SubagentStart, id, unit.started());
        }
    }

    fn of_parts(&mut self, home: (UnitId, Option<u32>), before: Option<&Parts>, now: &Parts, gone: &Gone) {
        let from = self.from;
        let event = |told, identity, at| EventRef { told, unit: home.0, section: home.1, identity, at };
        let is_new = |known: Option<bool>, hash| !known.unwrap_or_default() && !gone.has(hash);
        let messages = before.map_or(&[][..], |parts| &parts.messages);
        let messages_now =
            now.messages.iter().enumerate().filter(|(_, message)| message.end >= from && !message.is_rest());
        for (place, message) in messages_now {
            let hash = Identity::Message(&message.id).hash();
            let known = knows((messages, gone), place, |known| known.id == message.id);
            self.events.extend(is_new(Some(known), hash).then(|| event(Told::Message, hash, message.end)));
        }
        for (place, tool) in now.tools.iter().enumerate() {
            let (call, result) = (tool.call.as_ref(), tool.result.as_ref());
            let times = (call.map(|call| call.rank.time), result.map(|end| end.rank.time));
            if times.0.max(times.1).is_none_or(|at| at < from) {
                continue;
            }
            let (hash, had) = (Identity::Call(&tool.id).hash(), was(before, place, tool, gone));
            let call = times.0.filter(|at| !had.0 && *at >= from);
            let result = times.1.filter(|at| !had.1 && *at >= from);
            self.events.extend(call.map(|at| event(Told::ToolCall, hash, at)));
            self.events.extend(result.map(|at| event(Told::ToolResult, hash, at)));
        }
        let rows = before.map_or(&[][..], |parts| &parts.rows);
        for (place, row) in now.rows.iter().enumerate().filter(|(_, row)| row.time >= from) {
            let known = knows((rows, gone), place, |known| known.id == row.id);
            let hash = Identity::Row(row.id).hash();
            let is_told = matches!(row.what, Fact::Failure(_));
            self.events.extend((is_told && is_new(Some(known), hash)).then(|| event(Told::ApiError, hash, row.time)));
        }
    }
}

/// Whether a list has an element, which nearly always is at the same place if it is there.
fn knows<T>((list, gone): (&[T], &Gone), place: usize, is_same: impl Fn(&T) -> bool) -> bool {
    list.get(place).is_some_and(&is_same) || (!gone.is_empty() && list.iter().any(is_same))
}
