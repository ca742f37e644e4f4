//! What a unit contributes to the totals: one item per identity, one entry per item and series.
//!
//! An entry's slot says what it is within its item, whatever its labels are. Two states of an item are compared slot by
//! slot, so an item that changes its labels or its unit counts once, under the labels that it had when it grew.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ledger::known::Changed;
use crate::ledger::unit::{Call, Identity, Message, Parts, Tool, Unit, UnitId, UnitKey};
use crate::transcript::ids::RowId;
use crate::transcript::record::Outcome;
use crate::transcript::time::Timestamp;
use crate::views::metrics::catalog::{self, Metric};
use crate::views::metrics::exemplars::{self, Exemplar};
use crate::views::metrics::labels::{self, LabelRules};
use crate::views::traces::ids::SpanAt;

/// Slots of one share of a response.
const SHARE_SLOTS: u32 = 16;

/// What counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Message(u64),
    Call(u64),
    Row(RowId),
    Unit(UnitId),
}

/// One number of an item.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub slot: u32,
    pub metric: &'static Metric,
    pub labels: Vec<Arc<str>>,
    pub amount: i128,
    /// When it happened: what is held against the epoch.
    pub time: Timestamp,
    /// The span that shows it and its time, of metrics with exemplars.
    pub span: Option<(SpanAt, Timestamp)>,
}

/// One item in one of two states.
#[derive(Debug)]
pub(super) struct Item {
    pub key: Key,
    /// The state is the newer one.
    pub after: bool,
    pub entries: Vec<Entry>,
}

/// What is around an item.
struct Around<'a> {
    unit: &'a Unit,
    /// The parts among which it is.
    parts: &'a Parts,
    rules: &'a LabelRules,
    epoch: Timestamp,
    after: bool,
    /// The trace that its spans are in, of the newer state.
    trace: Option<u128>,
    agent: Arc<str>,
    project: Option<Arc<str>>,
}

/// Every item in which two states of some parts differ, in both states. Entries stamped before `epoch` are left out.
/// `trace` is the one that the unit's spans are in.
pub(super) fn items(rules: &LabelRules, change: &Changed<'_>, epoch: Timestamp, trace: Option<u128>) -> Vec<Item> {
    let Changed { unit, parts, .. } = *change;
    let before = change.before.zip(change.parts_before);
    let old = before.map(|(unit, parts)| Around::new(unit, parts, rules, epoch));
    let new = Around { after: true, trace, ..Around::new(unit, parts, rules, epoch) };
    let mut items = Vec::new();
    for (was, is) in changed(before.map_or(&[], |(_, parts)| &parts.messages), &parts.messages, |message| &message.id) {
        items.extend(old.as_ref().zip(was).and_then(|(around, message)| around.message(message)));
        items.extend(is.and_then(|message| new.message(message)));
    }
    for (was, is) in changed(before.map_or(&[], |(_, parts)| &parts.tools), &parts.tools, |tool| &tool.id) {
        items.extend(old.as_ref().zip(was).and_then(|(around, tool)| around.tool(tool)));
        items.extend(is.and_then(|tool| new.tool(tool)));
    }
    for around in old.iter().chain([&new]) {
        around.rows(&mut items);
        if change.is_unit() {
            items.extend(around.unit());
        }
    }
    items
}

