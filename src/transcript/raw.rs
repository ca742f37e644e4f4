//! A row as it is written: every field that matters, none required, all else skipped.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::json::{Fields, List, Object, Scalar, Text, skip};
use super::text::TextFacts;
use super::usage::Usage;

/// Types that hold nothing to count; their other fields are not even looked at.
const NOTED: [&str; 47] = [
    "api-request-shape",
    "api-request-blob",
    "api-request-resumed",
    "last-prompt",
    "mode",
    "permission-mode",
    "tools-used",
    "atis-latch",
    "agent-name",
    "file-history-snapshot",
    "file-history-delta",
    "summary",
    "tag",
    "relocated",
    "agent-color",
    "agent-setting",
    "pr-link",
    "frame-link",
    "ended-by-model",
    "continued-in",
    "derived-from",
    "fork-context-ref",
    "observer-ref",
    "resume-head-vouch",
    "attribution-snapshot",
    "content-replacement",
    "worktree-state",
    "bridge-session",
    "session-owner",
    "isolation-latch",
    "memory-mode",
    "history-suppression",
    "data-flow-records",
    "data-flow-incomplete",
    "dev-mods",
    "repl-mode",
    "hybrid-organization",
    "host-row",
    "progress",
    "speculation-accept",
    "saved_hook_context",
    "started",
    "result",
    "task-summary",
    "marble-origami-commit",
    "marble-origami-snapshot",
    "branch",
];

/// True for types that the client is known to write and that hold nothing to count.
pub(super) fn is_noted(kind: &str) -> bool {
    NOTED.contains(&kind) || kind.starts_with("artifact-")
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty = $key:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Default)]
        pub(super) struct $name<'de> {
            $(pub $field: $kind,)*
            pub life: std::marker::PhantomData<&'de ()>,
        }

        impl<'de> Fields<'de> for $name<'de> {
            fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
                match key {
                    $($key => self.$field = <$kind as FromMap>::from_map(map)?,)*
                    _ => skip(map)?,
                }
                Ok(())
            }
        }
    )*};
}

/// How a field's value is taken out of a map.
pub(super) trait FromMap<'de>: Sized {
    fn from_map<A: MapAccess<'de>>(map: &mut A) -> Result<Self, A::Error>;
}

impl<'de> FromMap<'de> for Option<Cow<'de, str>> {
    fn from_map<A: MapAccess<'de>>(map: &mut A) -> Result<Self, A::Error> {
        map.next_value::<Text<'de>>().map(|text| text.0)
    }
}

impl<'de> FromMap<'de> for Scalar {
    fn from_map<A: MapAccess<'de>>(map: &mut A) -> Result<Self, A::Error> {
        map.next_value()
    }
}

impl<'de> FromMap<'de> for Content<'de> {
    fn from_map<A: MapAccess<'de>>(map: &mut A) -> Result<Self, A::Error> {
        map.next_value()
    }
}

macro_rules! take_object {
    ($($name:ty),*) => {$(
        impl<'de> FromMap<'de> for $name {
            fn from_map<A: MapAccess<'de>>(map: &mut A) -> Result<Self, A::Error> {
                map.next_value::<Object<Self>>().map(|object| object.0)
            }
        }
    )*};
}

take_object!(
    RawMessage<'de>,
    RawResult<'de>,
    RawDecision<'de>,
    RawKind<'de>,
    RawPosition<'de>,
    RawError<'de>,
    RawCompaction<'de>,
    RawAttachment<'de>,
    RawInput<'de>,
    Usage
);

pub(super) type Word<'de> = Option<Cow<'de, str>>;

