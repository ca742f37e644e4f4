//! Words that several forms share: what an event is called, and what is told of it and of the session. None is escaped.

use std::collections::HashMap;
use std::sync::Arc;

use super::entry::{Entry, Head, Piece, Texts};
use crate::ledger::money::Money;
use crate::ledger::tokens::Tokens;
use crate::transcript::time::Timestamp;
use crate::views::sessions::event::Detail;

/// What stands above the texts of an event.
pub(super) struct Line {
    /// What it is, in words of our own.
    pub(super) what: &'static str,
    /// What it is called: the tool, the model, the sub-agent.
    pub(super) name: Option<String>,
    /// Facts of it, the time first.
    pub(super) facts: Vec<String>,
    /// How many of them say when it was and how long it took.
    pub(super) own_facts: usize,
    /// Whether it tells of something that went wrong.
    pub(super) failed: bool,
}

impl Line {
    pub(super) fn of(entry: &Entry<'_>) -> Self {
        let event = entry.event;
        let mut facts = vec![clock(event.at)];
        facts.extend(event.duration_seconds.map(duration));
        let own_facts = facts.len();
        let has_other = entry.texts.pieces().iter().any(|piece| piece.text.is_none());
        let (what, name) = told(&event.detail, has_other, &mut facts);
        // That it ended well goes without saying.
        facts.extend(event.outcome.as_deref().filter(|outcome| *outcome != "ok").map(str::to_owned));
        let failed = match event.detail {
            Detail::ApiError { .. } | Detail::Interrupt => true,
            Detail::ToolResult { .. } => event.outcome.as_deref().is_some_and(|outcome| outcome != "ok"),
            _ => false,
        };
        Self { what, name, facts, own_facts, failed }
    }
}

/// What an event is, and what it is called. Adds what its kind tells besides. `has_other` is whether something of it is no text.
fn told(detail: &Detail, has_other: bool, facts: &mut Vec<String>) -> (&'static str, Option<String>) {
    let text = |text: &str| Some(text.to_owned());
    match detail {
        Detail::Prompt { origin, .. } => ("Prompt", text(origin)),
        Detail::QueuedPrompt { origin, .. } => ("Prompt while it ran", text(origin)),
        Detail::SubagentStart { agent_type, background, .. } => {
            facts.extend(background.then(|| "in the background".to_owned()));
            ("Sub-agent begins", agent_type.as_deref().and_then(text))
        }
        Detail::SubagentEnd { agent_type, .. } => ("Sub-agent ends", agent_type.as_deref().and_then(text)),
        Detail::ApiError { status, attempt, retry_in_seconds, .. } => {
            facts.extend(status.map(|status| format!("status {status}")));
            facts.extend((*attempt > 0).then(|| format!("attempt {attempt}")));
            facts.extend((*retry_in_seconds > 0.0).then(|| format!("again after {}", duration(*retry_in_seconds))));
            ("API error", None)
        }
        Detail::ModelChange { from, to, trigger, .. } => {
            facts.push(trigger.to_string());
            ("Model changed", Some(format!("{from} to {to}")))
        }
        Detail::Message { model, tokens, cost_usd, unpriced_tokens, .. } => {
            facts.push(tokens_in_words(tokens));
            facts.extend(cost_usd.map(|cost| usd(&cost)));
            facts.extend((*unpriced_tokens > 0).then(|| format!("{} tokens without a price", count(*unpriced_tokens))));
            ("Answer", text(model))
        }
        Detail::ToolCall { tool, .. } => ("Call", text(tool)),
        Detail::ToolResult { tool, bytes, exit_code, decision, filled_in, .. } => {
            // Its texts have none if it is a picture, of which the size stands beside it.
            facts.extend((!(*bytes == 0 && has_other)).then(|| self::bytes(*bytes)));
            facts.extend(exit_code.map(|code| format!("exit code {code}")));
            facts.extend(decision.as_deref().map(|decision| format!("decided by {decision}")));
            facts.extend(filled_in.then(|| "filled in at a later resume".to_owned()));
            ("Result", tool.as_deref().and_then(text))
        }
        Detail::Compaction { trigger, tokens_before, tokens_after, .. } => {
            facts.push(format!("{} tokens before, {} after", count(*tokens_before), count(*tokens_after)));
            ("Compaction", text(trigger))
        }
        Detail::Hook { name, exit_code, .. } => {
            facts.extend(exit_code.map(|code| format!("exit code {code}")));
            ("Hook", text(name))
        }
        Detail::TaskEnd { task_id, .. } => ("Task ended", task_id.as_deref().and_then(text)),
        Detail::PullRequest { number, url, repository } => {
            facts.push(url.to_string());
            ("Pull request", Some(format!("{}#{number}", repository.as_deref().unwrap_or_default())))
        }
        Detail::AwaySummary { .. } => ("Summary of what was done meanwhile", None),
        Detail::PlanMode { begins: true, .. } => ("Plan mode begins", None),
        Detail::PlanMode { .. } => ("Plan mode ends", None),
        Detail::ServerTool { tool, .. } => ("Tool of the API", text(tool)),
        Detail::Interrupt => ("Interrupted", None),
    }
}

