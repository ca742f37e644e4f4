//! What the rules of custom metrics say of a change of the facts.
//!
//! Every reader of rules takes the same: an event, in the state before the change or after it, that a rule counts. The
//! totals add what has grown, the history and `rules check` add what is there.

use std::sync::Arc;

use super::catalog;
use super::labels::{LabelRules, UNKNOWN};
use super::rules::CustomRules;
use crate::custom::{Event, Happening, RuleError, RuleText, Rules, What};
use crate::ledger::unit::{Parts, Unit, UnitKey};
use crate::measures::{Change, Dimensions, Item, Measure, SpanPlace, State, Wanted, surroundings};
use crate::transcript::shown::shown_name;
use crate::transcript::time::Timestamp;

/// Something that a rule counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said<'a> {
    /// Whether it was so before the change, or is so after it.
    pub state: State,
    /// Position of the rule.
    pub rule: usize,
    /// The event.
    pub item: Item,
    /// When it happened.
    pub at: Timestamp,
    /// The session in which it happened.
    pub session: &'a str,
    /// The values of the labels.
    pub labels: Vec<Arc<str>>,
    /// The number, in units of 10^-12.
    pub amount: i128,
}

/// Makes the rules of a configuration.
///
/// # Errors
///
/// Fails with the first mistake in a rule.
pub fn compile(texts: Vec<RuleText>) -> Result<CustomRules, RuleError> {
    Rules::new(texts, |name| catalog::find(name).is_some()).map(CustomRules::new)
}

/// Gives to `take` everything that the rules count of a change, as far as it is stamped at `since` or later.
pub fn each(change: &Change<'_>, rules: &LabelRules, since: Timestamp, take: &mut dyn FnMut(Said<'_>)) {
    if rules.custom.rules().is_empty() {
        return;
    }
    let mut teller = Teller { labels: rules, since, project: (None, String::new()), take };
    match change {
        Change::Parts(changed) => {
            teller.parts(change);
            let before = changed.before.zip(changed.parts_before).map(|(unit, parts)| (State::Before, unit, parts));
            for (state, unit, parts) in before.into_iter().chain([(State::After, changed.unit, changed.parts)]) {
                teller.rows(state, unit, parts);
                if changed.is_unit() {
                    teller.unit(state, unit);
                }
            }
        }
        Change::Session { session, .. } => change.observe(Wanted::all(), &mut |state, observation| {
            if observation.measure == Measure::Sessions {
                let version = session.context().and_then(|context| context.version.as_deref());
                let what = What::Session(version);
                teller.tell(state, observation.item, observation.at, observation.dimensions, what);
            }
        }),
        Change::Ended { .. } | Change::Run { .. } => {}
    }
}

struct Teller<'t> {
    labels: &'t LabelRules,
    since: Timestamp,
    /// The project that was shown last, and how: nearly all events of a change have the same.
    project: (Option<String>, String),
    take: &'t mut dyn FnMut(Said<'_>),
}

impl Teller<'_> {
    /// Responses, calls and results, as far as they have changed.
    fn parts(&mut self, change: &Change<'_>) {
        let rules = self.labels.custom.rules();
        if ![Event::Message, Event::ToolCall, Event::ToolResult].into_iter().any(|event| rules.count(event)) {
            return;
        }
        let wanted = Wanted::since(Timestamp(i64::MAX)).and_always(Measure::Responses);
        let wanted = wanted.and_always(Measure::ToolCalls).and_always(Measure::ToolResults);
        let is_over = self.labels.custom.are_of_everything();
        change.observe(wanted, &mut |state, observation| {
            let what = match (observation.measure, observation.place) {
                (Measure::Responses, SpanPlace::Message(_, message)) => What::Message(message, is_over),
                (Measure::ToolCalls, SpanPlace::Tool(tool)) => What::Call(tool),
                (Measure::ToolResults, SpanPlace::Tool(tool)) => What::Result(tool),
                _ => return,
            };
            self.tell(state, observation.item, observation.at, observation.dimensions, what);
        });
    }

    /// Failures and compactions. They are few, so all of them are told.
    fn rows(&mut self, state: State, unit: &Unit, parts: &Parts) {
        for (row, error) in parts.failures() {
            self.tell(state, Item::Row(row.id), row.time, surroundings(unit), What::Failure(row, error));
        }
        for (row, done) in parts.compactions() {
            self.tell(state, Item::Row(row.id), row.time, surroundings(unit), What::Compaction(row, done));
        }
    }

    /// The unit itself: its prompt, and its end.
    fn unit(&mut self, state: State, unit: &Unit) {
        let (item, around) = (Item::Unit(unit.key.id()), surroundings(unit));
        if let Some(prompt) = unit.prompt.as_ref().filter(|_| unit.is_turn()) {
            self.tell(state, item, prompt.time, around, What::Prompt(unit));
        }
        if !unit.export.observed && !self.labels.custom.are_of_everything() {
            return;
        }
        if unit.is_turn() {
            self.tell(state, item, unit.activity_end(), around, What::Turn(unit));
        }
        if matches!(unit.key, UnitKey::Agent(..)) && unit.key.is_first_run() {
            self.tell(state, item, unit.activity_end(), around, What::Subagent(unit));
        }
    }

    fn tell(&mut self, state: State, item: Item, at: Timestamp, around: Dimensions<'_>, what: What<'_>) {
        let Self { labels, since, project, take } = self;
        let custom = &labels.custom;
        let event = Happening { what, around, project: "" }.event();
        for (position, rule) in custom.rules().all().iter().enumerate() {
            let begins = custom.begins(position);
            if rule.text.on != event || at < begins.max(*since) {
                continue;
            }
            // The text of a call that is older than the rule was not looked at, and a later reading must not change that.
            if rule.asks_text()
                && matches!(what, What::Result(tool) if tool.call.as_ref().is_some_and(|call| call.rank.time < begins))
            {
                continue;
            }
            if project.0.as_deref() != around.project || project.1.is_empty() {
                let shown = labels.project(around.project).as_deref().unwrap_or_default().to_owned();
                *project = (around.project.map(str::to_owned), shown);
            }
            let happening = Happening { what, around, project: &project.1 };
            let Some(counted) = custom.rules().count_of(rule, &happening) else { continue };
            let values = counted.labels.iter().map(|value| label(value.as_deref())).collect();
            let session = around.session.unwrap_or_default();
            take(Said { state, rule: position, item, at, session, labels: values, amount: counted.amount });
        }
    }
}

/// A value of a label: short, and without secrets.
fn label(value: Option<&str>) -> Arc<str> {
    match value.map(shown_name) {
        Some(shown) if !shown.is_empty() => shown.into(),
        _ => UNKNOWN.into(),
    }
}
