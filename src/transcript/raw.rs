//! A row as it is written. Only the fields that matter are read, and none of them is required.

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_64;

use super::ids::RowId;
use super::json::{Fields, FromJson, Json, ReadJson, Scalar};
use super::json_string::Raw;
use super::named_file::NamedFile;
use super::noted::is_noted;
use super::raw_cost::RawModelUsage;
use super::raw_usage::RawUsage;
use super::time::Timestamp;
use super::word::{Word, WordText};

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty = $key:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Default)]
        pub(super) struct $name<'de> {
            $(pub $field: $kind,)*
            pub life: std::marker::PhantomData<&'de ()>,
        }

        impl<'de> Fields<'de> for $name<'de> {
            fn field(&mut self, key: &[u8], json: &mut Json<'de>) -> ReadJson<()> {
                match key {
                    $($key => json.replace(&mut self.$field)?,)*
                    _ => json.skip()?,
                }
                Ok(())
            }
        }
    )*};
}
pub(super) use texts;

/// A value that the client always writes in one form of fixed length, so that it is read without searching for its end.
pub(super) trait ClientForm: Sized {
    /// Length of the form in bytes.
    const BYTES: usize;

    /// The value; `None` if the text has another form.
    fn of(text: &[u8]) -> Option<Self>;
}

impl ClientForm for RowId {
    const BYTES: usize = Self::TEXT_BYTES;

    fn of(text: &[u8]) -> Option<Self> {
        Self::of_uuid(text)
    }
}

impl ClientForm for Timestamp {
    const BYTES: usize = 24;

    fn of(text: &[u8]) -> Option<Self> {
        Self::of_client_form(text)
    }
}

/// A text, and its value if it has the [`ClientForm`].
#[derive(Debug, Clone, Copy)]
pub(super) struct ToldText<'de, T> {
    pub text: Word<'de>,
    pub value: Option<T>,
}

impl<T> Default for ToldText<'_, T> {
    fn default() -> Self {
        Self { text: None, value: None }
    }
}

impl<'de, T: ClientForm> FromJson<'de> for ToldText<'de, T> {
    fn read(&mut self, json: &mut Json<'de>) -> ReadJson<()> {
        json.peek();
        match json.exactly(T::BYTES, T::of) {
            Some((text, value)) => (self.text, self.value) = (Some(text), Some(value)),
            None => self.text.read(json)?,
        }
        Ok(())
    }
}

