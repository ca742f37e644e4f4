//! Bytes to records. Never fails: a line that cannot be read is a [`Body::Rejected`].

use std::sync::Arc;

use memchr::memchr_iter;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::chunk::{Chunk, FileRole};
use super::ids::{AgentId, RowId, SessionId};
use super::json::Json;
use super::raw::{Block, RawAgentMeta, RawInput, RawRow, RawRowFields, ResultText, Told, Word, WordText};
use super::record::{
    AgentMeta, ApiError, Assistant, Body, Compaction, CostState, Fallback, Hook, Kind, Origin, Outcome, Place,
    QueueStep, Reason, Record, Row, Said, Says, Stop, ToolCall, ToolResult, User,
};
use super::split;
use super::strings::Field;
pub use super::strings::Strings;
use super::text::{Lead, TextFacts};
use super::time::Timestamp;
use super::title;

/// The records of one chunk, in order.
#[derive(Debug, Default)]
pub struct Batch {
    /// Everything that counts or was rejected; lines of known types without anything to count are left out.
    pub records: Vec<Record>,
    /// Lines seen, without blank ones.
    pub lines: u64,
}

/// Reads the whole lines of a chunk.
#[must_use]
pub fn read(chunk: &Chunk) -> Batch {
    let mut records = Vec::new();
    let lines = each(chunk, &mut Strings::default(), |record| records.push(record));
    Batch { records, lines }
}

/// Reads the whole lines of a chunk and gives each record to `take`, in order. Returns the lines seen, without blank
/// ones.
pub fn each(chunk: &Chunk, strings: &mut Strings, mut take: impl FnMut(Record)) -> u64 {
    if let FileRole::AgentMeta { session, agent } = &chunk.role {
        take(agent_meta(&chunk.bytes, session, agent, strings));
        return 1;
    }
    let mut lines = 0;
    let mut start = 0;
    for newline in memchr_iter(b'\n', &chunk.bytes) {
        let line = chunk.bytes.get(start..newline).unwrap_or_default();
        let place = Place { offset: chunk.offset + start as u64, bytes: u32::try_from(line.len()).unwrap_or(u32::MAX) };
        start = newline + 1;
        lines += u64::from(line.iter().any(|byte| *byte != 0 && !byte.is_ascii_whitespace()));
        match parse(line, strings) {
            Body::Noted => {}
            body => split::records(place, body, &mut take),
        }
    }
    for _ in 0..chunk.too_long_lines {
        lines += 1;
        take(Record { place: Place::default(), body: Body::Rejected(Reason::TooLong) });
    }
    lines
}

/// An id as it is kept: one that is longer than any real id, by its hash.
fn id(text: &str) -> Box<str> {
    const BYTES_MAX: usize = 256;
    if text.len() <= BYTES_MAX { text.into() } else { format!("hash-{:032x}", xxh3_128(text.as_bytes())).into() }
}

/// Reads one line without its newline.
#[must_use]
pub fn parse(line: &[u8], strings: &mut Strings) -> Body {
    // After a crash the client's own reader strips NUL bytes from the beginning of a line.
    let line = line.trim_ascii_start();
    let line = line.iter().position(|&byte| byte != 0).map_or(&[][..], |at| line.get(at..).unwrap_or_default());
    match line.trim_ascii_start().first() {
        None => return Body::Noted,
        Some(b'{') => {}
        Some(_) => {
            return Body::Rejected(if Json::is_valid(line) { Reason::NotAnObject } else { Reason::NotJson });
        }
    }
    // The client reads with replacement characters: a broken byte in some tool's output must not lose its tokens.
    let mut row = RawRow::default();
    match Json::whole(line, &mut row) {
        Ok(()) => body(&mut row, line, strings),
        Err(_) => Body::Rejected(Reason::NotJson),
    }
}

/// Replaces `\uD800`..`\uDFFF` escapes that have no partner; `None` if there are none.
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

