//! Turns rows as they are written into the bodies of records. Fields that are missing or strange become defaults.

use std::sync::Arc;

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::fields::{chars_of, id, label, row_id, time};
use super::ids::{AgentId, RowId, SessionId};
use super::json::{Json, Scalar};
use super::offer;
use super::raw::{CallInput, MessageBlock, RawAgentMeta, RawRow, RawRowFields};
use super::record::{
    AgentMeta, ApiError, Assistant, Compaction, CostState, Ending, Fact, Fallback, Hook, HookKind, IdentityBy,
    LinePlace, Note, PullRequest, QueueStep, Reason, Record, Row, RowBody, RowKind, Says, Stop, TitleBy, ToolCall,
};
use super::said::{queued_command, user};
use super::strings::Field;
use super::strings::Strings;
use super::title;
use super::word::{Word, WordText};

/// Replaces escapes of surrogates (`\uD800` to `\uDFFF`) that have no partner by `\ufffd`; `None` if there are none.
pub(crate) fn mend_surrogates(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let unit = |at: usize| -> Option<u16> {
        let escape = bytes.get(at..at + 6)?;
        let digits = escape.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let mut mended = bytes.to_vec();
    let (mut at, mut found) = (0, false);
    while at < bytes.len() {
        if bytes.get(at) != Some(&b'\\') {
            at += 1;
            continue;
        }
        match unit(at) {
            Some(0xd800..=0xdbff) if matches!(unit(at + 6), Some(0xdc00..=0xdfff)) => at += 12,
            Some(0xd800..=0xdfff) => {
                mended.splice(at..at + 6, *b"\\ufffd");
                found = true;
                at += 6;
            }
            _ => at += 2,
        }
    }
    found.then(|| String::from_utf8(mended).ok()).flatten()
}

pub(super) fn body(row: &mut RawRow<'_>, line: &[u8], strings: &mut Strings) -> RowBody {
    if row.noted {
        return RowBody::Noted;
    }
    let fields = &mut row.fields;
    let kind = match row.kind.as_deref() {
        Some(b"assistant") => RowKind::Assistant(Box::new(assistant(fields, line, strings))),
        Some(b"user") => RowKind::User(user(fields, strings)),
        Some(b"system") => system(fields, strings),
        Some(b"attachment") => match attachment(fields, strings) {
            Some(kind) => kind,
            None => return RowBody::Noted,
        },
        Some(b"api-request") => {
            return time(fields.timestamp).map_or(RowBody::Noted, |time| RowBody::ApiRequest { time });
        }
        Some(b"queue-operation") => return queue(fields),
        Some(b"cost-state") => return cost_state(fields, strings),
        Some(b"custom-title") => return session_title(fields, fields.custom_title, TitleBy::Person, strings),
        Some(b"ai-title") => return session_title(fields, fields.ai_title, TitleBy::Client, strings),
        Some(b"agent-name") => return session_title(fields, fields.agent_name, TitleBy::AgentName, strings),
        Some(b"summary") => return summary(fields),
        Some(b"continued-in") => return continued(fields, strings),
        Some(b"pr-link") => return pull_request(fields, strings),
        Some(kind) => return RowBody::Unknown(strings.get(label(&String::from_utf8_lossy(kind)))),
        None => return RowBody::Unknown(strings.get("none")),
    };
    RowBody::Row(Box::new(row_of(fields, kind, line, strings)))
}

/// A row of this kind, with the fields that all kinds share.
pub(super) fn row_of(fields: &RawRowFields<'_>, kind: RowKind, line: &[u8], strings: &mut Strings) -> Row {
    Row {
        id: row_id(fields.uuid).unwrap_or_else(|| RowId(xxh3_128(line))),
        parent: row_id(fields.parent),
        session: strings.field(Field::Session, fields.session).map(SessionId),
        agent: strings.field(Field::Agent, fields.agent).map(AgentId),
        sidechain: fields.sidechain.is_true(),
        forked_from: strings.field(Field::CopiedFrom, fields.forked_from.session).map(SessionId),
        time: time(fields.timestamp),
        cwd: strings.field(Field::Folder, fields.cwd),
        branch: strings.field(Field::Branch, fields.branch),
        version: strings.field(Field::Version, fields.version),
        entrypoint: strings.field(Field::Entrypoint, fields.entrypoint),
        kind,
    }
}

fn system(fields: &RawRowFields<'_>, strings: &mut Strings) -> RowKind {
    match fields.subtype.word().as_deref() {
        // An attempt that failed and will be retried.
        Some("api_error") => Fact::Failure(ApiError {
            status: status(fields.error.status.count()),
            retry_in_ms: fields.retry_in_ms.small().unwrap_or(0),
            attempt: fields.retry_attempt.small().unwrap_or(0),
            last: false,
        })
        .into(),
        Some("compact_boundary") => Fact::Compaction(Compaction {
            manual: fields.compaction.trigger.word().as_deref() == Some("manual"),
            tokens_before: fields.compaction.before.count().unwrap_or(0),
            tokens_after: fields.compaction.after.count().unwrap_or(0),
            duration_ms: fields.compaction.duration_ms.count().unwrap_or(0),
        })
        .into(),
        Some("model_fallback") => {
            let mut word = |text: Word<'_>| strings.get(text.word().as_deref().unwrap_or("unknown"));
            Fact::Fallback(Fallback {
                trigger: word(fields.trigger),
                from: word(fields.original_model),
                to: word(fields.fallback_model),
            })
            .into()
        }
        Some("turn_duration") => RowKind::TurnDuration(fields.duration_ms.count()),
        Some("stop_hook_summary") => stop_hooks(fields, strings),
        Some("away_summary") => {
            let chars = fields.content.map_or(0, |text| chars_of(&text.text()));
            Fact::Note(Note::AwaySummary { chars }).into()
        }
        _ => RowKind::Other,
    }
}

/// The attachments that matter: hooks, the end of a turn, what a person did or was told, and what the model was offered.
fn attachment(fields: &RawRowFields<'_>, strings: &mut Strings) -> Option<RowKind> {
    let attachment = &fields.attachment;
    let kind = match attachment.kind.word().as_deref()? {
        "hook_success" => HookKind::Success,
        "hook_non_blocking_error" => HookKind::NonBlockingError,
        "hook_blocking_error" => HookKind::BlockingError,
        "async_hook_response" => HookKind::Background,
        "max_turns_reached" => return Some(RowKind::Ended(Ending::MaxTurns)),
        "queued_command" => return Some(queued_command(fields, strings)),
        "deferred_tools_delta" => return offer::tools(attachment, strings).map(Into::into),
        "mcp_instructions_delta" => return offer::instructions(attachment, strings).map(Into::into),
        "plan_mode" => return Some(Fact::Note(Note::PlanMode { begins: true }).into()),
        "plan_mode_exit" => return Some(Fact::Note(Note::PlanMode { begins: false }).into()),
        _ => return None,
    };
    let event = attachment.event.word().unwrap_or("unknown".into());
    // Hooks of other events have a `toolUseID` too, but no tool call has that id.
    let of_call = ["PreToolUse", "PostToolUse", "Permission"].iter().any(|tool| event.starts_with(tool));
    let hook = Hook {
        name: strings.get(attachment.name.word().as_deref().unwrap_or("unknown")),
        event: strings.get(&event),
        call: attachment.call.word().as_deref().filter(|call| of_call && !call.is_empty()).map(id),
        duration_ms: attachment.duration_ms.count(),
        exit_code: attachment.exit_code.count().and_then(|code| i32::try_from(code).ok()),
        kind,
    };
    Some(Fact::Hook(hook).into())
}

/// The hooks of `system/stop_hook_summary`. One that asked the model to go on has no duration, and its words are in
/// `hookErrors`. Those come last, so that what earlier versions kept of the row has the same places.
fn stop_hooks(fields: &RawRowFields<'_>, strings: &mut Strings) -> RowKind {
    /// Most hooks that are kept, more than any settings file has.
    const HOOKS_MAX: usize = 32;
    let durations = || fields.hook_infos.iter().take(HOOKS_MAX).map(|info| info.duration_ms.count());
    let ends_turn = fields.hook_errors.is_empty();
    let blocked = durations().filter(|duration| duration.is_none() && !ends_turn);
    let hooks = durations().filter(Option::is_some).chain(blocked);
    let name = strings.get("Stop");
    let hook = |duration_ms| Hook {
        name: Arc::clone(&name),
        event: Arc::clone(&name),
        call: None,
        duration_ms,
        exit_code: None,
        kind: HookKind::StopSummary,
    };
    RowKind::StopHooks { hooks: hooks.map(hook).collect(), ends_turn }
}

pub(super) fn status(count: Option<u64>) -> Option<u16> {
    count.and_then(|status| u16::try_from(status).ok()).filter(|status| (100..=999).contains(status))
}

fn queue(fields: &RawRowFields<'_>) -> RowBody {
    let Some(time) = time(fields.timestamp) else { return RowBody::Noted };
    let step = match fields.operation.word().as_deref() {
        Some("enqueue") => QueueStep::Enqueue,
        Some("dequeue") => QueueStep::Dequeue,
        _ => QueueStep::Other,
    };
    RowBody::Queue { step, time }
}

/// True for a cost of a session, in US dollars, that is believed.
pub(super) fn is_plausible(usd: f64) -> bool {
    /// Source: `contract.md` section 3.
    const USD_MAX: f64 = 10_000_000.0;
    (0.0..=USD_MAX).contains(&usd)
}

fn cost_state(fields: &RawRowFields<'_>, strings: &mut Strings) -> RowBody {
    match (fields.session.word().as_deref(), fields.cost_usd) {
        (Some(session), usd) if usd.number().is_some_and(is_plausible) => {
            let (session, usd) = (SessionId(strings.get(session)), usd.number().unwrap_or_default());
            let models = fields.model_usage.models(is_plausible, strings);
            RowBody::CostState(Box::new(CostState { session, usd, started: fields.start_time.count(), models }))
        }
        (Some(_), Scalar::Count(_) | Scalar::Number(_)) => RowBody::Implausible,
        _ => RowBody::Noted,
    }
}

fn session_title(fields: &RawRowFields<'_>, text: Word<'_>, by: TitleBy, strings: &mut Strings) -> RowBody {
    let text = text.word().filter(|title| !title.is_empty());
    match (fields.session.word().as_deref(), text) {
        (Some(session), Some(title)) => {
            RowBody::Title { session: SessionId(strings.get(session)), title: title::title(&title), by }
        }
        _ => RowBody::Noted,
    }
}

fn summary(fields: &RawRowFields<'_>) -> RowBody {
    match (row_id(fields.leaf), fields.summary.word().filter(|title| !title.is_empty())) {
        (Some(leaf), Some(text)) => RowBody::Summary { leaf, title: title::title(&text) },
        _ => RowBody::Noted,
    }
}

fn continued(fields: &RawRowFields<'_>, strings: &mut Strings) -> RowBody {
    match (fields.session.word().as_deref(), fields.continued_in.word().as_deref()) {
        (Some(session), Some(into)) if session != into => {
            RowBody::Continued { session: SessionId(strings.get(session)), into: SessionId(strings.get(into)) }
        }
        _ => RowBody::Noted,
    }
}

fn pull_request(fields: &RawRowFields<'_>, strings: &mut Strings) -> RowBody {
    let (session, url) = (fields.session.word(), fields.pull_request_url.word());
    let (Some(session), Some(number)) = (session, fields.pull_request.count()) else { return RowBody::Noted };
    let repository = fields.pull_request_repository.word();
    RowBody::PullRequest {
        session: SessionId(strings.get(&session)),
        time: time(fields.timestamp),
        what: PullRequest {
            number,
            url: title::title(url.as_deref().unwrap_or_default()),
            repository: repository.map(|name| title::title(&name)),
        },
    }
}

pub(super) fn assistant(fields: &mut RawRowFields<'_>, line: &[u8], strings: &mut Strings) -> Assistant {
    let message = std::mem::take(&mut fields.message);
    let request: Option<Box<str>> = fields.request.word().as_deref().map(id);
    // A response counts even if no field names its model.
    let requested_model = strings.field(Field::RequestedModel, fields.requested_model);
    let told = strings.field(Field::Model, message.model).or_else(|| requested_model.clone());
    let model = told.unwrap_or_else(|| strings.get("unknown"));
    let synthetic = &*model == "<synthetic>";
    let failed = synthetic && fields.api_failure.is_true();
    let identity: Box<str> = match (message.id.word().as_deref().filter(|id| !id.is_empty()), &request) {
        (Some(told), _) => id(told),
        (None, Some(request)) => request.clone(),
        (None, None) => match fields.uuid.text.word().as_deref() {
            Some(uuid) => id(uuid),
            None => RowId(xxh3_128(line)).to_string().into(),
        },
    };
    let unreadable_usage = message.usage.unreadable().filter(|_| !synthetic);
    let mut says = Says { thinking_ms: fields.thinking_ms.small().unwrap_or(0), ..Says::default() };
    says.text |= message.content.text.is_some();
    let (mut calls, mut server_tool) = (Vec::new(), None);
    for block in message.content.blocks {
        match block {
            MessageBlock::Call { id, name, input } => calls.extend(tool_call(id, name, &input, strings)),
            MessageBlock::Other { kind, .. } if kind.says("text") => says.text = true,
            MessageBlock::Other { kind, .. } if kind.says("thinking") || kind.says("redacted_thinking") => {
                says.thinking = true
            }
            MessageBlock::ServerCall { name } => {
                server_tool = Some(strings.get(name.word().as_deref().unwrap_or("unknown")))
            }
            MessageBlock::Other { .. } | MessageBlock::Result { .. } => {}
        }
    }
    Assistant {
        message: identity,
        identity: identity_by(message.id),
        request,
        model,
        requested_model,
        stop: stop_reason(message.stop, strings),
        usage: message.usage.usage,
        unreadable_usage,
        effort: fields
            .effort
            .word()
            .as_deref()
            .filter(|effort| !effort.is_empty())
            .map(|effort| strings.get(label(effort))),
        server_tool,
        calls,
        says,
        copied_from: strings.field(Field::CopiedFrom, fields.copied_from).map(SessionId),
        agent_type: strings.field(Field::AgentType, fields.agent_type),
        skill: strings.field(Field::Skill, fields.skill),
        synthetic,
        failure: failed.then(|| ApiError {
            status: status(fields.api_status.count()),
            retry_in_ms: 0,
            attempt: 0,
            last: true,
        }),
    }
}

/// `stop_reason`: why the model stopped.
pub(super) fn stop_reason(told: Word<'_>, strings: &mut Strings) -> Option<Stop> {
    told.word().as_deref().map(|stop| match stop {
        "end_turn" => Stop::EndTurn,
        "stop_sequence" => Stop::StopSequence,
        "max_tokens" => Stop::MaxTokens,
        "refusal" => Stop::Refusal,
        "tool_use" => Stop::ToolUse,
        other => Stop::Other(strings.get(label(other))),
    })
}

/// Where the id of a response comes from.
fn identity_by(told: Word<'_>) -> IdentityBy {
    match told.word().as_deref().filter(|id| !id.is_empty()) {
        Some(id) if is_vendors_id(id) => IdentityBy::Api,
        Some(_) => IdentityBy::Gateway,
        None => IdentityBy::Row,
    }
}

/// True for the forms of `message.id` that the API and the cloud vendors write: `msg_` and at least 20 letters or
/// digits, `msg_bdrk_`, `msg_vrtx_`. An id of another form was chosen by a gateway.
fn is_vendors_id(id: &str) -> bool {
    const DIGITS_MIN: usize = 20;
    let Some(rest) = id.strip_prefix("msg_") else { return false };
    let is_plain = rest.len() >= DIGITS_MIN && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_plain || rest.starts_with("bdrk_") || rest.starts_with("vrtx_")
}

fn tool_call(told: Word<'_>, name: Word<'_>, input: &CallInput<'_>, strings: &mut Strings) -> Option<ToolCall> {
    let words = input.words.as_deref();
    let skill = words.and_then(|words| words.skill.word()).filter(|_| name.says("Skill"));
    Some(ToolCall {
        id: id(told.word().as_deref().filter(|id| !id.is_empty())?),
        name: strings.field(Field::Tool, name).unwrap_or_else(|| strings.get("unknown")),
        agent_type: words.and_then(|words| words.agent_type.word()).map(|name| strings.get(&name)),
        prompt_hash: words.and_then(|words| words.prompt).map_or(0, |prompt| xxh3_64(prompt.text().as_bytes())),
        skill: skill.map(|name| strings.get(&name)),
        input: input.hash,
        file: input.file.hash,
        extension: input.file.extension().map(|extension| strings.get(extension)),
        extracts: None,
    })
}

pub(super) fn agent_meta(bytes: &[u8], session: &Arc<str>, agent: &Arc<str>, strings: &mut Strings) -> Record {
    let place = LinePlace { offset: 0, bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX) };
    let mut meta = RawAgentMeta::default();
    let body = match Json::whole(bytes, &mut meta) {
        Ok(()) => RowBody::AgentMeta(Box::new(AgentMeta {
            session: SessionId(Arc::clone(session)),
            agent: AgentId(Arc::clone(agent)),
            agent_type: strings.field(Field::AgentType, meta.agent_type),
            call: meta.call.word().as_deref().map(id),
            background: meta.shape.word().as_deref() == Some("background"),
        })),
        Err(_) => RowBody::Rejected(Reason::NotJson),
    };
    Record { place, body }
}
