//! What the rows of a session tell of requests that wrote no rows, and of responses that the client did not count.
//!
//! Source of each rule: `claude-code-format.md` sections 8 and 15. The client writes no rows of the requests that compact
//! a conversation, search the web, read a fetched page or judge a goal. It forgets what a killed process had requested,
//! and a process knows nothing of another one that runs beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ledger::money::Money;
use crate::ledger::tokens::Tokens;
use crate::ledger::unit::{Message, Parts, Unit, UnitId};
use crate::transcript::record::{Fact, Outcome};
use crate::transcript::time::Timestamp;

/// Begins the id of a sub-agent that compacts a conversation, in clients in which one does: it has rows.
const COMPACTING_AGENT: &str = "acompact-";
/// The command that sets a goal.
const GOAL: &str = "/goal";
/// The tool whose requests search the web.
const WEB_SEARCH: &str = "WebSearch";
/// The tool whose requests read a page.
const WEB_FETCH: &str = "WebFetch";

/// What was found in the units of one session.
#[derive(Debug, Default)]
pub struct Clues {
    /// Which models answered in the main thread, and when.
    answers: Vec<Stretch>,
    compactions: Vec<Clue>,
    has_compacting_agent: bool,
    interrupts: BTreeMap<UnitId, Interrupt>,
    first_search: First,
    first_fetch: First,
    first_goal: First,
    /// Searches that the API ran in responses that have rows, by model.
    searches: BTreeMap<Arc<str>, u64>,
    /// When a response of the main thread was first and last requested.
    requests: Option<(Timestamp, Timestamp)>,
    /// For each turn: its prompt, and the last request for a response in it.
    turns: BTreeMap<UnitId, (Timestamp, Option<Timestamp>)>,
    has_filled_in: bool,
    /// Who tells of the responses.
    pub sources: SourceSums,
}

/// What responses used, by who tells it.
#[derive(Debug, Default)]
pub struct SourceSums {
    /// The session file.
    pub file: (Tokens, Money),
    /// A stream alone.
    pub stream: (Tokens, Money),
    /// The client's account alone: no response explains it.
    pub client: (Tokens, Money),
    /// Of [`SourceSums::stream`], tokens of responses whose end is not known: their output is that of their beginning.
    pub provisional: Tokens,
}

impl SourceSums {
    fn add(&mut self, message: &Message) {
        let (tokens, cost) = match (message.is_rest(), message.in_file) {
            (true, _) => &mut self.client,
            (false, true) => &mut self.file,
            (false, false) => &mut self.stream,
        };
        for share in message.shares() {
            *tokens += share.tokens;
            *cost += share.cost.unwrap_or_default();
            if !message.is_rest() && !message.in_file && message.stop.is_none() {
                self.provisional += share.tokens;
            }
        }
    }
}

/// Up to when an account reaches: in the main thread, and in sub-agents, whose rows are in other files than it.
#[derive(Debug, Clone, Copy)]
pub struct Reach {
    main: Timestamp,
    agents: Timestamp,
}

/// When something first happened: in the main thread, and in sub-agents.
#[derive(Debug, Default)]
struct First {
    main: Option<Timestamp>,
    agents: Option<Timestamp>,
}

/// Responses of one model in a row.
#[derive(Debug)]
struct Stretch {
    model: Arc<str>,
    from: Timestamp,
    until: Timestamp,
}

/// Something that happened in a unit.
#[derive(Debug)]
struct Clue {
    at: Timestamp,
    /// For a sub-agent, the models that answered in it.
    models: Option<BTreeSet<Arc<str>>>,
}

/// An interrupt, and what came last before it.
#[derive(Debug)]
struct Interrupt {
    started: Timestamp,
    clue: Clue,
    last: Option<(Timestamp, bool)>,
}