fn body(row: &mut RawRow<'_>, line: &[u8], strings: &mut Strings) -> Body {
    if row.noted {
        return Body::Noted;
    }
    let fields = &mut row.fields;
    let kind = match row.kind.as_deref() {
        Some(b"assistant") => Kind::Assistant(Box::new(assistant(fields, line, strings))),
        Some(b"user") => Kind::User(user(fields, strings)),
        Some(b"system") => system(fields, strings),
        Some(b"attachment") => match hook(fields, strings) {
            Some(hook) => Kind::Hook(hook),
            None => return Body::Noted,
        },
        Some(b"api-request") => {
            return time(fields.timestamp).map_or(Body::Noted, |time| Body::ApiRequest { time });
        }
        Some(b"queue-operation") => return queue(fields),
        Some(b"cost-state") => return cost_state(fields, strings),
        Some(b"custom-title" | b"ai-title") => return session_title(fields, strings),
        Some(kind) => return Body::Unknown(strings.get(label(&String::from_utf8_lossy(kind)))),
        None => return Body::Unknown(strings.get("none")),
    };
    Body::Row(Box::new(Row {
        id: row_id(fields.uuid).unwrap_or_else(|| RowId(xxh3_128(line))),
        parent: row_id(fields.parent),
        session: strings.field(Field::Session, fields.session).map(SessionId),
        agent: strings.field(Field::Agent, fields.agent).map(AgentId),
        sidechain: fields.sidechain.is_true(),
        time: time(fields.timestamp),
        cwd: strings.field(Field::Folder, fields.cwd),
        branch: strings.field(Field::Branch, fields.branch),
        version: strings.field(Field::Version, fields.version),
        entrypoint: strings.field(Field::Entrypoint, fields.entrypoint),
        kind,
    }))
}

fn row_id(told: Told<'_, RowId>) -> Option<RowId> {
    told.value.or_else(|| told.text.word().as_deref().map(RowId::of))
}

fn time(told: Told<'_, Timestamp>) -> Option<Timestamp> {
    told.value.or_else(|| Timestamp::parse(&told.text.word()?))
}

/// A type as a label value: only short words, since a damaged row may hold anything.
fn label(kind: &str) -> &str {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    if kind.len() <= 40 && kind.bytes().next().is_some_and(|first| first.is_ascii_lowercase()) && kind.bytes().all(word)
    {
        kind
    } else {
        "other"
    }
}

fn system(fields: &RawRowFields<'_>, strings: &mut Strings) -> Kind {
    match fields.subtype.word().as_deref() {
        Some("api_error") => Kind::ApiError(ApiError {
            status: status(fields.error.status.count()),
            retry_in_ms: fields.retry_in_ms.small().unwrap_or(0),
            attempt: fields.retry_attempt.small().unwrap_or(0),
            last: false,
        }),
        Some("compact_boundary") => Kind::Compaction(Compaction {
            manual: fields.compaction.trigger.word().as_deref() == Some("manual"),
            tokens_before: fields.compaction.before.count().unwrap_or(0),
            tokens_after: fields.compaction.after.count().unwrap_or(0),
            duration_ms: fields.compaction.duration_ms.count().unwrap_or(0),
        }),
        Some("model_fallback") => {
            let mut word = |text: Word<'_>| strings.get(text.word().as_deref().unwrap_or("unknown"));
            Kind::Fallback(Fallback {
                trigger: word(fields.trigger),
                from: word(fields.original_model),
                to: word(fields.fallback_model),
            })
        }
        Some("turn_duration") => fields.duration_ms.count().map_or(Kind::Other, Kind::TurnDuration),
        _ => Kind::Other,
    }
}

/// Of the attachments only hooks matter.
fn hook(fields: &RawRowFields<'_>, strings: &mut Strings) -> Option<Hook> {
    let attachment = &fields.attachment;
    if attachment.kind.word().as_deref() != Some("hook_success") {
        return None;
    }
    Some(Hook {
        name: strings.get(attachment.name.word().as_deref().unwrap_or("unknown")),
        event: strings.get(attachment.event.word().as_deref().unwrap_or("unknown")),
        call: attachment.call.word().as_deref().filter(|call| !call.is_empty()).map(id),
        duration_ms: attachment.duration_ms.count().unwrap_or(0),
        exit_code: attachment.exit_code.count().and_then(|code| i32::try_from(code).ok()),
    })
}

