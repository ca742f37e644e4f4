//! The attributes of each kind of span: names, numbers, ids and error classes, never text of the conversation.

use super::facts::{Position, TurnFacts};
use super::list::AttributeList;
use crate::ledger::money::Money;
use crate::ledger::session::project_of;
use crate::ledger::tokens::Tokens;
use crate::ledger::unit::{Message, Surroundings, Tool, Unit};
use crate::transcript::record::{Compaction, Outcome};
use crate::views::traces::attributes as name;
use crate::views::traces::caller::caller;
use crate::views::traces::ids::{SpanAt, TraceId, run_at};
use crate::views::traces::span::{SpanLink, SpanStatus};

/// Agent name of the main thread, whose agent is the client itself.
pub(super) const MAIN_AGENT: &str = "claude-code";
/// Outcome of a call without a result.
pub(super) const OUTCOME_OPEN: &str = "open";

/// Shortest time in a queue that is shown, in milliseconds. Every prompt of `claude -p` is queued for some
/// milliseconds.
const QUEUED_MS_MIN: u64 = 100;

/// The thread that a span belongs to.
#[derive(Clone, Copy)]
pub(super) struct SpanThread<'a> {
    pub(super) session: &'a str,
    /// The session's id on the main thread, the agent's id on a sub-agent.
    pub(super) conversation: &'a str,
}

impl SpanThread<'_> {
    fn list(&self, operation: &'static str) -> AttributeList {
        let mut list = AttributeList::default();
        list.word(name::OPERATION, operation);
        list.text(name::SESSION, self.session);
        list.text(name::CONVERSATION, self.conversation);
        list
    }
}

/// The model that the client asked for, as it named it; the model of the response if that is not known.
pub(super) fn request_model(message: &Message) -> &str {
    message.requested_model.as_deref().unwrap_or(&message.model)
}

/// Tokens of a response, summed over all models that it was billed at.
pub(super) fn tokens_of(message: &Message) -> Tokens {
    message.shares().iter().map(|share| share.tokens).sum()
}

pub(super) fn chat(thread: SpanThread<'_>, message: &Message) -> AttributeList {
    let mut list = thread.list("chat");
    list.word(name::PROVIDER, provider_of(&message.id));
    list.text(name::REQUEST_MODEL, request_model(message));
    list.text(name::RESPONSE_MODEL, &message.model);
    list.text(name::RESPONSE_ID, message.told_id());
    if let Some(stop) = &message.stop {
        list.one_of(name::FINISH_REASONS, stop.name());
    }
    if let Some(ms) = message.ttft_ms {
        list.seconds(name::TIME_TO_FIRST_CHUNK, u64::from(ms));
    }
    list.maybe_text(name::REQUEST_ID, message.request.as_deref());
    list.maybe_text(name::SKILL, message.skill.as_deref());
    list.maybe_text(name::EFFORT, message.effort.as_deref());
    if message.says.thinking_ms > 0 {
        list.seconds(name::THINKING_SECONDS, u64::from(message.says.thinking_ms));
    }
    if message.shares().is_empty() {
        // No model wrote this response. It counts nowhere, so it has no numbers here either.
        return list;
    }
    let tokens = tokens_of(message);
    let cache_write = tokens.cache_write_5m.saturating_add(tokens.cache_write_1h);
    list.usage(tokens);
    list.count(name::CACHE_READ_TOKENS, tokens.cache_read);
    list.count(name::CACHE_CREATION_TOKENS, cache_write);
    list.count(name::CACHE_WRITE_TOKENS, cache_write);
    if message.usage.thinking > 0 {
        list.count(name::REASONING_TOKENS, message.usage.thinking);
    }
    if message.shares().iter().any(|share| share.cost.is_some()) {
        let cost: Money = message.shares().iter().filter_map(|share| share.cost).sum();
        list.dollars(name::COST_AMOUNT, cost);
        list.word(name::COST_CURRENCY, "USD");
        list.word(name::COST_SOURCE, "local");
    }
    if message.shares().iter().any(|share| share.cost.is_none()) {
        list.flag(name::COST_UNPRICED);
    }
    list
}