impl Clues {
    /// Adds a unit with the parts that it holds itself.
    pub fn add(&mut self, unit: &Unit) {
        let agent = unit.agent.as_ref();
        self.has_compacting_agent |= agent.is_some_and(|agent| agent.id.0.starts_with(COMPACTING_AGENT));
        if let Some(prompt) = &unit.prompt {
            if unit.is_turn() {
                self.turns.entry(unit.key.id()).or_insert((prompt.time, None));
            }
            if prompt.command.as_deref() == Some(GOAL) {
                self.first_goal.saw(false, prompt.time);
            }
        }
        if let Some(at) = unit.interrupted {
            let clue = Clue { at, models: agent.map(|_| BTreeSet::new()) };
            self.interrupts.insert(unit.key.id(), Interrupt { started: unit.started(), clue, last: None });
        }
        self.add_parts(unit, &unit.parts);
    }

    /// Adds parts of a unit that was added before.
    pub fn add_parts(&mut self, unit: &Unit, parts: &Parts) {
        let id = unit.key.id();
        for message in &parts.messages {
            self.add_message(unit, message);
        }
        for tool in &parts.tools {
            let name = tool.call.as_ref().map(|call| &*call.name);
            let at = tool.result.as_ref().map(|end| end.rank.time);
            if let (Some(end), Some(interrupt)) = (&tool.result, self.interrupts.get_mut(&id)) {
                let is_stopped = matches!(end.outcome, Outcome::Interrupted | Outcome::Denied);
                interrupt.saw(end.rank.time, is_stopped);
            }
            let Some((at, end)) = at.zip(tool.result.as_ref()) else { continue };
            self.has_filled_in |= end.filled_in;
            match name {
                Some(WEB_SEARCH) if end.searches > 0 => self.first_search.saw(unit.agent.is_some(), at),
                Some(WEB_FETCH) if end.outcome == Outcome::Ok => self.first_fetch.saw(unit.agent.is_some(), at),
                _ => {}
            }
        }
        for row in parts.rows.iter().filter(|row| matches!(row.what, Fact::Compaction(_))) {
            let of_agent = || parts.messages.iter().filter_map(model_of).cloned().collect();
            self.compactions.push(Clue { at: row.time, models: unit.agent.as_ref().map(|_| of_agent()) });
        }
    }

    fn add_message(&mut self, unit: &Unit, message: &Message) {
        let id = unit.key.id();
        if let (Some(interrupt), Some(model)) = (self.interrupts.get_mut(&id), model_of(message)) {
            interrupt.saw(message.end, false);
            interrupt.clue.models.iter_mut().for_each(|models| _ = models.insert(Arc::clone(model)));
        }
        self.sources.add(message);
        let Some(model) = model_of(message).filter(|_| !message.is_rest()) else { return };
        if message.usage.web_searches > 0 {
            *self.searches.entry(Arc::clone(model)).or_default() += message.usage.web_searches;
        }
        if unit.agent.is_some() {
            return;
        }
        let (first, last) = self.requests.unwrap_or((message.start, message.start));
        self.requests = Some((first.min(message.start), last.max(message.start)));
        if let Some((_, last)) = self.turns.get_mut(&id) {
            *last = (*last).max(Some(message.start));
        }
        match self.answers.last_mut().filter(|stretch| stretch.model == *model) {
            Some(stretch) => {
                stretch.from = stretch.from.min(message.start);
                stretch.until = stretch.until.max(message.end);
            }
            None => {
                let (from, until) = (message.start, message.end);
                self.answers.push(Stretch { model: Arc::clone(model), from, until });
            }
        }
    }

    /// Up to when an account reaches that was written after the row of a time. What sub-agents did before the next
    /// prompt belongs to it as well.
    #[must_use]
    pub fn reach(&self, after: Timestamp) -> Reach {
        let later = self.turns.values().map(|(prompt, _)| *prompt).filter(|prompt| *prompt > after);
        Reach { main: after, agents: later.min().unwrap_or(Timestamp(i64::MAX)) }
    }

    /// True if a conversation of this model was compacted by a request without rows.
    #[must_use]
    pub fn compacted(&self, model: Option<&str>, reach: Reach) -> bool {
        let mut compactions = self.compactions.iter().filter(|clue| reach.includes(clue, clue.at));
        !self.has_compacting_agent && compactions.any(|clue| self.may_be_of(clue, model))
    }