/// The sub-agents that were told of, each with its number: 1 for the first.
#[derive(Debug, Default)]
pub(super) struct Agents(HashMap<Arc<str>, usize>);

impl Agents {
    /// What the sub-agent is called that an event happened in: its type and its number, and its id where it is told of for
    /// the first time; `None` for the main thread.
    pub(super) fn name(&mut self, entry: &Entry<'_>) -> Option<String> {
        let id = entry.event.agent.as_ref()?;
        let (is_new, next) = (!self.0.contains_key(id), self.0.len() + 1);
        let number = self.0.entry(Arc::clone(id)).or_insert(next);
        let name = entry.agent_type.map_or_else(|| number.to_string(), |of_type| format!("{of_type} {number}"));
        Some(if is_new { format!("{name} ({id})") } else { name })
    }

    /// Whether an event happened in the main thread, or in a sub-agent that was told of.
    pub(super) fn knows(&self, entry: &Entry<'_>) -> bool {
        entry.event.agent.as_ref().is_none_or(|id| self.0.contains_key(id))
    }
}

/// Why the texts of an event are not told; `None` if they are, or if it has none.
pub(super) fn untold(texts: &Texts) -> Option<String> {
    match texts {
        Texts::Told(_) => None,
        Texts::LeftOut => Some("text left out".to_owned()),
        Texts::Missing(reason) => Some(format!("no text: {reason}")),
    }
}

