//! The name of every span, event and link attribute, with the convention that it comes from.
//!
//! ```text
//! GENAI   open-telemetry/semantic-conventions-genai@002c8a6e, the generation published with core v1.37 to v1.41
//! GENAI+  the same repository @066d4a7f, where one attribute was renamed; it is written under both names
//! COST    pull request 443 of that repository, not merged yet: experimental, on model calls only
//! MCP     open-telemetry/semantic-conventions v1.41.0, docs/gen-ai/mcp.md
//! CORE    open-telemetry/semantic-conventions v1.44.0
//! OURS    `claude_code.*`: no convention has a name for it
//! ```
//!
//! The GenAI conventions have the status "Development" and are being renamed: names are in this file and nowhere else,
//! so that following them is a change of one file.

/// GENAI: `chat`, `execute_tool` or `invoke_agent`; [`COMPACT`] on a compaction.
pub const OPERATION: &str = "gen_ai.operation.name";
/// GENAI: `anthropic`, `aws.bedrock` or `gcp.vertex_ai`.
pub const PROVIDER: &str = "gen_ai.provider.name";
/// GENAI: the session's id on spans of the main thread, the agent's id on spans of a sub-agent.
pub const CONVERSATION: &str = "gen_ai.conversation.id";
/// GENAI: `claude-code`, or the type of a sub-agent.
pub const AGENT_NAME: &str = "gen_ai.agent.name";
/// GENAI: a sub-agent's id.
pub const AGENT_ID: &str = "gen_ai.agent.id";
/// GENAI: the model as the client asked for it.
pub const REQUEST_MODEL: &str = "gen_ai.request.model";
/// GENAI: the model as the API names itself.
pub const RESPONSE_MODEL: &str = "gen_ai.response.model";
/// GENAI: `message.id` of the response.
pub const RESPONSE_ID: &str = "gen_ai.response.id";
/// GENAI: a list with the one `stop_reason`.
pub const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
/// GENAI: seconds from the request to the first piece of the response, a double. Of a request that was repeated, from the
/// last attempt on.
pub const TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
/// GENAI: prompt tokens, cache reads and writes included (the rule for Anthropic); of an agent, the sum of its tree.
pub const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
/// GENAI: generated tokens, thinking included; of an agent, the sum of its tree.
pub const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
/// GENAI: prompt tokens read from the cache.
pub const CACHE_READ_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";
/// GENAI: prompt tokens written to the cache.
pub const CACHE_CREATION_TOKENS: &str = "gen_ai.usage.cache_creation.input_tokens";
/// GENAI+: the number of [`CACHE_CREATION_TOKENS`] under its newer name.
pub const CACHE_WRITE_TOKENS: &str = "gen_ai.usage.cache_write.input_tokens";
/// GENAI: thinking tokens, a part of the generated ones.
pub const REASONING_TOKENS: &str = "gen_ai.usage.reasoning.output_tokens";
/// GENAI: the tool's own name.
pub const TOOL_NAME: &str = "gen_ai.tool.name";
/// GENAI: `tool_use.id`.
pub const TOOL_CALL_ID: &str = "gen_ai.tool.call.id";
/// GENAI: `function`, a tool that the client runs.
pub const TOOL_TYPE: &str = "gen_ai.tool.type";
/// GENAI, level `content`: the arguments of a tool call, as JSON.
pub const TOOL_ARGUMENTS: &str = "gen_ai.tool.call.arguments";
/// GENAI, level `content`: the result of a tool call; JSON unless it is a single text.
pub const TOOL_RESULT: &str = "gen_ai.tool.call.result";
/// GENAI, level `content`: the prompt, as JSON (a list with the one message).
pub const INPUT_MESSAGES: &str = "gen_ai.input.messages";
/// GENAI, level `content`: the answer of a model call, as JSON (a list with the one message); on an agent, its last
/// answer.
pub const OUTPUT_MESSAGES: &str = "gen_ai.output.messages";

/// COST: list price in [`COST_CURRENCY`], a double. It is never on agents, where it would be counted twice.
pub const COST_AMOUNT: &str = "gen_ai.usage.cost.amount";
/// COST: ISO 4217, always `USD`.
pub const COST_CURRENCY: &str = "gen_ai.usage.cost.currency";
/// COST: `local`, computed from a price table rather than told by the provider.
pub const COST_SOURCE: &str = "gen_ai.usage.cost.source";

/// MCP: `tools/call`, on calls of MCP tools.
pub const MCP_METHOD: &str = "mcp.method.name";