    /// True if a response of this model was interrupted while it came.
    #[must_use]
    pub fn interrupted(&self, model: Option<&str>, reach: Reach) -> bool {
        let mut streams = self.interrupts.values().filter(|interrupt| {
            reach.includes(&interrupt.clue, interrupt.started) && interrupt.last.is_none_or(|(_, is_call)| !is_call)
        });
        streams.any(|interrupt| self.may_be_of(&interrupt.clue, model))
    }

    /// True if the client searched the web.
    #[must_use]
    pub fn searched(&self, reach: Reach) -> bool {
        self.first_search.is_within(reach)
    }

    /// True if the client fetched a page.
    #[must_use]
    pub fn fetched(&self, reach: Reach) -> bool {
        self.first_fetch.is_within(reach)
    }

    /// True if a person set a goal.
    #[must_use]
    pub fn has_goal(&self, reach: Reach) -> bool {
        self.first_goal.is_within(reach)
    }

    /// How often the API searched the web in responses of a model that have rows.
    #[must_use]
    pub fn searches_of(&self, model: &str) -> u64 {
        self.searches.get(model).copied().unwrap_or(0)
    }

    /// True if a response was requested after `time`.
    #[must_use]
    pub fn goes_on_after(&self, time: Timestamp) -> bool {
        self.requests.is_some_and(|(_, last)| last > time)
    }

    /// True if a process ended without an account: it left a call behind whose result another one had to fill in, or a response
    /// of which only a stream told and whose end never came, if a run ended without a result (`has_killed_run`), or responses
    /// were requested before the account `started`.
    #[must_use]
    pub fn has_killed_process(&self, started: Option<Timestamp>, has_killed_run: bool) -> bool {
        let before = self.requests.zip(started).is_some_and(|((first, _), started)| first < started);
        self.has_filled_in || before || has_killed_run && self.sources.provisional != Tokens::default()
    }

    /// True if a turn requested responses after the prompt of the next one, which one process never does.
    #[must_use]
    pub fn has_parallel_processes(&self) -> bool {
        let mut turns: Vec<_> = self.turns.values().collect();
        turns.sort_unstable();
        let next = turns.iter().skip(1);
        turns.iter().zip(next).any(|((_, last), (prompt, _))| last.is_some_and(|last| last > *prompt))
    }

    /// True if the request behind a clue may have been one to this model: to a model of the sub-agent, or to one that
    /// answered in the main thread before or after. If nothing answered after it, it may be of any model: a person may
    /// have chosen another one.
    fn may_be_of(&self, clue: &Clue, model: Option<&str>) -> bool {
        let Some(model) = model else { return true };
        if let Some(models) = &clue.models {
            return models.is_empty() || models.contains(model);
        }
        let around = self.answers.iter().filter(|stretch| stretch.from <= clue.at && clue.at <= stretch.until);
        let before = self.answers.iter().filter(|stretch| stretch.until <= clue.at);
        let after = self.answers.iter().filter(|stretch| stretch.from >= clue.at);
        let (before, after) = (before.max_by_key(|stretch| stretch.until), after.min_by_key(|stretch| stretch.from));
        let goes_on = self.answers.iter().any(|stretch| stretch.until > clue.at);
        !goes_on || around.chain(before).chain(after).any(|stretch| *stretch.model == *model)
    }
}

impl Interrupt {
    /// Takes in something that ended at a time. The last thing before the interrupt tells what was interrupted.
    fn saw(&mut self, time: Timestamp, is_stopped_call: bool) {
        if time <= self.clue.at {
            self.last = self.last.max(Some((time, is_stopped_call)));
        }
    }
}

/// The canonical id of the model that gave a response.
fn model_of(message: &Message) -> Option<&Arc<str>> {
    message.shares().first().map(|share| &share.model)
}

impl Reach {
    fn includes(self, clue: &Clue, time: Timestamp) -> bool {
        if clue.models.is_some() { time < self.agents } else { time <= self.main }
    }
}

impl First {
    fn saw(&mut self, in_agent: bool, time: Timestamp) {
        let first = if in_agent { &mut self.agents } else { &mut self.main };
        *first = Some(first.map_or(time, |known| known.min(time)));
    }

    fn is_within(&self, reach: Reach) -> bool {
        self.main.is_some_and(|at| at <= reach.main) || self.agents.is_some_and(|at| at < reach.agents)
    }
}