texts! {
    /// The whole line. [`Fields`] is written by hand only for `type`, which may make all else skippable.
    RawRowFields {
        uuid: Word<'de> = "uuid",
        parent: Word<'de> = "parentUuid",
        session: Word<'de> = "sessionId",
        agent: Word<'de> = "agentId",
        sidechain: Scalar = "isSidechain",
        timestamp: Word<'de> = "timestamp",
        cwd: Word<'de> = "cwd",
        branch: Word<'de> = "gitBranch",
        version: Word<'de> = "version",
        entrypoint: Word<'de> = "entrypoint",
        message: RawMessage<'de> = "message",
        request: Word<'de> = "requestId",
        requested_model: Word<'de> = "requestedModel",
        copied_from: Word<'de> = "requestSessionId",
        agent_type: Word<'de> = "attributionAgent",
        skill: Word<'de> = "attributionSkill",
        thinking_ms: Scalar = "thinkingDurationMs",
        api_failure: Scalar = "isApiErrorMessage",
        api_status: Scalar = "apiErrorStatus",
        prompt_id: Word<'de> = "promptId",
        prompt_source: Word<'de> = "promptSource",
        turn_origin: Word<'de> = "turnOrigin",
        origin: RawKind<'de> = "origin",
        turn_position: RawPosition<'de> = "turnPosition",
        meta: Scalar = "isMeta",
        compact_summary: Scalar = "isCompactSummary",
        transcript_only: Scalar = "isVisibleInTranscriptOnly",
        result: RawResult<'de> = "toolUseResult",
        denial_kind: Word<'de> = "toolDenialKind",
        denied_before_run: Scalar = "toolDenialBeforeRun",
        decision: RawDecision<'de> = "permissionDecision",
        subtype: Word<'de> = "subtype",
        error: RawError<'de> = "error",
        retry_in_ms: Scalar = "retryInMs",
        retry_attempt: Scalar = "retryAttempt",
        compaction: RawCompaction<'de> = "compactMetadata",
        duration_ms: Scalar = "durationMs",
        trigger: Word<'de> = "trigger",
        original_model: Word<'de> = "originalModel",
        fallback_model: Word<'de> = "fallbackModel",
        attachment: RawAttachment<'de> = "attachment",
        cost_usd: Scalar = "totalCostUSD",
        custom_title: Word<'de> = "customTitle",
        ai_title: Word<'de> = "aiTitle",
        operation: Word<'de> = "operation",
    }
    /// `message`.
    RawMessage {
        id: Word<'de> = "id",
        role: Word<'de> = "role",
        model: Word<'de> = "model",
        stop: Word<'de> = "stop_reason",
        usage: Usage = "usage",
        content: Content<'de> = "content",
    }
    /// `permissionDecision`.
    RawDecision { decision: Word<'de> = "decision", source: Word<'de> = "source" }
    /// `origin`.
    RawKind { kind: Word<'de> = "kind" }
    /// `turnPosition`.
    RawPosition { index: Scalar = "turnIndex" }
    /// `error` of `system/api_error`.
    RawError { status: Scalar = "status" }
    /// `compactMetadata`.
    RawCompaction {
        trigger: Word<'de> = "trigger",
        before: Scalar = "preTokens",
        after: Scalar = "postTokens",
        duration_ms: Scalar = "durationMs",
    }
    /// `attachment`.
    RawAttachment {
        kind: Word<'de> = "type",
        name: Word<'de> = "hookName",
        event: Word<'de> = "hookEvent",
        call: Word<'de> = "toolUseID",
        duration_ms: Scalar = "durationMs",
        exit_code: Scalar = "exitCode",
    }
    /// `input` of a `tool_use`.
    RawInput { agent_type: Word<'de> = "subagent_type", prompt: Word<'de> = "prompt", skill: Word<'de> = "skill" }
    /// `agent-<id>.meta.json`.
    RawAgentMeta {
        agent_type: Word<'de> = "agentType",
        call: Word<'de> = "toolUseId",
        shape: Word<'de> = "requestShape",
    }
}

/// A line: [`RawRowFields`], left as soon as its type shows that nothing in it counts.
#[derive(Default)]
pub(super) struct RawRow<'de> {
    pub kind: Word<'de>,
    pub noted: bool,
    pub fields: RawRowFields<'de>,
}

impl<'de> Fields<'de> for RawRow<'de> {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        if key == "type" {
            self.kind = Word::from_map(map)?;
            self.noted = self.kind.as_deref().is_some_and(is_noted);
            return Ok(());
        }
        if self.noted { skip(map) } else { self.fields.field(key, map) }
    }
}

/// `message.content`: a string, a list of blocks, or nothing.
#[derive(Default)]
pub(super) struct Content<'de> {
    pub text: Option<TextFacts>,
    pub blocks: Vec<RawBlock<'de>>,
}

impl<'de> Deserialize<'de> for Content<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ContentVisitor;
        impl<'de> Visitor<'de> for ContentVisitor {
            type Value = Content<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_str<E>(self, text: &str) -> Result<Content<'de>, E> {
                Ok(Content { text: Some(TextFacts::of(text)), blocks: Vec::new() })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Content<'de>, A::Error> {
                let mut blocks = Vec::new();
                while let Some(Object(block)) = seq.next_element()? {
                    blocks.push(block);
                }
                Ok(Content { text: None, blocks })
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Content::default())
            }
            fn visit_bool<E>(self, _: bool) -> Result<Content<'de>, E> {
                Ok(Content::default())
            }
            fn visit_u64<E>(self, _: u64) -> Result<Content<'de>, E> {
                Ok(Content::default())
            }
            fn visit_i64<E>(self, _: i64) -> Result<Content<'de>, E> {
                Ok(Content::default())
            }
            fn visit_f64<E>(self, _: f64) -> Result<Content<'de>, E> {
                Ok(Content::default())
            }
            fn visit_unit<E>(self) -> Result<Content<'de>, E> {
                Ok(Content::default())
            }
        }
        deserializer.deserialize_any(ContentVisitor)
    }
}

/// One block of a message.
#[derive(Default)]
pub(super) struct RawBlock<'de> {
    pub kind: Word<'de>,
    pub id: Word<'de>,
    pub name: Word<'de>,
    pub call: Word<'de>,
    pub is_error: bool,
    pub text: Option<TextFacts>,
    pub input: RawInput<'de>,
    /// The first text of a result and the bytes of all its texts.
    pub result: ResultText,
}