/// CORE: `tool_error`, or the class of an API error (`rate_limit`, `overloaded`, ...).
pub const ERROR_TYPE: &str = "error.type";
/// CORE: HTTP status of a failed attempt.
pub const HTTP_STATUS: &str = "http.response.status_code";
/// CORE: the session's id, on every span.
pub const SESSION: &str = "session.id";
/// CORE: the session that this one was forked from.
pub const SESSION_PREVIOUS: &str = "session.previous_id";
/// CORE: the address at which the event of the span is shown, on the page of its session.
pub const URL: &str = "url.full";
/// CORE: the Git branch.
pub const VCS_REF: &str = "vcs.ref.head.name";
/// CORE: the last path component of the working directory; in a worktree that the client made, that of its repository.
pub const VCS_REPOSITORY: &str = "vcs.repository.name";

/// OURS: seconds of the turn's critical path that lie in the span, a double: 0 if nothing waited for it. On model calls and
/// tool calls of a turn that has ended, unless they left while it went on.
pub const CRITICAL_PATH_SECONDS: &str = "claude_code.critical_path_seconds";
/// GENAI: the workflow of a run, on the span of the run.
pub const WORKFLOW_NAME: &str = "gen_ai.workflow.name";
/// OURS: the workflow of the run that a turn belongs to, on roots of traces and on the span of the run.
pub const WORKFLOW: &str = "claude_code.workflow";
/// OURS: the run that a turn belongs to, on roots of traces and on the span of the run.
pub const RUN_ID: &str = "claude_code.run.id";
/// OURS: how a run ended: `success`, `error_max_turns`, `error_during_execution`, `api_error`, `interrupted`, `killed`.
pub const RUN_OUTCOME: &str = "claude_code.run.outcome";
/// OURS: the client's own word for how a run ended: `completed`, `max_turns`, `budget_exhausted`, ...
pub const RUN_EXIT_REASON: &str = "claude_code.run.exit_reason";
/// OURS: number of turns of a run.
pub const RUN_TURNS: &str = "claude_code.run.turns";
/// OURS: list price of a run in US dollars, a double. It is not [`COST_AMOUNT`], which model calls have, or it would be
/// counted twice.
pub const RUN_COST: &str = "claude_code.run.cost_usd";
/// OURS: the beginning of the names of a run's labels, behind which the label's own name stands.
pub const RUN_LABEL: &str = "claude_code.run.label.";
/// OURS: position of the turn in its session, from 1.
pub const TURN_INDEX: &str = "claude_code.turn.index";
/// OURS: how the turn ended: `stop`, `next_prompt`, `interrupted`, `api_error`, `idle`, `open`.
pub const TURN_END: &str = "claude_code.turn.end";
/// OURS: true on the root of a trace that goes on. Only answers to queries have it, because a span that is sent is
/// finished.
pub const IN_PROGRESS: &str = "claude_code.in_progress";
/// OURS: length of the prompt in characters.
pub const PROMPT_LENGTH: &str = "claude_code.prompt.length";
/// OURS: who asked: `human`, `sdk`, `task_notification`.
pub const PROMPT_ORIGIN: &str = "claude_code.prompt.origin";
/// OURS: how the client was started: `cli`, `sdk-cli`, ...
pub const ENTRYPOINT: &str = "claude_code.entrypoint";
/// OURS: `requestId`, on a model call and on the tools that it called.
pub const REQUEST_ID: &str = "claude_code.request_id";
/// OURS: true if no price is known for some of the tokens.
pub const COST_UNPRICED: &str = "claude_code.cost.unpriced";
/// OURS: `ok`, `failed`, `denied`, `interrupted` or `open`.
pub const TOOL_OUTCOME: &str = "claude_code.tool.outcome";
/// OURS: exit code of a failed command.
pub const TOOL_EXIT_CODE: &str = "claude_code.tool.exit_code";
/// OURS: bytes of the result's text.
pub const TOOL_RESULT_BYTES: &str = "claude_code.tool.result_bytes";
/// OURS: who allowed or refused the call: `config`, `user_temporary`, `hook`, ...
pub const TOOL_DECISION_SOURCE: &str = "claude_code.tool.decision_source";
/// Event, OURS: a host was asked whether the call may run; its time is that of the question.
pub const PERMISSION_REQUESTED: &str = "claude_code.permission_requested";
/// OURS: seconds that a call waited until a host answered whether it may run, a double; only where a stream shows exactly
/// that.
pub const PERMISSION_WAIT_SECONDS: &str = "claude_code.permission.wait_seconds";
/// OURS: seconds from the question whether a call may run to its result, a double: the wait and the run.
pub const PERMISSION_WITHIN_SECONDS: &str = "claude_code.permission.answered_within_seconds";
/// OURS: the server of an MCP tool.
pub const MCP_SERVER: &str = "claude_code.mcp.server";
/// OURS: the type of the sub-agent that a call asked for.
pub const SUBAGENT_TYPE: &str = "claude_code.subagent.type";
/// OURS: trace of the sub-agent that a call started and that has a trace of its own, 32 hexadecimal digits.
pub const SUBAGENT_TRACE: &str = "claude_code.subagent.trace_id";
/// OURS: traces of the sub-agents if a call started several that have traces of their own; a list of texts.
pub const SUBAGENT_TRACES: &str = "claude_code.subagent.trace_ids";
/// OURS: true if the recorded end was before the start, and the end was set to the start.
pub const CLOCK_ADJUSTED: &str = "claude_code.clock_adjusted";
/// OURS: number of events that were left out, because a span carries at most 32.
pub const EVENTS_DROPPED: &str = "claude_code.events_dropped";
/// OURS: why a link exists: one of the `LINK_` values.
pub const LINK: &str = "claude_code.link";