/// Adds how many milliseconds of the turn's critical path lie in a span, if that is known.
pub(super) fn critical_path(list: &mut AttributeList, milliseconds: Option<u64>) {
    if let Some(milliseconds) = milliseconds {
        list.seconds(name::CRITICAL_PATH_SECONDS, milliseconds);
    }
}

pub(super) fn compaction(thread: SpanThread<'_>, what: &Compaction) -> AttributeList {
    let mut list = thread.list(name::COMPACT);
    list.word(name::COMPACTION_TRIGGER, what.trigger());
    list.count(name::COMPACTION_TOKENS_BEFORE, what.tokens_before);
    list.count(name::COMPACTION_TOKENS_AFTER, what.tokens_after);
    list
}

/// Attributes of a tool call. `request` is the request id of the response that made it; `apart` holds the traces of the
/// sub-agents that it started and that have traces of their own.
pub(super) fn tool(thread: SpanThread<'_>, tool: &Tool, request: Option<&str>, apart: &[TraceId]) -> AttributeList {
    let mut list = thread.list("execute_tool");
    let called = tool.call.as_ref().map_or("", |call| &call.name);
    list.text(name::TOOL_NAME, called);
    list.text(name::TOOL_CALL_ID, &tool.id);
    list.word(name::TOOL_TYPE, "function");
    list.maybe_text(name::REQUEST_ID, request);
    if let Some(server) = mcp_server(called) {
        list.word(name::MCP_METHOD, "tools/call");
        list.text(name::MCP_SERVER, server);
    }
    list.maybe_text(name::SUBAGENT_TYPE, tool.call.as_ref().and_then(|call| call.agent_type.as_deref()));
    list.maybe_text(name::SUBAGENT_ID, tool.agent.as_ref().map(|agent| agent.told()));
    list.maybe_text(name::SKILL, tool.call.as_ref().and_then(|call| call.skill.as_deref()));
    match apart {
        [] => {}
        [trace] => list.text(name::SUBAGENT_TRACE, &trace.to_string()),
        traces => list.several(name::SUBAGENT_TRACES, traces.iter().map(TraceId::to_string)),
    }
    if let Some(permission) = tool.permission() {
        let told = [
            (name::PERMISSION_WAIT_SECONDS, permission.waited_ms()),
            (name::PERMISSION_WITHIN_SECONDS, permission.answered_within_ms),
        ];
        told.into_iter().for_each(|(name, ms)| ms.into_iter().for_each(|ms| list.seconds(name, ms)));
    }
    list.word(name::TOOL_OUTCOME, tool.result.as_ref().map_or(OUTCOME_OPEN, |end| end.outcome.name()));
    let Some(end) = &tool.result else { return list };
    if let Some(code) = end.exit_code {
        list.number(name::TOOL_EXIT_CODE, code);
    }
    if !end.filled_in {
        // A result that a later resume filled in is written by the client and is no result of the tool.
        list.count(name::TOOL_RESULT_BYTES, end.bytes);
    }
    if end.searches > 0 {
        list.number(name::WEB_SEARCHES, end.searches);
    }
    list.maybe_text(name::TOOL_DECISION_SOURCE, end.decision.as_deref());
    if end.outcome == Outcome::Failed {
        list.word(name::ERROR_TYPE, "tool_error");
    }
    list
}

/// The status of a tool call. Only a failure is an error; a refusal or an interrupt is what somebody wanted.
pub(super) fn tool_status(tool: &Tool) -> SpanStatus {
    match &tool.result {
        Some(end) if end.outcome == Outcome::Failed => SpanStatus::Error(
            end.exit_code.map_or_else(|| "tool error".to_owned(), |exit_code| format!("exit code {exit_code}")),
        ),
        _ => SpanStatus::Unset,
    }
}