impl<'de> Fields<'de> for RawBlock<'de> {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "type" => self.kind = Word::from_map(map)?,
            "id" => self.id = Word::from_map(map)?,
            "name" => self.name = Word::from_map(map)?,
            "tool_use_id" => self.call = Word::from_map(map)?,
            "is_error" => self.is_error = Scalar::from_map(map)?.is_true(),
            "text" => self.text = map.next_value::<Object<TextOnly>>()?.0.0,
            "input" => self.input = RawInput::from_map(map)?,
            "content" => self.result = map.next_value::<Object<ResultText>>()?.0,
            _ => skip(map)?,
        }
        Ok(())
    }
}

/// A string's facts.
#[derive(Default)]
struct TextOnly(Option<TextFacts>);

impl<'de> Fields<'de> for TextOnly {
    fn field<A: MapAccess<'de>>(&mut self, _: &str, map: &mut A) -> Result<(), A::Error> {
        skip(map)
    }

    fn text(&mut self, text: &str) {
        self.0 = Some(TextFacts::of(text));
    }
}

/// `content` of a `tool_result`: a string or a list of blocks with texts.
#[derive(Default)]
pub(super) struct ResultText {
    pub first: TextFacts,
    pub bytes: u64,
}

impl<'de> Fields<'de> for ResultText {
    fn field<A: MapAccess<'de>>(&mut self, _: &str, map: &mut A) -> Result<(), A::Error> {
        skip(map)
    }

    fn text(&mut self, text: &str) {
        self.first = TextFacts::of(text);
        self.bytes = self.first.bytes;
    }

    fn array<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<(), A::Error> {
        while let Some(Object(TextBlock(text))) = seq.next_element()? {
            if let Some(text) = text {
                if self.bytes == 0 {
                    self.first = text;
                }
                self.bytes += text.bytes;
            }
        }
        Ok(())
    }
}

/// A block of which only the text is wanted.
#[derive(Default)]
struct TextBlock(Option<TextFacts>);

impl<'de> Fields<'de> for TextBlock {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        if key == "text" {
            self.0 = map.next_value::<Object<TextOnly>>()?.0.0;
            return Ok(());
        }
        skip(map)
    }
}

/// `toolUseResult` where it is an object.
#[derive(Default)]
pub(super) struct RawResult<'de> {
    pub agent: Word<'de>,
    pub background: bool,
    pub patch: Vec<Hunk>,
    pub created: bool,
    pub searches: u32,
    /// Lines of `content`, of a file written whole.
    pub content_lines: u32,
}

impl<'de> Fields<'de> for RawResult<'de> {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "agentId" => self.agent = Word::from_map(map)?,
            "searchCount" => self.searches = Scalar::from_map(map)?.small().unwrap_or(0),
            "isAsync" => self.background |= Scalar::from_map(map)?.is_true(),
            "status" => self.background |= Word::from_map(map)?.as_deref() == Some("async_launched"),
            "structuredPatch" => self.patch = map.next_value::<List<Hunk>>()?.0,
            "type" => self.created = Word::from_map(map)?.as_deref() == Some("create"),
            "content" => {
                let lines = map.next_value::<Object<LineCount>>()?.0;
                self.content_lines = lines.0;
            }
            _ => skip(map)?,
        }
        Ok(())
    }
}

/// Lines of a text as the client counts them: pieces between newlines.
#[derive(Default)]
struct LineCount(u32);

impl<'de> Fields<'de> for LineCount {
    fn field<A: MapAccess<'de>>(&mut self, _: &str, map: &mut A) -> Result<(), A::Error> {
        skip(map)
    }

    fn text(&mut self, text: &str) {
        let newlines = memchr::memchr_iter(b'\n', text.as_bytes()).count();
        self.0 = u32::try_from(newlines + 1).unwrap_or(u32::MAX);
    }
}

/// One hunk of a `structuredPatch`.
#[derive(Default)]
pub(super) struct Hunk {
    pub added: u32,
    pub removed: u32,
}

impl<'de> Fields<'de> for Hunk {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        if key != "lines" {
            return skip(map);
        }
        let PatchLines { added, removed } = map.next_value::<Object<PatchLines>>()?.0;
        (self.added, self.removed) = (added, removed);
        Ok(())
    }
}

#[derive(Default)]
struct PatchLines {
    added: u32,
    removed: u32,
}

impl<'de> Fields<'de> for PatchLines {
    fn field<A: MapAccess<'de>>(&mut self, _: &str, map: &mut A) -> Result<(), A::Error> {
        skip(map)
    }

    fn array<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<(), A::Error> {
        while let Some(Text(line)) = seq.next_element()? {
            match line.as_deref().and_then(|line| line.as_bytes().first()) {
                Some(b'+') => self.added += 1,
                Some(b'-') => self.removed += 1,
                _ => {}
            }
        }
        Ok(())
    }
}