/// Value of [`LINK`]: the turn before this one in the session.
pub const LINK_PREVIOUS_TURN: &str = "previous_turn";
/// Value of [`LINK`]: the last turn that a fork copied from its source.
pub const LINK_FORKED_FROM: &str = "forked_from";
/// Value of [`LINK`]: the span within which a run was called, from the roots of its turns.
pub const LINK_CALLER: &str = "caller";
/// Value of [`LINK`]: the span of the run, from the roots of its turns.
pub const LINK_RUN: &str = "run";
/// Value of [`LINK`]: a turn, from the span of its run.
pub const LINK_TURN: &str = "turn";
/// Value of [`LINK`]: the tool call that started a sub-agent with a trace of its own.
pub const LINK_STARTED_BY: &str = "started_by";

/// Event, OURS: an attempt to call the API failed.
pub const API_ERROR: &str = "claude_code.api_error";
/// OURS: number of the attempt, from 1.
pub const API_ERROR_ATTEMPT: &str = "claude_code.api_error.attempt";
/// OURS: the wait before the next attempt in seconds, a double.
pub const API_ERROR_RETRY_SECONDS: &str = "claude_code.api_error.retry_after_seconds";
/// OURS: true if no further attempt followed.
pub const API_ERROR_LAST: &str = "claude_code.api_error.last";

/// OURS: the slash command of a prompt, with its slash.
pub const PROMPT_COMMAND: &str = "claude_code.prompt.command";
/// OURS: seconds that the prompt waited while the client was busy, a double; only if no other prompt waited, and if it
/// waited for at least 0.1 s.
pub const PROMPT_QUEUED_SECONDS: &str = "claude_code.prompt.queued_seconds";
/// OURS: how a prompt came to the client, in the client's words: `typed`, `sdk`, `system`, `queued`,
/// `suggestion_accepted`.
pub const PROMPT_SOURCE: &str = "claude_code.prompt.source";
/// OURS: how hard the model was asked to think: `low`, `medium`, `high`, `xhigh`, ...
pub const EFFORT: &str = "claude_code.effort";
/// OURS, event: a prompt that the running turn took up.
pub const QUEUED_PROMPT: &str = "claude_code.prompt.absorbed";
/// OURS, event: work in the background ended while the turn ran.
pub const TASK_ENDED: &str = "claude_code.task.ended";
/// OURS: id of a background task; if the task is a sub-agent, the agent's id.
pub const TASK_ID: &str = "claude_code.task.id";
/// OURS: how a background task ended, in the client's words: `completed`, `failed`, `killed`.
pub const TASK_STATUS: &str = "claude_code.task.status";
/// OURS, event: the session made a pull request, or works on one.
pub const PULL_REQUEST: &str = "claude_code.pull_request";
/// OURS: number of a pull request.
pub const PULL_REQUEST_NUMBER: &str = "claude_code.pull_request.number";
/// OURS: repository of a pull request, `owner/name`.
pub const PULL_REQUEST_REPOSITORY: &str = "claude_code.pull_request.repository";
/// OURS, event: the client wrote a summary of what was done while the person was away.
pub const AWAY_SUMMARY: &str = "claude_code.away_summary";
/// OURS, event: plan mode began.
pub const PLAN_MODE_BEGAN: &str = "claude_code.plan_mode.began";
/// OURS, event: plan mode ended.
pub const PLAN_MODE_ENDED: &str = "claude_code.plan_mode.ended";
/// OURS, event: a tool that the API ran inside a response, for example `advisor`.
pub const SERVER_TOOL: &str = "claude_code.server_tool";
/// OURS: how long a [`SERVER_TOOL`] ran in seconds, a double.
pub const SERVER_TOOL_SECONDS: &str = "claude_code.server_tool.duration_seconds";
/// OURS: seconds of the turn without waiting for the user, as the terminal client reports them; a double.
pub const TURN_ACTIVE_SECONDS: &str = "claude_code.turn.active_seconds";
/// OURS: the skill that led to a response, or that a call of the Skill tool names.
pub const SKILL: &str = "claude_code.skill.name";
/// OURS: seconds that the model thought, a double; only where the client measured it.
pub const THINKING_SECONDS: &str = "claude_code.thinking.duration_seconds";
/// OURS: web searches that a call made.
pub const WEB_SEARCHES: &str = "claude_code.web_search.requests";
/// OURS: the sub-agent that a call started or wrote to.
pub const SUBAGENT_ID: &str = "claude_code.subagent.id";

