//! What a user row is: a prompt and who asked it, results of tool calls, or an aside.

use xxhash_rust::xxh3::xxh3_64;

use super::fields::{chars_of, id, label, row_id};
use super::ids::AgentId;
use super::json_string::Raw;
use super::raw::{MessageBlock, RawContent, RawRowFields, ResultText};
use super::record::{Fact, Note, Origin, Outcome, RowKind, Said, ToolResult, User};
use super::strings::Strings;
use super::text::{Lead, TextFacts};
use super::time::Timestamp;
use super::word::{Word, WordText};

pub(super) fn user(fields: &mut RawRowFields<'_>, strings: &mut Strings) -> User {
    let content = std::mem::take(&mut fields.message.content);
    let text = content.text.or_else(|| content.blocks.iter().find_map(MessageBlock::text));
    let text = text.map(|text| TextFacts::of(&text.text())).unwrap_or_default();
    let mut results: Vec<ToolResult> = content
        .blocks
        .iter()
        .filter_map(|block| match block {
            MessageBlock::Result { call, is_error, result, .. } => tool_result(*call, *is_error, result, fields),
            _ => None,
        })
        .collect();
    // A row has one `toolUseResult`, which does not say to which of several results it belongs: the first one gets it.
    if let Some(first) = results.first_mut() {
        (first.lines_added, first.lines_removed) = fields.result.lines_changed();
        first.searches = fields.result.searches;
        first.agent = fields.result.agent.word().as_deref().map(|agent| AgentId(id(agent).into()));
        first.workflow = fields.result.workflow.word().as_deref().map(id);
    }
    let aside = fields.meta.is_true() || fields.compact_summary.is_true() || fields.transcript_only.is_true() || {
        // A custom command is sent to the model, and its row has a `turnOrigin`; a command of the client has none.
        text.lead == Lead::LocalCommand && fields.turn_origin.is_none()
    };
    let prompt_id = row_id(fields.prompt_id);
    // The message of a teammate is a meta row too, but it starts a turn.
    let by_teammate = prompt_id.is_some() && is_of_a_teammate(fields.origin.kind);
    let said = if !results.is_empty() {
        Said::Results(results)
    } else if fields.message.role.is_none() && content.text.is_none() && content.blocks.is_empty() {
        Said::Aside
    } else if fields.hook_text.is_true() || fields.meta.is_true() && text.lead == Lead::HookFeedback {
        Said::Feedback
    } else if aside && !by_teammate {
        Said::Aside
    } else if text.lead == Lead::ShellLine {
        // Clients without `promptId` never sent the output of such a line to the model.
        if prompt_id.is_some() { Said::ShellLine } else { Said::Aside }
    } else if text.lead == Lead::Interrupted {
        Said::Interrupt
    } else {
        Said::Prompt(origin(fields, text.lead))
    };
    let is_prompt = matches!(said, Said::Prompt(_) | Said::ShellLine);
    User {
        prompt_id,
        turn_index: fields.turn_position.index.small(),
        text_hash: text.hash,
        text_chars: text.chars,
        command: text.command.name().map(|name| strings.get(name)),
        blocks: if is_prompt { hashes_of(&content) } else { Vec::new() },
        source: fields.prompt_source.word().as_deref().filter(|_| is_prompt).map(|source| strings.get(label(source))),
        background: fields.session_kind.says("bg"),
        ends_turn: fields.tool_ends_turn.is_true(),
        said,
        extracts: None,
    }
}

/// xxh3-64 of the text of each block; 0 for a block without text.
fn hashes_of(content: &RawContent<'_>) -> Vec<u64> {
    /// The first blocks tell prompts apart; further ones are not hashed.
    const BLOCKS_MAX: usize = 16;
    let hash = |text: Option<Raw<'_>>| text.map_or(0, |text| xxh3_64(text.text().as_bytes()));
    match content.text {
        Some(text) => vec![hash(Some(text))],
        None => content.blocks.iter().take(BLOCKS_MAX).map(|block| hash(block.text())).collect(),
    }
}