texts! {
    /// The fields of a line except `type`, which [`RawRow`] reads.
    RawRowFields {
        uuid: ToldText<'de, RowId> = b"uuid",
        parent: ToldText<'de, RowId> = b"parentUuid",
        session: Word<'de> = b"sessionId",
        agent: Word<'de> = b"agentId",
        sidechain: Scalar = b"isSidechain",
        timestamp: ToldText<'de, Timestamp> = b"timestamp",
        cwd: Word<'de> = b"cwd",
        branch: Word<'de> = b"gitBranch",
        version: Word<'de> = b"version",
        entrypoint: Word<'de> = b"entrypoint",
        message: RawMessage<'de> = b"message",
        request: Word<'de> = b"requestId",
        requested_model: Word<'de> = b"requestedModel",
        copied_from: Word<'de> = b"requestSessionId",
        agent_type: Word<'de> = b"attributionAgent",
        skill: Word<'de> = b"attributionSkill",
        thinking_ms: Scalar = b"thinkingDurationMs",
        api_failure: Scalar = b"isApiErrorMessage",
        api_status: Scalar = b"apiErrorStatus",
        prompt_id: ToldText<'de, RowId> = b"promptId",
        prompt_source: Word<'de> = b"promptSource",
        turn_origin: Word<'de> = b"turnOrigin",
        origin: RawKind<'de> = b"origin",
        turn_position: RawPosition<'de> = b"turnPosition",
        meta: Scalar = b"isMeta",
        compact_summary: Scalar = b"isCompactSummary",
        transcript_only: Scalar = b"isVisibleInTranscriptOnly",
        result: RawResult<'de> = b"toolUseResult",
        denial_kind: Word<'de> = b"toolDenialKind",
        denied_before_run: Scalar = b"toolDenialBeforeRun",
        decision: RawDecision<'de> = b"permissionDecision",
        subtype: Word<'de> = b"subtype",
        error: RawError<'de> = b"error",
        retry_in_ms: Scalar = b"retryInMs",
        retry_attempt: Scalar = b"retryAttempt",
        compaction: RawCompaction<'de> = b"compactMetadata",
        duration_ms: Scalar = b"durationMs",
        trigger: Word<'de> = b"trigger",
        original_model: Word<'de> = b"originalModel",
        fallback_model: Word<'de> = b"fallbackModel",
        attachment: RawAttachment<'de> = b"attachment",
        cost_usd: Scalar = b"totalCostUSD",
        model_usage: RawModelUsage = b"modelUsage",
        custom_title: Word<'de> = b"customTitle",
        ai_title: Word<'de> = b"aiTitle",
        operation: Word<'de> = b"operation",
        forked_from: RawForkedFrom<'de> = b"forkedFrom",
        session_kind: Word<'de> = b"sessionKind",
        tool_ends_turn: Scalar = b"toolEndsTurn",
        hook_text: Scalar = b"hookText",
        effort: Word<'de> = b"effort",
        hook_infos: Vec<RawHookInfo<'de>> = b"hookInfos",
        hook_errors: Vec<RawHookInfo<'de>> = b"hookErrors",
        content: Option<Raw<'de>> = b"content",
        summary: Word<'de> = b"summary",
        leaf: ToldText<'de, RowId> = b"leafUuid",
        agent_name: Word<'de> = b"agentName",
        continued_in: Word<'de> = b"continuedInSessionId",
        start_time: Scalar = b"startTime",
        pull_request: Scalar = b"prNumber",
        pull_request_url: Word<'de> = b"prUrl",
        pull_request_repository: Word<'de> = b"prRepository",
    }
    RawMessage {
        id: Word<'de> = b"id",
        role: Word<'de> = b"role",
        model: Word<'de> = b"model",
        stop: Word<'de> = b"stop_reason",
        usage: RawUsage = b"usage",
        content: RawContent<'de> = b"content",
    }
    /// `permissionDecision`.
    RawDecision { decision: Word<'de> = b"decision", source: Word<'de> = b"source" }
    /// `origin`.
    RawKind { kind: Word<'de> = b"kind" }
    /// `forkedFrom`.
    RawForkedFrom { session: Word<'de> = b"sessionId" }
    /// One of `hookInfos`.
    RawHookInfo { duration_ms: Scalar = b"durationMs" }
    /// `turnPosition`.
    RawPosition { index: Scalar = b"turnIndex" }
    /// `error` of `system/api_error`.
    RawError { status: Scalar = b"status" }
    /// `compactMetadata`.
    RawCompaction {
        trigger: Word<'de> = b"trigger",
        before: Scalar = b"preTokens",
        after: Scalar = b"postTokens",
        duration_ms: Scalar = b"durationMs",
    }
    RawAttachment {
        kind: Word<'de> = b"type",
        name: Word<'de> = b"hookName",
        event: Word<'de> = b"hookEvent",
        call: Word<'de> = b"toolUseID",
        duration_ms: Scalar = b"durationMs",
        exit_code: Scalar = b"exitCode",
        mode: Word<'de> = b"commandMode",
        origin: RawKind<'de> = b"origin",
        prompt: RawContent<'de> = b"prompt",
        timestamp: ToldText<'de, Timestamp> = b"timestamp",
        added_names: Vec<Listed<'de>> = b"addedNames",
        added_lines: Vec<Listed<'de>> = b"addedLines",
        added_blocks: Vec<Listed<'de>> = b"addedBlocks",
        removed_names: Vec<Listed<'de>> = b"removedNames",
    }
    /// `input` of a `tool_use`.
    RawInput {
        agent_type: Word<'de> = b"subagent_type",
        prompt: Option<Raw<'de>> = b"prompt",
        skill: Word<'de> = b"skill",
        file: Word<'de> = b"file_path",
        notebook: Word<'de> = b"notebook_path",
    }
    /// `agent-<id>.meta.json`.
    RawAgentMeta {
        agent_type: Word<'de> = b"agentType",
        call: Word<'de> = b"toolUseId",
        shape: Word<'de> = b"requestShape",
    }
}

/// A text in a list; `None` for an element of another type.
#[derive(Default)]
pub(super) struct Listed<'de>(pub Word<'de>);

impl<'de> Fields<'de> for Listed<'de> {
    fn field(&mut self, _: &[u8], json: &mut Json<'de>) -> ReadJson<()> {
        json.skip()
    }

    fn text(&mut self, text: Raw<'de>) {
        self.0 = Some(text);
    }
}