/// Attributes of a sub-agent or of a turn. `tokens` are the sums over everything below it.
pub(super) fn agent(thread: SpanThread<'_>, unit: &Unit, tokens: Tokens) -> AttributeList {
    let mut list = thread.list("invoke_agent");
    let first = unit.parts.messages.iter().min_by_key(|message| (message.start, &message.id));
    list.word(name::PROVIDER, first.map_or("anthropic", |message| provider_of(&message.id)));
    match &unit.agent {
        Some(agent) => {
            list.maybe_text(name::AGENT_NAME, agent.agent_type.as_deref());
            list.text(name::AGENT_ID, agent.id.told());
        }
        None => list.word(name::AGENT_NAME, MAIN_AGENT),
    }
    list.usage(tokens);
    list
}

/// Adds the attributes that the root of a turn has besides those of [`agent`].
pub(super) fn turn(list: &mut AttributeList, facts: &TurnFacts<'_>) {
    let Position { turn_index, forked_from, .. } = facts.position;
    if let Some(fork) = forked_from {
        list.text(name::SESSION_PREVIOUS, &fork.session.0);
    }
    if let Some(index) = turn_index {
        list.number(name::TURN_INDEX, index);
    }
    list.word(name::TURN_END, facts.end.reason);
    if let Some(active) = facts.turn.active_ms {
        list.seconds(name::TURN_ACTIVE_SECONDS, active);
    }
    if let Some(prompt) = &facts.turn.prompt {
        list.maybe_text(name::PROMPT_COMMAND, prompt.command.as_deref());
        list.number(name::PROMPT_LENGTH, prompt.chars);
        list.word(name::PROMPT_ORIGIN, prompt.origin.name());
        list.maybe_text(name::PROMPT_SOURCE, prompt.source.as_deref());
        if let Some(queued) = prompt.queued_ms.filter(|queued| *queued >= QUEUED_MS_MIN) {
            list.seconds(name::PROMPT_QUEUED_SECONDS, queued);
        }
    }
}

/// Adds the attributes of the surroundings, which the root of every trace has: entry point, branch, repository.
pub(super) fn surroundings(list: &mut AttributeList, context: &Surroundings) {
    list.maybe_text(name::ENTRYPOINT, context.entrypoint.as_deref());
    // The client writes `HEAD` outside a repository.
    list.maybe_text(name::VCS_REF, context.branch.as_deref().filter(|branch| *branch != "HEAD"));
    list.maybe_text(name::VCS_REPOSITORY, context.cwd.as_deref().and_then(project_of));
}

/// Adds the run that a unit belongs to.
pub(super) fn run(list: &mut AttributeList, unit: &Unit) {
    if let Some(of) = &unit.of_run {
        list.maybe_text(name::WORKFLOW, of.workflow.as_deref());
        list.text(name::RUN_ID, &of.run.0.to_string());
    }
}

/// Links of a turn's root.
pub(super) fn turn_links(turn: &Unit, position: Position<'_>) -> Vec<SpanLink> {
    let forked_from = position.forked_from.and_then(|fork| fork.turn);
    let of_run = turn.of_run.as_deref();
    let caller = of_run.and_then(|of| caller(of.caller.as_deref()?));
    let run = of_run.filter(|of| of.span).map(|of| run_at(of.run, caller));
    let links = [
        (position.previous, name::LINK_PREVIOUS_TURN),
        (forked_from, name::LINK_FORKED_FROM),
        (caller, name::LINK_CALLER),
        (run, name::LINK_RUN),
    ];
    links.into_iter().filter_map(|(target, why)| Some(link(target?, why))).collect()
}

/// A link to `target` with the reason why it exists.
pub(super) fn link(target: SpanAt, why: &'static str) -> SpanLink {
    let mut list = AttributeList::default();
    list.word(name::LINK, why);
    SpanLink { trace: target.trace, span: target.span, attributes: list.done() }
}

/// The provider, as the prefix of its message ids tells it.
fn provider_of(message_id: &str) -> &'static str {
    if message_id.starts_with("msg_bdrk_") {
        "aws.bedrock"
    } else if message_id.starts_with("msg_vrtx_") {
        "gcp.vertex_ai"
    } else {
        "anthropic"
    }
}

/// The `server` in a tool name `mcp__server__tool`; `None` for other tools.
fn mcp_server(tool: &str) -> Option<&str> {
    let (server, _) = tool.strip_prefix("mcp__")?.split_once("__")?;
    Some(server)
}