/// The elements that differ between two states of a list, paired by identity.
pub(super) fn changed<'a, T: PartialEq, K: Ord + ?Sized + 'a>(
    before: &'a [T],
    after: &'a [T],
    key: impl Fn(&'a T) -> &'a K,
) -> Vec<(Option<&'a T>, Option<&'a T>)> {
    // Nearly always elements were only appended, and pairs stand at the same position.
    let aligned = before.len() <= after.len() && before.iter().zip(after).all(|(was, is)| key(was) == key(is));
    let mut pairs = Vec::new();
    if aligned {
        let rest = after.iter().skip(before.len()).map(|is| (None, Some(is)));
        pairs.extend(before.iter().zip(after).filter(|(was, is)| was != is).map(|(was, is)| (Some(was), Some(is))));
        pairs.extend(rest);
        return pairs;
    }
    let mut olds: BTreeMap<&K, &T> = before.iter().map(|was| (key(was), was)).collect();
    for is in after {
        let was = olds.remove(key(is));
        if was != Some(is) {
            pairs.push((was, Some(is)));
        }
    }
    pairs.extend(olds.into_values().map(|was| (Some(was), None)));
    pairs
}

impl<'a> Around<'a> {
    fn new(unit: &'a Unit, parts: &'a Parts, rules: &'a LabelRules, epoch: Timestamp) -> Self {
        let agent = if matches!(unit.key, UnitKey::Agent(..)) { "subagent" } else { "main" };
        let project = rules.project(unit.context.cwd.as_deref());
        Self { unit, parts, rules, epoch, after: false, trace: None, agent: agent.into(), project }
    }

    /// An item, unless it is of before the epoch: while history is read, nearly all are.
    fn item(&self, key: impl FnOnce() -> Key, entries: Vec<Entry>) -> Option<Item> {
        (!entries.is_empty()).then(|| Item { key: key(), after: self.after, entries })
    }

    /// The value of `agent_type`, of a sub-agent.
    fn agent_type(&self) -> Option<Arc<str>> {
        let is_agent = matches!(self.unit.key, UnitKey::Agent(..));
        let name = self.unit.agent.as_ref().and_then(|agent| agent.agent_type.as_deref());
        is_agent.then(|| labels::agent_type(name).into())
    }

    fn message(&self, message: &Message) -> Option<Item> {
        let mut entries = Vec::new();
        let time = message.rank.time;
        if time >= self.epoch
            && let Some(first) = message.shares.first()
        {
            let span = self.trace.map(|trace| (exemplars::chat(trace, self.parts, message), message.end));
            let model = labels::model(&first.model);
            entries.push(entry(0, &catalog::API_REQUESTS, vec![Arc::clone(&model)], 1, time));
            if message.unidentified {
                entries.push(entry(2, &catalog::WITHOUT_IDENTITY, vec![Arc::clone(&model)], 1, time));
            }
            if let Some(reason) = message.unreadable_usage {
                entries.push(entry(3, &catalog::UNREADABLE_USAGE, vec![reason.name().into()], 1, time));
            }
            if message.closed && !message.undated {
                let duration = i128::from(message.end.since_ms(message.start));
                entries.push(Entry { span, ..entry(1, &catalog::API_REQUEST_DURATION, vec![model], duration, time) });
            }
            self.shares(message, span, &mut entries);
        }
        self.item(|| Key::Message(Identity::Message(&message.id).hash()), entries)
    }

    fn shares(&self, message: &Message, span: Option<(SpanAt, Timestamp)>, entries: &mut Vec<Entry>) {
        let time = message.rank.time;
        for (share, number) in message.shares.iter().zip(1u32..) {
            let model = labels::model(&share.model);
            let slot = number.saturating_mul(SHARE_SLOTS);
            for ((kind, tokens), slot) in kinds(share.tokens).into_iter().zip(slot..) {
                let labels = vec![Arc::clone(&model), kind.into(), Arc::clone(&self.agent)];
                entries.push(entry(slot, &catalog::TOKENS, labels, i128::from(tokens), time));
            }
            let total = i128::from(share.tokens.total());
            let project = self.project.clone().map(|project| vec![project]);
            entries
                .extend(project.clone().map(|labels| entry(slot + 5, &catalog::PROJECT_TOKENS, labels, total, time)));
            let Some(cost) = share.cost.map(crate::ledger::money::Money::picousd) else {
                entries.push(entry(slot + 6, &catalog::UNPRICED_TOKENS, vec![model], total, time));
                continue;
            };
            let labels = vec![model, Arc::clone(&self.agent)];
            entries.push(Entry { span, ..entry(slot + 7, &catalog::COST, labels, cost, time) });
            entries.extend(project.map(|labels| entry(slot + 8, &catalog::PROJECT_COST, labels, cost, time)));
            let agent_type = self.agent_type();
            entries.extend(agent_type.map(|label| entry(slot + 9, &catalog::SUBAGENT_COST, vec![label], cost, time)));
        }
    }

    fn tool(&self, tool: &Tool) -> Option<Item> {
        let mut entries = Vec::new();
        let is_counted = |call: &Call| call.rank.time >= self.epoch;
        let is_over = tool.told_result().is_some_and(|end| end.rank.time >= self.epoch);
        if let Some(call) = tool.call.as_ref().filter(|call| is_over || is_counted(call)) {
            let name = self.rules.tool(&call.name);
            if is_counted(call) {
                entries.push(entry(0, &catalog::TOOL_CALLS, vec![Arc::clone(&name)], 1, call.rank.time));
            }
            if let Some(end) = tool.told_result().filter(|end| end.rank.time >= self.epoch) {
                let time = end.rank.time;
                if let Some(reason) = failure_reason(end.outcome) {
                    entries.push(entry(1, &catalog::TOOL_FAILURES, vec![Arc::clone(&name), reason.into()], 1, time));
                }
                if let Some(duration) = tool.duration_ms() {
                    let span = self.trace.map(|trace| (exemplars::tool(trace, tool), time));
                    let duration = i128::from(duration);
                    entries.push(Entry { span, ..entry(2, &catalog::TOOL_DURATION, vec![name], duration, time) });
                }
                let (added, removed) = (i128::from(end.lines_added), i128::from(end.lines_removed));
                entries.push(entry(3, &catalog::LINES_CHANGED, vec!["added".into()], added, time));
                entries.push(entry(4, &catalog::LINES_CHANGED, vec!["removed".into()], removed, time));
            }
        }
        self.item(|| Key::Call(Identity::Call(&tool.id).hash()), entries)
    }

    /// Failed attempts and compactions: few, so all of them in both states.
    fn rows(&self, items: &mut Vec<Item>) {
        for failure in self.parts.failures.iter().filter(|failure| failure.time >= self.epoch) {
            let labels = vec![failure.error.reason().into()];
            items.extend(
                self.item(|| Key::Row(failure.id), vec![entry(0, &catalog::API_ERRORS, labels, 1, failure.time)]),
            );
        }
        for done in self.parts.compactions.iter().filter(|done| done.time >= self.epoch) {
            let labels = vec![if done.what.manual { "manual" } else { "auto" }.into()];
            items.extend(self.item(|| Key::Row(done.id), vec![entry(0, &catalog::COMPACTIONS, labels, 1, done.time)]));
        }
    }

    fn unit(&self) -> Option<Item> {
        let mut entries = Vec::new();
        let prompt = self.unit.prompt.as_ref().filter(|prompt| self.unit.is_turn() && prompt.time >= self.epoch);
        entries
            .extend(prompt.map(|prompt| entry(0, &catalog::TURNS, vec![prompt.origin.name().into()], 1, prompt.time)));
        let is_new = self.unit.key.is_first_run() && self.unit.first >= self.epoch;
        let agent = self.agent_type().filter(|_| is_new);
        entries.extend(agent.map(|label| entry(1, &catalog::SUBAGENTS_STARTED, vec![label], 1, self.unit.first)));
        self.item(|| Key::Unit(self.unit.key.id()), entries)
    }
}

fn entry(slot: u32, metric: &'static Metric, labels: Vec<Arc<str>>, amount: i128, time: Timestamp) -> Entry {
    Entry { slot, metric, labels, amount, time, span: None }
}

impl Entry {
    /// The entry as an exemplar of its metric.
    pub(super) fn exemplar(&self) -> Option<Exemplar> {
        self.span.map(|(at, time)| Exemplar { at, value: self.amount, time })
    }
}

/// Tokens by the value of `kind`.
pub(super) const fn kinds(tokens: crate::ledger::tokens::Tokens) -> [(&'static str, u64); 5] {
    [
        ("input", tokens.input),
        ("output", tokens.output),
        ("cache_read", tokens.cache_read),
        ("cache_write_5m", tokens.cache_write_5m),
        ("cache_write_1h", tokens.cache_write_1h),
    ]
}

/// The value of `reason` of a tool failure.
const fn failure_reason(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Ok => None,
        Outcome::Failed => Some("error"),
        Outcome::Denied => Some("denied"),
        Outcome::Interrupted => Some("interrupted"),
    }
}