/// A line: its type and [`RawRowFields`]. Once the type shows that nothing in it counts, the rest is skipped.
#[derive(Default)]
pub(super) struct RawRow<'de> {
    pub kind: Option<Cow<'de, [u8]>>,
    pub noted: bool,
    pub fields: RawRowFields<'de>,
}

impl<'de> Fields<'de> for RawRow<'de> {
    fn field(&mut self, key: &[u8], json: &mut Json<'de>) -> ReadJson<()> {
        if key == b"type" {
            let kind: Word<'de> = json.value()?;
            self.kind = kind.map(|raw| match raw.escaped() {
                true => Cow::Owned(raw.text().into_owned().into_bytes()),
                false => Cow::Borrowed(raw.bytes),
            });
            self.noted = self.kind.as_deref().is_some_and(is_noted);
            return Ok(());
        }
        if self.noted { json.skip() } else { self.fields.field(key, json) }
    }
}

/// `message.content`: a string, a list of blocks, or nothing.
#[derive(Default)]
pub(super) struct RawContent<'de> {
    pub text: Option<Raw<'de>>,
    pub blocks: Vec<MessageBlock<'de>>,
}

impl<'de> Fields<'de> for RawContent<'de> {
    fn field(&mut self, _: &[u8], json: &mut Json<'de>) -> ReadJson<()> {
        json.skip()
    }

    fn text(&mut self, text: Raw<'de>) {
        self.text = Some(text);
    }

    fn element(&mut self, json: &mut Json<'de>) -> ReadJson<()> {
        if self.blocks.is_empty() {
            // Most rows have one block, and blocks are large.
            self.blocks.reserve_exact(1);
        }
        let block: RawBlock<'de> = json.value()?;
        self.blocks.push(block.told());
        Ok(())
    }
}

/// The fields that matter of one block of a message. It is kept small, since a line may hold hundreds of thousands.
pub(super) enum MessageBlock<'de> {
    /// `tool_use`.
    Call { id: Word<'de>, name: Word<'de>, input: CallInput<'de> },
    /// `tool_result`, with the first text of the result and the bytes of all its texts.
    Result { call: Word<'de>, is_error: bool, text: Option<Raw<'de>>, result: ResultText<'de> },
    /// `server_tool_use`: the API runs the tool itself.
    ServerCall { name: Word<'de> },
    /// Any other block, with its type.
    Other { kind: Word<'de>, text: Option<Raw<'de>> },
}

/// The `input` of a `tool_use`.
#[derive(Default)]
pub(super) struct CallInput<'de> {
    /// xxh3-64 of all of it as it is written; 0 if it is not an object.
    pub hash: u64,
    /// The file that it names.
    pub file: NamedFile,
    /// Its words, if it has those that tell of a sub-agent or a skill.
    pub words: Option<Box<RawInput<'de>>>,
}

impl<'de> CallInput<'de> {
    fn of(words: RawInput<'de>, json: &'de [u8]) -> Self {
        let hash = if json.starts_with(b"{") { xxh3_64(json) } else { 0 };
        let file = words.file.or(words.notebook).map_or_else(NamedFile::default, |path| NamedFile::of(&path.text()));
        let is_told = words.agent_type.is_some() || words.prompt.is_some() || words.skill.is_some();
        Self { hash, file, words: is_told.then(|| Box::new(words)) }
    }
}

impl<'de> MessageBlock<'de> {
    /// The block's own text.
    pub(super) const fn text(&self) -> Option<Raw<'de>> {
        match self {
            Self::Result { text, .. } | Self::Other { text, .. } => *text,
            Self::Call { .. } | Self::ServerCall { .. } => None,
        }
    }
}

/// One block of a message, as it is written.
#[derive(Default)]
struct RawBlock<'de> {
    kind: Word<'de>,
    id: Word<'de>,
    name: Word<'de>,
    call: Word<'de>,
    is_error: bool,
    text: Option<Raw<'de>>,
    input: RawInput<'de>,
    /// `input` as it is written.
    input_json: &'de [u8],
    result: ResultText<'de>,
}

impl<'de> RawBlock<'de> {
    fn told(self) -> MessageBlock<'de> {
        let Self { kind, id, name, call, is_error, text, input, input_json, result } = self;
        if kind.says("tool_use") {
            MessageBlock::Call { id, name, input: CallInput::of(input, input_json) }
        } else if kind.says("tool_result") {
            MessageBlock::Result { call, is_error, text, result }
        } else if kind.says("server_tool_use") {
            MessageBlock::ServerCall { name }
        } else {
            MessageBlock::Other { kind, text }
        }
    }
}