fn status(count: Option<u64>) -> Option<u16> {
    count.and_then(|status| u16::try_from(status).ok()).filter(|status| (100..=999).contains(status))
}

fn queue(fields: &RawRowFields<'_>) -> Body {
    let Some(time) = time(fields.timestamp) else { return Body::Noted };
    let step = match fields.operation.word().as_deref() {
        Some("enqueue") => QueueStep::Enqueue,
        Some("dequeue") => QueueStep::Dequeue,
        _ => QueueStep::Other,
    };
    Body::Queue { step, time }
}

fn cost_state(fields: &RawRowFields<'_>, strings: &mut Strings) -> Body {
    match (fields.session.word().as_deref(), fields.cost_usd.number()) {
        (Some(session), Some(usd)) if usd >= 0.0 => {
            Body::CostState(Box::new(CostState { session: SessionId(strings.get(session)), usd }))
        }
        _ => Body::Noted,
    }
}

fn session_title(fields: &RawRowFields<'_>, strings: &mut Strings) -> Body {
    let custom = fields.custom_title;
    let text = custom.or(fields.ai_title).word().filter(|title| !title.is_empty());
    match (fields.session.word().as_deref(), text) {
        (Some(session), Some(title)) => Body::Title {
            session: SessionId(strings.get(session)),
            title: title::title(&title),
            custom: custom.is_some(),
        },
        _ => Body::Noted,
    }
}

