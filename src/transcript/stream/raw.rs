//! A line of a stream as it is written. Keys that differ from those of session files are read under their names there.

use std::borrow::Cow;

use crate::transcript::json::{Fields, Json, ReadJson, Scalar};
use crate::transcript::raw::{RawRowFields, ToldText, texts};
use crate::transcript::raw_cost::RawModelUsage;
use crate::transcript::raw_usage::RawUsage;
use crate::transcript::time::Timestamp;
use crate::transcript::word::{Word, WordText};

/// Most milliseconds, lines or bytes that a line may tell, so that sums of them cannot overflow.
pub(super) const COUNT_MAX: u64 = 1 << 40;

/// A line: the fields that it has in common with rows of session files, and its own.
#[derive(Default)]
pub(super) struct RawLine<'de> {
    pub kind: Option<Cow<'de, [u8]>>,
    pub row: RawRowFields<'de>,
    pub own: RawOwn<'de>,
    pub mark: RawMark<'de>,
}

texts! {
    /// Fields that only streams have.
    RawOwn {
        replay: Scalar = b"isReplay",
        status: Word<'de> = b"status",
        client: Word<'de> = b"claude_code_version",
        event: RawEvent<'de> = b"event",
        message: Word<'de> = b"api_message_id",
        ttft_ms: Scalar = b"ttft_ms",
        request: RawRequest<'de> = b"request",
        response: RawResponse<'de> = b"response",
        compaction: RawBoundary<'de> = b"compact_metadata",
        attempt: Scalar = b"attempt",
        retry_in_ms: Scalar = b"retry_delay_ms",
        error_status: Scalar = b"error_status",
        index: Scalar = b"result_index",
        is_error: Scalar = b"is_error",
        reason: Word<'de> = b"terminal_reason",
        turns: Scalar = b"num_turns",
        duration_ms: Scalar = b"duration_ms",
        usd: Scalar = b"total_cost_usd",
        models: RawModelUsage = b"modelUsage",
        since: RawModelUsage = b"model_usage_since_last_result",
        meta: Vec<RawResultMeta<'de>> = b"tool_result_meta",
    }
    /// `event` of a `stream_event`.
    RawEvent {
        kind: Word<'de> = b"type",
        message: RawStarted<'de> = b"message",
        delta: RawDelta<'de> = b"delta",
        usage: RawUsage = b"usage",
    }
    /// `message` of `message_start`.
    RawStarted { id: Word<'de> = b"id", usage: RawUsage = b"usage" }
    /// `delta` of `message_delta`.
    RawDelta { stop: Word<'de> = b"stop_reason" }
    /// `request` of a `control_request`.
    RawRequest { subtype: Word<'de> = b"subtype", call: Word<'de> = b"tool_use_id" }
    /// `response` of a `control_response`.
    RawResponse { request_id: Word<'de> = b"request_id" }
    /// `compact_metadata`.
    RawBoundary {
        trigger: Word<'de> = b"trigger",
        before: Scalar = b"pre_tokens",
        after: Scalar = b"post_tokens",
        duration_ms: Scalar = b"duration_ms",
    }
    /// One of `tool_result_meta`.
    RawResultMeta { decision: RawDecided<'de> = b"permission_decision", denial: Word<'de> = b"non_execution_kind" }
    /// `permission_decision`.
    RawDecided { decision: Word<'de> = b"decision", source: Word<'de> = b"source" }
    /// A line that the client did not write.
    RawMark {
        mark: Word<'de> = b"mark",
        run: Word<'de> = b"run",
        workflow: Word<'de> = b"workflow",
        labels: RawLabels<'de> = b"labels",
        at: ToldText<'de, Timestamp> = b"at",
        by: Word<'de> = b"by",
        caller: Word<'de> = b"traceparent",
        span: Scalar = b"span",
        lines: Scalar = b"lines",
        bytes: Scalar = b"bytes",
        torn: Scalar = b"torn_bytes",
    }
}

/// Labels of a run.
#[derive(Default)]
pub(super) struct RawLabels<'de> {
    pub pairs: Vec<(String, Cow<'de, str>)>,
}

impl<'de> Fields<'de> for RawLabels<'de> {
    fn field(&mut self, key: &[u8], json: &mut Json<'de>) -> ReadJson<()> {
        /// Most labels of a run; the command takes no more.
        const LABELS_MAX: usize = 32;
        let value: Word<'de> = json.value()?;
        if let Some(value) = value.word().filter(|_| self.pairs.len() < LABELS_MAX) {
            self.pairs.push((String::from_utf8_lossy(key).into_owned(), value));
        }
        Ok(())
    }
}

/// The key that session files use for a key of a stream; `None` for a key that means the same on both sides, or that only
/// streams have.
const fn key_in_files(key: &[u8]) -> Option<&'static [u8]> {
    Some(match key {
        b"session_id" => b"sessionId",
        b"agent_id" => b"agentId",
        b"subagent_type" => b"attributionAgent",
        b"request_id" => b"requestId",
        b"tool_use_result" => b"toolUseResult",
        b"thinking_duration_ms" => b"thinkingDurationMs",
        b"is_api_error_message" => b"isApiErrorMessage",
        b"api_error_status" => b"apiErrorStatus",
        b"isSynthetic" => b"isMeta",
        _ => return None,
    })
}

/// Keys that mean the same in session files and in streams.
const fn is_in_both(key: &[u8]) -> bool {
    matches!(
        key,
        b"uuid" | b"timestamp" | b"message" | b"subtype" | b"cwd" | b"trigger" | b"origin" | b"parent_tool_use_id"
    )
}

impl<'de> Fields<'de> for RawLine<'de> {
    fn field(&mut self, key: &[u8], json: &mut Json<'de>) -> ReadJson<()> {
        if key == b"type" {
            let kind: Word<'de> = json.value()?;
            self.kind = kind.map(|raw| match raw.escaped() {
                true => Cow::Owned(raw.text().into_owned().into_bytes()),
                false => Cow::Borrowed(raw.bytes),
            });
            return Ok(());
        }
        if let Some(key) = key_in_files(key) {
            return self.row.field(key, json);
        }
        if is_in_both(key) {
            return self.row.field(key, json);
        }
        match self.kind.as_deref() {
            Some(b"tailspan") => self.mark.field(key, json),
            _ => self.own.field(key, json),
        }
    }
}

/// The time that a text is.
pub(super) fn time_of(told: ToldText<'_, Timestamp>) -> Option<Timestamp> {
    told.value.or_else(|| Timestamp::parse(&told.text.word()?))
}
