//! Turns a line of a stream into the body of a record.

use xxhash_rust::xxh3::xxh3_128;

use super::marks::MARK;
use super::raw::{COUNT_MAX, RawLine};
use crate::transcript::fields::{id, label, row_id};
use crate::transcript::ids::{RowId, SessionId};
use crate::transcript::json::Json;
use crate::transcript::raw_cost::RawModelUsage;
use crate::transcript::record::{ApiError, Compaction, ModelCost, Origin, Reason, RowBody, RowKind, Said};
use crate::transcript::rows::{assistant, is_plausible, row_of, status, stop_reason};
use crate::transcript::said::user;
use crate::transcript::stream_line::{Mark, StreamLine, StreamResult, StreamUsage};
use crate::transcript::strings::{Field, Strings};
use crate::transcript::word::{Word, WordText};

/// Reads one line of a stream, without its newline. Never fails: an unreadable line is a [`RowBody::Rejected`].
pub(in crate::transcript) fn parse(line: &[u8], strings: &mut Strings) -> RowBody {
    let line = line.trim_ascii();
    match line.first() {
        None => return RowBody::Noted,
        Some(b'{') => {}
        Some(_) => {
            return RowBody::Rejected(if Json::is_valid(line) { Reason::NotAnObject } else { Reason::NotJson });
        }
    }
    let mut raw = RawLine::default();
    match Json::whole(line, &mut raw) {
        Ok(()) => body(&mut raw, line, strings),
        Err(_) => RowBody::Rejected(Reason::NotJson),
    }
}

/// A mark. Its fields are known as such behind its type; a mark whose type is further back is read again.
fn mark(raw: &RawLine<'_>, line: &[u8], strings: &mut Strings) -> RowBody {
    let mut again = RawLine { kind: Some(MARK.as_bytes().into()), ..RawLine::default() };
    let is_read = raw.mark.mark.word().is_some() || Json::whole(line, &mut again).is_err();
    let told = Mark::of(if is_read { &raw.mark } else { &again.mark }, strings);
    told.map_or_else(|| RowBody::Unknown(strings.get(MARK)), |mark| RowBody::Stream(Box::new(StreamLine::Mark(mark))))
}

fn body(raw: &mut RawLine<'_>, line: &[u8], strings: &mut Strings) -> RowBody {
    let kind = raw.kind.take();
    let session = strings.field(Field::Session, raw.row.session).map(SessionId);
    let told = match (kind.as_deref(), session) {
        (Some(kind), _) if kind == MARK.as_bytes() => return mark(raw, line, strings),
        (Some(b"assistant"), Some(_)) => {
            let kind = RowKind::Assistant(Box::new(assistant(&mut raw.row, line, strings)));
            return RowBody::Row(Box::new(row_of(&raw.row, kind, line, strings)));
        }
        (Some(b"user"), Some(session)) => return said(raw, session, line, strings),
        (Some(b"system"), Some(session)) => system(raw, session, line, strings),
        (Some(b"stream_event"), Some(session)) => usage(raw, session, strings),
        (Some(b"control_request"), _) => permission(raw),
        (Some(b"control_cancel_request"), _) => answered(raw.row.request),
        (Some(b"control_response"), _) => answered(raw.own.response.request_id),
        (Some(b"conversation_reset"), _) => Some(StreamLine::Reset),
        (Some(b"result"), Some(session)) => Some(StreamLine::Result(Box::new(result(raw, session, line, strings)))),
        (None, _) => return RowBody::Unknown(strings.get("none")),
        // Most types of lines only show what happens now; new ones come with every version of the client.
        _ => None,
    };
    told.map_or(RowBody::Noted, |told| RowBody::Stream(Box::new(told)))
}

/// A user row. A prompt is in the session file with more than the stream tells, so here it is no turn.
fn said(raw: &mut RawLine<'_>, session: SessionId, line: &[u8], strings: &mut Strings) -> RowBody {
    if let Some(meta) = raw.own.meta.first() {
        raw.row.decision.decision = meta.decision.decision;
        raw.row.decision.source = meta.decision.source;
        raw.row.denial_kind = meta.denial;
    }
    let mut user = user(&mut raw.row, strings);
    let is_prompt = matches!(user.said, Said::Prompt(Origin::Human | Origin::Sdk) | Said::ShellLine);
    if is_prompt && raw.own.replay.is_true() && raw.row.agent.is_none() {
        let time = super::raw::time_of(raw.row.timestamp);
        let (chars, command) = (user.text_chars, user.command);
        return RowBody::Stream(Box::new(StreamLine::Prompt { session, time, chars, command }));
    }
    if !matches!(user.said, Said::Results(_) | Said::Interrupt) {
        user.said = Said::Aside;
    }
    user.blocks.clear();
    RowBody::Row(Box::new(row_of(&raw.row, RowKind::User(user), line, strings)))
}