fn assistant(fields: &mut RawRowFields<'_>, line: &[u8], strings: &mut Strings) -> Assistant {
    let message = std::mem::take(&mut fields.message);
    let request: Option<Box<str>> = fields.request.word().as_deref().map(id);
    // A response counts even if nobody says which model gave it.
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
    let mut says = Says { thinking_ms: fields.thinking_ms.small().unwrap_or(0), ..Says::default() };
    says.text |= message.content.text.is_some();
    let mut calls = Vec::new();
    for block in message.content.blocks {
        match block {
            Block::Call { id, name, input } => calls.extend(tool_call(id, name, &input.unwrap_or_default(), strings)),
            Block::Other { kind, .. } if kind.says("text") => says.text = true,
            Block::Other { kind, .. } if kind.says("thinking") || kind.says("redacted_thinking") => {
                says.thinking = true
            }
            Block::Other { .. } | Block::Result { .. } => {}
        }
    }
    Assistant {
        message: identity,
        request,
        model,
        requested_model,
        stop: message.stop.word().as_deref().map(|stop| match stop {
            "end_turn" => Stop::EndTurn,
            "stop_sequence" => Stop::StopSequence,
            "max_tokens" => Stop::MaxTokens,
            "refusal" => Stop::Refusal,
            "tool_use" => Stop::ToolUse,
            other => Stop::Other(strings.get(label(other))),
        }),
        usage: message.usage,
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

fn tool_call(told: Word<'_>, name: Word<'_>, input: &RawInput<'_>, strings: &mut Strings) -> Option<ToolCall> {
    Some(ToolCall {
        id: id(told.word().as_deref().filter(|id| !id.is_empty())?),
        name: strings.field(Field::Tool, name).unwrap_or_else(|| strings.get("unknown")),
        agent_type: input.agent_type.word().as_deref().map(|name| strings.get(name)),
        prompt_hash: input.prompt.map_or(0, |prompt| xxh3_64(prompt.text().as_bytes())),
        skill: input.skill.word().as_deref().filter(|_| name.says("Skill")).map(|name| strings.get(name)),
    })
}

fn user(fields: &mut RawRowFields<'_>, strings: &mut Strings) -> User {
    let content = std::mem::take(&mut fields.message.content);
    let text = content.text.or_else(|| content.blocks.iter().find_map(Block::text));
    let text = text.map(|text| TextFacts::of(&text.text())).unwrap_or_default();
    let mut results: Vec<ToolResult> = content
        .blocks
        .iter()
        .filter_map(|block| match block {
            Block::Result { call, is_error, result, .. } => tool_result(*call, *is_error, result, fields),
            _ => None,
        })
        .collect();
    // Beside several results one `toolUseResult` cannot be told whose it is: the numbers go to the first.
    if let Some(first) = results.first_mut() {
        (first.lines_added, first.lines_removed) = fields.result.lines_changed();
        first.searches = fields.result.searches;
        first.agent = fields.result.agent.word().as_deref().map(|agent| AgentId(id(agent).into()));
    }
    let aside = fields.meta.is_true() || fields.compact_summary.is_true() || fields.transcript_only.is_true() || {
        // A custom command reaches the model: its row says which turn it starts.
        text.lead == Lead::LocalCommand && fields.turn_origin.is_none()
    };
    let said = if !results.is_empty() {
        Said::Results(results)
    } else if fields.message.role.is_none() && content.text.is_none() && content.blocks.is_empty() || aside {
        Said::Aside
    } else if text.lead == Lead::Interrupted {
        Said::Interrupt
    } else {
        Said::Prompt(origin(fields, text.lead))
    };
    User {
        prompt_id: row_id(fields.prompt_id),
        turn_index: fields.turn_position.index.small(),
        said,
        text_hash: text.hash,
        text_chars: text.chars,
        command: text.command.name().map(|name| strings.get(name)),
    }
}

fn origin(fields: &RawRowFields<'_>, lead: Lead) -> Origin {
    let told = fields.turn_origin.or(fields.prompt_source).or(fields.origin.kind);
    match told.word().as_deref() {
        Some("sdk") => Origin::Sdk,
        Some("task_notification" | "task-notification") => Origin::TaskNotification,
        _ if lead == Lead::TaskNotification => Origin::TaskNotification,
        None if fields.entrypoint.word().as_deref().is_some_and(|entry| entry.starts_with("sdk")) => Origin::Sdk,
        _ => Origin::Human,
    }
}

/// What a block says; of what `toolUseResult` beside it says, only what goes for all results.
fn tool_result(call: Word<'_>, is_error: bool, told: &ResultText<'_>, fields: &RawRowFields<'_>) -> Option<ToolResult> {
    let lead = Lead::of(told.first);
    Some(ToolResult {
        call: id(call.word().as_deref().filter(|id| !id.is_empty())?),
        outcome: outcome(is_error, lead, fields),
        filled_in: fields.denial_kind.word().as_deref() == Some("interrupted") || lead == Lead::SessionEnded,
        bytes: told.bytes,
        exit_code: match lead {
            Lead::ExitCode(code) if is_error => Some(code),
            _ => None,
        },
        decision: fields.decision.source.word().as_deref().map(|source| label(source).into()),
        agent: None,
        background: fields.result.background,
        lines_added: 0,
        lines_removed: 0,
        searches: 0,
    })
}

/// The table of `claude-code-format.md` section 4, "Tool result outcome".
fn outcome(is_error: bool, lead: Lead, fields: &RawRowFields<'_>) -> Outcome {
    let rejected = fields.decision.decision.says("reject");
    match fields.denial_kind.word().as_deref() {
        Some("interrupted") => Outcome::Interrupted,
        // The same kind and text stand for "no" and for an interrupt while the tool ran.
        Some("user-rejected") if !fields.denied_before_run.is_true() && !rejected => Outcome::Interrupted,
        Some(_) => Outcome::Denied,
        None => match lead {
            Lead::Interrupted | Lead::SessionEnded if is_error => Outcome::Interrupted,
            Lead::Denied if is_error => Outcome::Denied,
            _ if is_error => Outcome::Failed,
            _ => Outcome::Ok,
        },
    }
}

fn agent_meta(bytes: &[u8], session: &Arc<str>, agent: &Arc<str>, strings: &mut Strings) -> Record {
    let place = Place { offset: 0, bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX) };
    let mut meta = RawAgentMeta::default();
    let body = match Json::whole(bytes, &mut meta) {
        Ok(()) => Body::AgentMeta(Box::new(AgentMeta {
            session: SessionId(Arc::clone(session)),
            agent: AgentId(Arc::clone(agent)),
            agent_type: strings.field(Field::AgentType, meta.agent_type),
            call: meta.call.word().as_deref().map(id),
            background: meta.shape.word().as_deref() == Some("background"),
        })),
        Err(_) => Body::Rejected(Reason::NotJson),
    };
    Record { place, body }
}
