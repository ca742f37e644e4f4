//! Observations of the parts of a turn or sub-agent.

use std::collections::BTreeMap;

use super::dimensions::{Dimensions, MAIN, SUBAGENT};
use super::measure::Measure;
use super::observation::{Item, Observation, Slot, SpanPlace, State};
use super::wanted::Wanted;
use crate::ledger::known::Changed;
use crate::ledger::money::Money;
use crate::ledger::session::project_of;
use crate::ledger::tokens::Tokens;
use crate::ledger::unit::{Identity, Message, Parts, Tool, Unit, UnitKey};
use crate::transcript::record::Outcome;
use crate::transcript::time::Timestamp;

/// Takes observations, each with the state that it describes.
pub(super) type Take<'t, 'a> = &'t mut dyn FnMut(State, &Observation<'a>);

/// The parts of a unit in one of two states, and what their observations have in common.
struct UnitSurroundings<'a> {
    unit: &'a Unit,
    parts: &'a Parts,
    state: State,
    wanted: Wanted,
    dimensions: Dimensions<'a>,
}

/// Gives to `take` the wanted observations of every item that differs between two states of some parts, for both
/// states.
pub(super) fn observe<'a>(change: &Changed<'a>, wanted: Wanted, take: Take<'_, 'a>) {
    let Changed { unit, parts, .. } = *change;
    let before = change.before.zip(change.parts_before);
    let old = before.map(|(unit, parts)| UnitSurroundings::new(unit, parts, State::Before, wanted));
    let new = UnitSurroundings::new(unit, parts, State::After, wanted);
    // If the dimensions of the unit have changed, those of everything in it have changed too.
    let moved = old.as_ref().is_some_and(|old| old.dimensions != new.dimensions);
    let messages = before.map_or(&[][..], |(_, parts)| &parts.messages);
    for (was, is) in changed(messages, &parts.messages, moved, |message| &message.id) {
        old.iter().zip(was).for_each(|(around, message)| around.message(message, take));
        is.into_iter().for_each(|message| new.message(message, take));
    }
    let tools = before.map_or(&[][..], |(_, parts)| &parts.tools);
    for (was, is) in changed(tools, &parts.tools, moved, |tool| &tool.id) {
        old.iter().zip(was).for_each(|(around, tool)| around.tool(tool, take));
        is.into_iter().for_each(|tool| new.tool(tool, take));
    }
    for around in old.iter().chain([&new]) {
        around.rows(take);
        if change.is_unit() {
            around.unit(take);
        }
    }
}

/// The elements that differ between two states of a list, paired by identity; all elements if `moved` is true.
fn changed<'a, T: PartialEq, K: Ord + ?Sized + 'a>(
    before: &'a [T],
    after: &'a [T],
    moved: bool,
    key: impl Fn(&'a T) -> &'a K,
) -> Vec<(Option<&'a T>, Option<&'a T>)> {
    // Nearly always elements were only appended, so that pairs have the same position.
    let aligned = before.len() <= after.len() && before.iter().zip(after).all(|(was, is)| key(was) == key(is));
    let mut pairs = Vec::new();
    if aligned {
        let rest = after.iter().skip(before.len()).map(|is| (None, Some(is)));
        pairs.extend(
            before.iter().zip(after).filter(|(was, is)| moved || was != is).map(|(was, is)| (Some(was), Some(is))),
        );
        pairs.extend(rest);
        return pairs;
    }
    let mut olds: BTreeMap<&K, &T> = before.iter().map(|was| (key(was), was)).collect();
    for is in after {
        let was = olds.remove(key(is));
        if moved || was != Some(is) {
            pairs.push((was, Some(is)));
        }
    }
    pairs.extend(olds.into_values().map(|was| (Some(was), None)));
    pairs
}

/// The dimensions that everything in a unit has in common.
#[must_use]
pub fn surroundings(unit: &Unit) -> Dimensions<'_> {
    let is_agent = matches!(unit.key, UnitKey::Agent(..));
    Dimensions {
        session: Some(&unit.session().0),
        project: unit.context.cwd.as_deref().and_then(project_of),
        branch: unit.context.branch.as_deref(),
        entrypoint: unit.context.entrypoint.as_deref(),
        agent: Some(if is_agent { SUBAGENT } else { MAIN }),
        agent_type: unit.agent.as_ref().and_then(|agent| agent.agent_type.as_deref()),
        ..Dimensions::default()
    }
}

impl<'a> UnitSurroundings<'a> {
    fn new(unit: &'a Unit, parts: &'a Parts, state: State, wanted: Wanted) -> Self {
        Self { unit, parts, state, wanted, dimensions: surroundings(unit) }
    }

    /// Gives one observation to `take`, if it is wanted.
    fn say(&self, take: Take<'_, 'a>, make: impl FnOnce() -> Observation<'a>, measure: Measure, at: Timestamp) {
        if self.wanted.takes(measure, at) {
            take(self.state, &make());
        }
    }