/// What is told of a session: what it is, and the value.
pub(super) type Row = (&'static str, String);

/// What most readers look for in a session, before its events.
pub(super) fn sums(head: &Head) -> Vec<Row> {
    let session = &head.session;
    let mut rows = Vec::new();
    let mut tell = |what, value: Option<String>| rows.extend(value.map(|value| (what, value)));
    tell("Project", session.project.clone());
    let models: Vec<&str> = session.models.iter().map(|model| &**model).collect();
    tell("Models", Some(models.join(", ")).filter(|models| !models.is_empty()));
    tell("Cost", Some(format!("${}", session.cost_usd)));
    let (started, ended) = (time(&session.started_at), time(&session.ended_at));
    let took = started.zip(ended).map(|(started, ended)| crate::transcript::time::seconds(ended.since_ms(started)));
    tell("Duration", took.map(duration));
    tell("Turns", Some(count(session.turns)));
    tell("Tokens", Some(tokens_in_words(&session.tokens)));
    rows
}

/// The time of a row, if it is told.
fn time(text: &Option<String>) -> Option<Timestamp> {
    text.as_deref().and_then(Timestamp::parse)
}

/// Everything else that is told of it.
pub(super) fn details(head: &Head) -> Vec<Row> {
    let session = &head.session;
    let mut rows = Vec::new();
    let mut tell = |what, value: Option<String>| rows.extend(value.map(|value| (what, value)));
    // Without a title, the id stands above.
    tell("Session", session.title.as_ref().map(|_| session.id.clone()));
    tell("Folder", session.cwd.clone());
    tell("Branch", session.git_branch.clone());
    tell("Started", time(&session.started_at).map(date_and_clock));
    tell("Ended", time(&session.ended_at).map(date_and_clock));
    tell("Cost that the client reports", session.client_reported_usd.as_ref().map(|usd| format!("${usd}")));
    let Tokens { input, output, cache_read, cache_write_5m, cache_write_1h } = session.tokens;
    tell("Input tokens", Some(count(input)));
    tell("Output tokens", Some(count(output)));
    tell("Tokens read from the cache", Some(count(cache_read)));
    tell("Tokens written to the cache for 5 minutes", Some(count(cache_write_5m)));
    tell("Tokens written to the cache for 1 hour", Some(count(cache_write_1h)));
    tell("Messages", Some(count(session.messages)));
    tell("Tool calls", Some(tools(head)));
    tell("Errors", Some(count(head.errors)));
    tell("Sub-agents", Some(count(session.subagents)));
    tell("Forked from", session.forked_from.clone());
    let place = |what: &str, place: &super::entry::ForkPlace| {
        let event = place.event.map(|event| format!(" behind event {event}")).unwrap_or_default();
        format!("{what}{event}, {}", place.at)
    };
    tell("Left its source", head.left_source.as_ref().map(|left| place("there", left)));
    for fork in &head.forks {
        tell("Fork", Some(place(&format!("{} left", fork.session), fork)));
    }
    tell("Resumed", session.resumed.then(|| "by another process".to_owned()));
    tell("Events", Some(count(head.total_events as u64)));
    tell("Level", Some(head.level.name().to_owned()));
    tell("Secrets", Some(if head.scrubbed { "taken out" } else { "not taken out" }.to_owned()));
    tell("Exported by", Some(format!("tailspan {}", head.version)));
    rows
}

/// All calls, and those of each tool.
fn tools(head: &Head) -> String {
    let tools = &head.session.tools;
    let sum = count(tools.values().map(|tool| tool.calls).sum());
    let each: Vec<String> = tools.iter().map(|(name, tool)| format!("{} {name}", count(tool.calls))).collect();
    if each.is_empty() { sum } else { format!("{sum} ({})", each.join(", ")) }
}

/// What stands below the title of a turn.
pub(super) fn turn_facts(turn: &super::entry::TurnHead) -> Vec<String> {
    let several = |number: u64, what: &str| format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" });
    let mut facts = vec![date_and_clock(turn.started_at)];
    facts.push(turn.duration_seconds.map_or_else(|| "open".to_owned(), duration));
    facts.push(usd(&turn.cost_usd));
    facts.push(tokens_in_words(&turn.tokens));
    facts.push(several(turn.messages, "message"));
    facts.push(several(turn.tool_calls, "tool call"));
    facts.extend((turn.errors > 0).then(|| several(turn.errors, "error")));
    facts.extend(turn.end.filter(|end| *end != "stop").map(|end| end.replace('_', " ")));
    facts
}

fn tokens_in_words(tokens: &Tokens) -> String {
    let input = tokens.input + tokens.cache_read + tokens.cache_write_5m + tokens.cache_write_1h;
    format!("{} tokens in, {} out", count(input), count(tokens.output))
}

/// The title of the session.
pub(super) fn title(head: &Head) -> &str {
    head.session.title.as_deref().unwrap_or(&head.session.id)
}

/// An exact amount.
pub(super) fn usd(money: &Money) -> String {
    format!("${money}")
}

/// A number with a comma behind every three digits.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number of bytes.
pub(super) fn bytes(number: u64) -> String {
    format!("{} byte{}", count(number), if number == 1 { "" } else { "s" })
}

/// The length and the kind of what is no text.
pub(super) fn other(piece: &Piece) -> String {
    format!("{}, {}", piece.kind, bytes(piece.bytes as u64))
}

/// A duration to the millisecond below a minute, else to the second.
pub(super) fn duration(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds} s");
    }
    // Negative ones and such that are no numbers are handled above, and no session takes longer than a number holds.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds above 60 that a session took")]
    let whole = seconds.round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 {
        format!("{} h {minutes} min {seconds} s", count(hours))
    } else {
        format!("{minutes} min {seconds} s")
    }
}

/// A time of day in UTC, to the second.
fn clock(at: Timestamp) -> String {
    at.to_rfc3339().get(11..19).unwrap_or_default().to_owned()
}

/// A time in UTC, to the second.
fn date_and_clock(at: Timestamp) -> String {
    let text = at.to_rfc3339();
    format!("{} {} UTC", text.get(..10).unwrap_or_default(), text.get(11..19).unwrap_or_default())
}