fn system(raw: &RawLine<'_>, session: SessionId, line: &[u8], strings: &mut Strings) -> Option<StreamLine> {
    let own_id = || row_id(raw.row.uuid).unwrap_or_else(|| RowId(xxh3_128(line)));
    Some(match raw.row.subtype.word().as_deref()? {
        "init" => StreamLine::Init {
            session,
            cwd: strings.field(Field::Folder, raw.row.cwd),
            version: strings.field(Field::Version, raw.own.client),
        },
        "status" if raw.own.status.says("requesting") => StreamLine::Requesting { session },
        "api_retry" => {
            let what = ApiError {
                status: status(raw.own.error_status.count()),
                retry_in_ms: raw.own.retry_in_ms.small().unwrap_or(0),
                attempt: raw.own.attempt.small().unwrap_or(0),
                last: false,
            };
            StreamLine::Retry { id: own_id(), session, what }
        }
        "compact_boundary" => {
            let told = &raw.own.compaction;
            let what = Compaction {
                manual: told.trigger.says("manual"),
                tokens_before: told.before.count().unwrap_or(0),
                tokens_after: told.after.count().unwrap_or(0),
                duration_ms: told.duration_ms.count().unwrap_or(0),
            };
            StreamLine::Compaction { id: own_id(), session, what }
        }
        _ => return None,
    })
}

/// The usage that a `stream_event` tells, of a response by its id.
fn usage(raw: &RawLine<'_>, session: SessionId, strings: &mut Strings) -> Option<StreamLine> {
    let event = &raw.own.event;
    let (message, told, stop) = if event.kind.says("message_start") {
        (event.message.id, &event.message.usage, None)
    } else if event.kind.says("message_delta") {
        (None, &event.usage, event.delta.stop)
    } else {
        return None;
    };
    let message = word(raw.own.message).or_else(|| word(message))?;
    let (usage, stop) = (told.usage.clone(), stop_reason(stop, strings));
    Some(StreamLine::Usage(Box::new(StreamUsage { session, message, usage, stop, ttft_ms: raw.own.ttft_ms.small() })))
}

fn permission(raw: &RawLine<'_>) -> Option<StreamLine> {
    let request = &raw.own.request;
    let call = word(request.call).filter(|_| request.subtype.says("can_use_tool"))?;
    Some(StreamLine::Permission { call, request: word(raw.row.request) })
}

fn answered(request: Word<'_>) -> Option<StreamLine> {
    Some(StreamLine::Answered { request: word(request)? })
}

fn result(raw: &RawLine<'_>, session: SessionId, line: &[u8], strings: &mut Strings) -> StreamResult {
    let own = &raw.own;
    let mut name = |word: Word<'_>| Some(strings.get(label(&word.word()?)));
    let (subtype, reason) = (name(raw.row.subtype), name(own.reason));
    let mut models = |told: &RawModelUsage| -> Vec<ModelCost> { told.models(is_plausible, strings) };
    StreamResult {
        id: row_id(raw.row.uuid).unwrap_or_else(|| RowId(xxh3_128(line))),
        session,
        index: own.index.small(),
        subtype: subtype.unwrap_or_else(|| "unknown".into()),
        is_error: own.is_error.is_true(),
        reason,
        turns: own.turns.small().unwrap_or(0),
        duration_ms: own.duration_ms.count().unwrap_or(0).min(COUNT_MAX),
        ttft_ms: own.ttft_ms.small(),
        usd: own.usd.number().filter(|usd| is_plausible(*usd)),
        models: models(&own.models),
        since: models(&own.since),
    }
}

/// A text that is an id.
fn word(told: Word<'_>) -> Option<Box<str>> {
    told.word().filter(|text| !text.is_empty()).map(|text| id(&text))
}