    fn message(&self, message: &'a Message, take: Take<'_, 'a>) {
        let (shares, place) = match message.is_superseded() {
            true if self.wanted.takes_superseded() => (&*message.shares, SpanPlace::Superseded),
            _ => (message.shares(), SpanPlace::Message(self.parts, message)),
        };
        let (Some(first), at) = (shares.first(), message.rank.time) else { return };
        let mut say = |measure, (share, part), amount: i128, own: Dimensions<'a>| {
            let item = || Item::Message(Identity::Message(&message.id).hash());
            let slot = Slot { share, part };
            let make = || Observation { item: item(), slot, measure, dimensions: self.with(own), amount, at, place };
            self.say(take, make, measure, at);
        };
        let own = Dimensions { model: Some(&first.model), ..Dimensions::default() };
        if !message.is_rest() {
            say(Measure::Responses, (0, 0), 1, own);
        }
        if message.unidentified {
            say(Measure::Unidentified, (0, 0), 1, own);
        }
        if let Some(reason) = message.unreadable_usage {
            say(Measure::UnreadableUsage, (0, 0), 1, Dimensions { reason: Some(reason.name()), ..own });
        }
        if message.closed && !message.undated {
            say(Measure::ResponseDuration, (0, 0), i128::from(message.end.since_ms(message.start)), own);
        }
        if let Some(ms) = message.ttft_ms {
            say(Measure::TimeToFirstChunk, (0, 0), ms.into(), own);
        }
        for (share, number) in shares.iter().zip(1..) {
            let own = Dimensions { model: Some(&share.model), ..Dimensions::default() };
            for ((kind, tokens), part) in kinds(share.tokens).into_iter().zip(0..) {
                say(Measure::Tokens, (number, part), i128::from(tokens), Dimensions { kind: Some(kind), ..own });
            }
            match share.cost.map(Money::picousd) {
                Some(cost) => say(Measure::Cost, (number, 0), cost, own),
                None => say(Measure::UnpricedTokens, (number, 0), i128::from(share.tokens.total()), own),
            }
        }
    }

    fn tool(&self, tool: &'a Tool, take: Take<'_, 'a>) {
        let Some(call) = &tool.call else { return };
        let place = SpanPlace::Tool(tool);
        let mut say = |measure, part, amount: i128, at, own: Dimensions<'a>| {
            let item = || Item::Call(Identity::Call(&tool.id).hash());
            let slot = Slot { share: 0, part };
            let make = || Observation { item: item(), slot, measure, dimensions: self.with(own), amount, at, place };
            self.say(take, make, measure, at);
        };
        let own = Dimensions { tool: Some(&call.name), ..Dimensions::default() };
        say(Measure::ToolCalls, 0, 1, call.rank.time, own);
        let Some(end) = tool.told_result() else { return };
        let (at, outcome) = (end.rank.time, outcome(end.outcome));
        let own = Dimensions { outcome: Some(outcome), ..own };
        say(Measure::ToolResults, 0, 1, at, own);
        if end.outcome != Outcome::Ok {
            say(Measure::ToolFailures, 0, 1, at, Dimensions { reason: Some(outcome), ..own });
        }
        if let Some(duration) = tool.duration_ms() {
            say(Measure::ToolDuration, 0, i128::from(duration), at, own);
        }
        if let Some(waited) = tool.permission().and_then(|asked| asked.waited_ms()) {
            say(Measure::PermissionWait, 0, i128::from(waited), at, own);
        }
        say(Measure::ResultBytes, 0, i128::from(end.bytes), at, own);
        for ((change, lines), part) in [("added", end.lines_added), ("removed", end.lines_removed)].into_iter().zip(0..)
        {
            say(Measure::LinesChanged, part, i128::from(lines), at, Dimensions { change: Some(change), ..own });
        }
    }

    /// Failed attempts and compactions. They are few, so all of them are given for both states.
    fn rows(&self, take: Take<'_, 'a>) {
        let mut say = |id, measure, at, own: Dimensions<'a>| {
            let (item, slot, place) = (Item::Row(id), Slot::default(), SpanPlace::Nowhere);
            let make = || Observation { item, slot, measure, dimensions: self.with(own), amount: 1, at, place };
            self.say(take, make, measure, at);
        };
        for (row, error) in self.parts.failures() {
            let own = Dimensions { reason: Some(error.reason()), ..Dimensions::default() };
            say(row.id, Measure::ApiErrors, row.time, own);
        }
        for (row, done) in self.parts.compactions() {
            let own = Dimensions { trigger: Some(done.trigger()), ..Dimensions::default() };
            say(row.id, Measure::Compactions, row.time, own);
        }
    }

    fn unit(&self, take: Take<'_, 'a>) {
        let mut say = |measure, at, own: Dimensions<'a>| {
            let (item, slot, place) = (Item::Unit(self.unit.key.id()), Slot::default(), SpanPlace::Nowhere);
            let make = || Observation { item, slot, measure, dimensions: self.with(own), amount: 1, at, place };
            self.say(take, make, measure, at);
        };
        if let Some(prompt) = self.unit.prompt.as_ref().filter(|_| self.unit.is_turn()) {
            let own = Dimensions { origin: Some(prompt.origin.name()), ..Dimensions::default() };
            say(Measure::Turns, prompt.time, own);
        }
        if matches!(self.unit.key, UnitKey::Agent(..)) && self.unit.key.is_first_run() {
            say(Measure::Subagents, self.unit.first, Dimensions::default());
        }
    }

    /// The dimensions of an item: its own, and those that everything in the unit has in common.
    fn with(&self, own: Dimensions<'a>) -> Dimensions<'a> {
        let Dimensions { session, project, branch, entrypoint, agent, agent_type, .. } = self.dimensions;
        Dimensions { session, project, branch, entrypoint, agent, agent_type, ..own }
    }
}

/// The count of tokens for each value of [`Dimension::TokenKind`](super::Dimension::TokenKind).
pub(super) const fn kinds(tokens: Tokens) -> [(&'static str, u64); 5] {
    [
        ("input", tokens.input),
        ("output", tokens.output),
        ("cache_read", tokens.cache_read),
        ("cache_write_5m", tokens.cache_write_5m),
        ("cache_write_1h", tokens.cache_write_1h),
    ]
}

const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Failed => "error",
        Outcome::Denied => "denied",
        Outcome::Interrupted => "interrupted",
    }
}