/// Event, OURS: a hook ran; its time is the end.
pub const HOOK: &str = "claude_code.hook";
/// OURS: the hook's name, for example `PostToolUse:Bash`.
pub const HOOK_NAME: &str = "claude_code.hook.name";
/// OURS: the client's event that a hook ran for, for example `PostToolUse`.
pub const HOOK_EVENT: &str = "claude_code.hook.event";
/// OURS: how long a hook took in seconds, a double.
pub const HOOK_SECONDS: &str = "claude_code.hook.duration_seconds";
/// OURS: exit code of a hook.
pub const HOOK_EXIT_CODE: &str = "claude_code.hook.exit_code";
/// OURS: how a hook ended: `success`, `non_blocking_error`, `blocking_error`, `background`.
pub const HOOK_OUTCOME: &str = "claude_code.hook.outcome";

/// Event, OURS: the client went on with another model.
pub const FALLBACK: &str = "claude_code.model_fallback";
/// OURS: why the client changed the model, for example `overloaded`.
pub const FALLBACK_TRIGGER: &str = "claude_code.model_fallback.trigger";
/// OURS: the model before the change.
pub const FALLBACK_FROM: &str = "claude_code.model_fallback.from";
/// OURS: the model after the change.
pub const FALLBACK_TO: &str = "claude_code.model_fallback.to";

/// Value of [`OPERATION`] on the span of a compaction, OURS: no convention has an operation for it.
pub const COMPACT: &str = "compact";
/// Value of [`LINK`]: the turns that a compaction summarised end with this one.
pub const LINK_SUMMARISES: &str = "summarises";
/// OURS: who asked for a compaction: `manual` or `auto`.
pub const COMPACTION_TRIGGER: &str = "claude_code.compaction.trigger";
/// OURS: tokens of the conversation before a compaction.
pub const COMPACTION_TOKENS_BEFORE: &str = "claude_code.compaction.tokens_before";
/// OURS: tokens of the conversation after a compaction.
pub const COMPACTION_TOKENS_AFTER: &str = "claude_code.compaction.tokens_after";

/// OURS, level `details`: the command that a shell was asked to run.
pub const TOOL_COMMAND: &str = "claude_code.tool.command";
/// OURS, level `details`: what a call is for, in the model's words.
pub const TOOL_DESCRIPTION: &str = "claude_code.tool.description";
/// OURS, level `details`: a file or folder, relative to the working directory; only its name if it lies elsewhere.
pub const TOOL_FILE: &str = "claude_code.tool.file_path";
/// OURS, level `details`: what was searched for in files.
pub const TOOL_PATTERN: &str = "claude_code.tool.pattern";
/// OURS, level `details`: the page that was fetched.
pub const TOOL_URL: &str = "claude_code.tool.url";
/// OURS, level `details`: what was searched for on the web, or among tools.
pub const TOOL_QUERY: &str = "claude_code.tool.query";
/// OURS: why a text is missing that `traces.content` allows: `file is gone`, `file was rewritten`, `file cannot be
/// read`, `not told by the stream`, `too large`.
pub const CONTENT_UNAVAILABLE: &str = "claude_code.content.unavailable";