fn is_of_a_teammate(kind: Word<'_>) -> bool {
    kind.says("peer") || kind.says("teammate")
}

/// Who asked: told by `origin.kind`, else by the beginning of the text, else by `promptSource`, `turnOrigin` or the
/// entry point. An editor passes on what a person types over the SDK, so `sdk` in an editor is a person. Source:
/// `contract.md` section 3.
fn origin(fields: &RawRowFields<'_>, lead: Lead) -> Origin {
    let by_kind = match fields.origin.kind.word().as_deref() {
        Some("human") => Some(Origin::Human),
        Some("task-notification" | "task_notification") => Some(Origin::TaskNotification),
        Some("peer" | "teammate") => Some(Origin::Teammate),
        _ => None,
    };
    let by_text = match lead {
        Lead::TaskNotification => Some(Origin::TaskNotification),
        Lead::Teammate => Some(Origin::Teammate),
        _ => None,
    };
    let entrypoint = fields.entrypoint.word();
    let in_editor = matches!(entrypoint.as_deref(), Some("claude-vscode" | "claude-desktop"));
    let by_source = |source: Word<'_>| match source.word().as_deref() {
        Some("sdk") if in_editor => Some(Origin::Human),
        Some("sdk") => Some(Origin::Sdk),
        Some("task_notification" | "task-notification") => Some(Origin::TaskNotification),
        Some("typed" | "user" | "human" | "suggestion_accepted") => Some(Origin::Human),
        _ => None,
    };
    let told =
        by_kind.or(by_text).or_else(|| by_source(fields.prompt_source)).or_else(|| by_source(fields.turn_origin));
    let by_entrypoint = || entrypoint.is_some_and(|entry| entry.starts_with("sdk")).then_some(Origin::Sdk);
    told.or_else(by_entrypoint).unwrap_or_default()
}

/// `attachment/queued_command`: a prompt, or the end of a background task, that was given to a running turn.
pub(super) fn queued_command(fields: &RawRowFields<'_>, strings: &mut Strings) -> RowKind {
    let attachment = &fields.attachment;
    let text = attachment.prompt.text.or_else(|| attachment.prompt.blocks.iter().find_map(MessageBlock::text));
    let text = text.map(Raw::text).unwrap_or_default();
    let time = attachment.timestamp.value.or_else(|| Timestamp::parse(&attachment.timestamp.text.word()?));
    let is_task = attachment.mode.says("task-notification") || text.trim_start().starts_with("<task-notification>");
    let what = if is_task {
        let short = |name| tag(&text, name).map(id);
        let status = tag(&text, "status").map(|status| strings.get(label(status)));
        Note::TaskEnded { task: short("task-id"), call: short("tool-use-id"), status }
    } else {
        let origin = match attachment.origin.kind.word().as_deref() {
            Some("peer" | "teammate") => Origin::Teammate,
            Some("human") => Origin::Human,
            _ if fields.entrypoint.word().is_some_and(|entry| entry.starts_with("sdk")) => Origin::Sdk,
            _ => Origin::Human,
        };
        Note::QueuedPrompt { origin, chars: chars_of(&text) }
    };
    RowKind::Fact { what: Fact::Note(what), time }
}

/// The text between `<name>` and `</name>`.
fn tag<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (value, _) = rest.split_once("</")?;
    Some(value.trim()).filter(|value| !value.is_empty())
}

/// The result that a block holds, without the fields of `toolUseResult` that belong to a single result of the row.
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
        workflow: None,
        lines_added: 0,
        lines_removed: 0,
        searches: 0,
    })
}

/// How a call ended. Source: the table in `claude-code-format.md` section 4, "Tool result outcome".
fn outcome(is_error: bool, lead: Lead, fields: &RawRowFields<'_>) -> Outcome {
    let rejected = fields.decision.decision.says("reject");
    match fields.denial_kind.word().as_deref() {
        Some("interrupted") => Outcome::Interrupted,
        // This kind stands for a refusal before the tool ran, and for an interrupt while it ran.
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
