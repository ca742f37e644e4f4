//! The table `turns`: a row for each turn, with its own sums and those of its sub-agents.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::around::{
    Around, Asked, HasAround, HasUsed, Names, branch, entrypoint, host, project, session, turn, used_columns, workflow,
};
use super::column::{Column, Kind, Row, TakeCells, Used, Value, cells};
use crate::ledger::tally::Tally;
use crate::ledger::unit::{TurnEnd, Unit, UnitKey};
use crate::transcript::record::Origin;
use crate::transcript::time::Timestamp;
use crate::views::traces::ids::trace_of;

/// One turn.
#[derive(Debug)]
pub struct TurnRow {
    around: Arc<Around>,
    trace: String,
    prompt: String,
    origin: Origin,
    at: Timestamp,
    end: Option<TurnEnd>,
    own: Sums,
    agents: Sums,
    subagents: u64,
}

/// What a thread came to.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    messages: u64,
    tool_calls: u64,
    used: Used,
}

/// The columns.
pub(super) static COLUMNS: [Column<TurnRow>; 33] = {
    use Kind::{Count, Money, Seconds, Text, Time, Tokens};
    let [input, output, cache_read, cache_write_5m, cache_write_1h, cost, unpriced] = used_columns();
    [
        host(),
        session(),
        turn(),
        Column::of("trace_id", Text, "The trace of the turn, 32 hexadecimal digits.", |row| Value::Text(&row.trace)),
        Column::of("prompt_id", Text, "`uuid` of the prompt, by which copies count once.", |row| {
            Value::Text(&row.prompt)
        }),
        Column::of("origin", Text, "Who asked: `human`, `sdk`, `task_notification` or `teammate`.", |row| {
            Value::Text(row.origin.name())
        }),
        Column::of("at", Time, "When the prompt was written.", |row| Value::Time(row.at)),
        Column::some("ended_at", Time, "When it ended; none while it goes on.", |row| {
            Value::some(row.end, |end| Value::Time(end.at))
        }),
        Column::some("duration_seconds", Seconds, "From the prompt to the end.", |row| {
            Value::some(row.end, |end| Value::Milliseconds(end.at.since_ms(row.at)))
        }),
        Column::some(
            "end",
            Text,
            "How it ended: `stop`, `interrupted`, `api_error`, `next_prompt` and the like.",
            |row| Value::some(row.end, |end| Value::Text(end.reason)),
        ),
        Column::of("messages", Count, "Responses of the main thread.", |row| Value::Count(row.own.messages)),
        Column::of("tool_calls", Count, "Tool calls of the main thread.", |row| Value::Count(row.own.tool_calls)),
        input,
        output,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        cost,
        unpriced,
        Column::of("subagents", Count, "Sub-agents that it started, with those that these started.", |row| {
            Value::Count(row.subagents)
        }),
        Column::of("subagent_messages", Count, "Responses of its sub-agents.", |row| Value::Count(row.agents.messages)),
        Column::of("subagent_tool_calls", Count, "Tool calls of its sub-agents.", |row| {
            Value::Count(row.agents.tool_calls)
        }),
        Column::of("subagent_input", Tokens, "`input` of its sub-agents.", |row| {
            Value::Count(row.agents.used.tokens.input)
        }),
        Column::of("subagent_output", Tokens, "`output` of its sub-agents.", |row| {
            Value::Count(row.agents.used.tokens.output)
        }),
        Column::of("subagent_cache_read", Tokens, "`cache_read` of its sub-agents.", |row| {
            Value::Count(row.agents.used.tokens.cache_read)
        }),
        Column::of("subagent_cache_write_5m", Tokens, "`cache_write_5m` of its sub-agents.", |row| {
            Value::Count(row.agents.used.tokens.cache_write_5m)
        }),
        Column::of("subagent_cache_write_1h", Tokens, "`cache_write_1h` of its sub-agents.", |row| {
            Value::Count(row.agents.used.tokens.cache_write_1h)
        }),
        Column::of("subagent_cost_usd", Money, "`cost_usd` of its sub-agents.", |row| {
            Value::Money(row.agents.used.cost)
        }),
        Column::of("subagent_unpriced_tokens", Tokens, "`unpriced_tokens` of its sub-agents.", |row| {
            Value::Count(row.agents.used.unpriced)
        }),
        project(),
        branch(),
        entrypoint(),
        workflow(),
    ]
};

impl HasAround for TurnRow {
    fn around(&self) -> &Around {
        &self.around
    }
}

impl HasUsed for TurnRow {
    fn used(&self) -> &Used {
        &self.own.used
    }
}

impl Row for TurnRow {
    fn cells(&self, take: &mut dyn TakeCells) {
        cells(&COLUMNS, self, take);
    }
}

impl Sums {
    fn of(tally: &Tally) -> Self {
        let unpriced = tally.models.values().map(|model| model.unpriced).fold(0, u64::saturating_add);
        Self {
            messages: tally.messages(),
            tool_calls: tally.tools.values().map(|tool| tool.calls).sum(),
            used: Used { tokens: tally.tokens(), cost: tally.cost(), unpriced },
        }
    }

    fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.tool_calls += other.tool_calls;
        self.used.add(&other.used);
    }
}

/// The turns of a session so far.
#[derive(Debug, Default)]
pub struct TurnRows {
    turns: BTreeMap<u64, TurnRow>,
    /// What sub-agents came to, by the number of their turn.
    agents: BTreeMap<u64, (u64, Sums)>,
    /// Turns of which something is asked for: those of the filters, in which a response of a unit counts that they take.
    taken: Vec<u64>,
}

impl TurnRows {
    /// Adds a turn or a sub-agent. `is_taken` says whether the filters take the unit by itself.
    pub(super) fn add(&mut self, asked: &Asked, around: &Arc<Around>, unit: &Unit, is_taken: bool, names: &mut Names) {
        let Some(number) = around.turn else { return };
        let tally = unit.tally();
        let sums = Sums::of(&tally);
        let mut has_model = || tally.models.keys().any(|model| asked.takes_model(&names.shown(model)));
        let is_turn = unit.is_turn();
        // A turn counts where one of its responses does; one without responses by itself, but at no model.
        if is_taken && (has_model() || (is_turn && asked.filter.model.is_empty())) {
            self.taken.push(number);
        }
        if !is_turn {
            let (count, all) = self.agents.entry(number).or_default();
            *count += u64::from(unit.key.is_first_run());
            all.add(&sums);
            return;
        }
        let (UnitKey::Turn(row), Some(prompt)) = (&unit.key, &unit.prompt) else { return };
        if asked.filter.window.has(prompt.time) {
            let turn = TurnRow {
                around: Arc::clone(around),
                trace: asked.scope.trace(unit.session(), trace_of(unit)).to_string(),
                prompt: row.to_string(),
                origin: prompt.origin,
                at: prompt.time,
                end: unit.end(),
                own: sums,
                agents: Sums::default(),
                subagents: 0,
            };
            self.turns.insert(number, turn);
        }
    }

    /// The rows, in order of their numbers.
    pub(super) fn into_rows(mut self) -> impl Iterator<Item = TurnRow> {
        self.taken.sort_unstable();
        let (mut agents, taken) = (self.agents, self.taken);
        self.turns.into_iter().filter(move |(number, _)| taken.binary_search(number).is_ok()).map(
            move |(number, turn)| {
                let (subagents, agents) = agents.remove(&number).unwrap_or_default();
                TurnRow { subagents, agents, ..turn }
            },
        )
    }
}