impl<'de> Fields<'de> for RawBlock<'de> {
    fn field(&mut self, key: &[u8], json: &mut Json<'de>) -> ReadJson<()> {
        match key {
            b"type" => json.replace(&mut self.kind)?,
            b"id" => json.replace(&mut self.id)?,
            b"name" => json.replace(&mut self.name)?,
            b"tool_use_id" => json.replace(&mut self.call)?,
            b"is_error" => self.is_error = json.value::<Scalar>()?.is_true(),
            b"text" => json.replace(&mut self.text)?,
            b"input" => self.input_json = json.replace_seen(&mut self.input)?,
            b"content" => json.replace(&mut self.result)?,
            _ => json.skip()?,
        }
        Ok(())
    }
}

/// `content` of a `tool_result`: a string or a list of blocks with texts.
#[derive(Default)]
pub(super) struct ResultText<'de> {
    pub first: Raw<'de>,
    pub bytes: u64,
}

impl<'de> Fields<'de> for ResultText<'de> {
    fn field(&mut self, _: &[u8], json: &mut Json<'de>) -> ReadJson<()> {
        json.skip()
    }

    fn text(&mut self, text: Raw<'de>) {
        if self.bytes == 0 {
            self.first = text;
        }
        self.bytes += text.decoded_bytes() as u64;
    }

    fn element(&mut self, json: &mut Json<'de>) -> ReadJson<()> {
        if let TextBlock { text: Some(text), .. } = json.value()? {
            self.text(text);
        }
        Ok(())
    }
}

texts! {
    /// A block of which only the text is wanted.
    TextBlock { text: Option<Raw<'de>> = b"text" }
    /// One hunk of a `structuredPatch`.
    Hunk { lines: PatchLines = b"lines" }
}

/// `toolUseResult` where it is an object.
#[derive(Default)]
pub(super) struct RawResult<'de> {
    pub agent: Word<'de>,
    /// `runId` of the Workflow tool.
    pub workflow: Word<'de>,
    pub background: bool,
    pub patch: Vec<Hunk<'de>>,
    pub created: bool,
    pub searches: u32,
    /// Text of the file, if the call wrote a whole file.
    pub content: Option<Raw<'de>>,
}

impl RawResult<'_> {
    /// Lines added and removed. Of a new file all lines count as added, one more than it has newlines, as in the
    /// client.
    pub(super) fn lines_changed(&self) -> (u32, u32) {
        if let (true, true, Some(content)) = (self.created, self.patch.is_empty(), self.content) {
            return (u32::try_from(content.newlines()).unwrap_or(u32::MAX).saturating_add(1), 0);
        }
        self.patch.iter().fold((0u32, 0u32), |(added, removed), hunk| {
            (added.saturating_add(hunk.lines.added), removed.saturating_add(hunk.lines.removed))
        })
    }
}

impl<'de> Fields<'de> for RawResult<'de> {
    fn field(&mut self, key: &[u8], json: &mut Json<'de>) -> ReadJson<()> {
        match key {
            b"agentId" => json.replace(&mut self.agent)?,
            b"resumedAgentId" => {
                json.replace(&mut self.agent)?;
                self.background |= self.agent.is_some();
            }
            b"runId" => json.replace(&mut self.workflow)?,
            b"searchCount" => self.searches = json.value::<Scalar>()?.small().unwrap_or(0),
            b"isAsync" => self.background |= json.value::<Scalar>()?.is_true(),
            b"status" => {
                let status = json.value::<Word<'de>>()?;
                self.background |= status.says("async_launched") || status.says("teammate_spawned");
            }
            b"structuredPatch" => json.replace(&mut self.patch)?,
            b"type" => self.created = json.value::<Word<'de>>()?.says("create"),
            b"content" => json.replace(&mut self.content)?,
            _ => json.skip()?,
        }
        Ok(())
    }
}

/// Number of lines of a hunk that begin with `+` or `-`.
#[derive(Default)]
pub(super) struct PatchLines {
    pub added: u32,
    pub removed: u32,
}

impl<'de> Fields<'de> for PatchLines {
    fn field(&mut self, _: &[u8], json: &mut Json<'de>) -> ReadJson<()> {
        json.skip()
    }

    fn element(&mut self, json: &mut Json<'de>) -> ReadJson<()> {
        let line: Option<Raw<'de>> = json.value()?;
        match line.and_then(|line| line.bytes.first().copied()) {
            Some(b'+') => self.added += 1,
            Some(b'-') => self.removed += 1,
            _ => {}
        }
        Ok(())
    }
}
