//! Recognises a text by its beginning: local commands, interrupts, exit codes, refusals.

use xxhash_rust::xxh3::xxh3_64;

use super::json_string::Raw;

/// What a text is, told by its beginning; the text itself is not kept.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct TextFacts {
    pub lead: Lead,
    pub command: SlashCommand,
    pub hash: u64,
    pub chars: u32,
}

/// How a text begins. Source: `claude-code-format.md` section 4.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) enum Lead {
    #[default]
    Plain,
    /// A command that the client ran itself, or its output: the model was not called.
    LocalCommand,
    /// `[Request interrupted by user]`, also `... for tool use]`.
    Interrupted,
    TaskNotification,
    /// `Exit code N`
    ExitCode(i32),
    /// Refused by a person, a rule, a mode or a hook, in the words of clients that have no `toolDenialKind`.
    Denied,
    /// `[Tool call interrupted: the session ended before ...`, written at the next resume.
    SessionEnded,
    /// `<bash-input>`: a `!` line, which the client runs itself. Some versions call the model with what it printed.
    ShellLine,
    /// A message of a teammate of the session.
    Teammate,
    /// `Stop hook feedback:`, which the model answers.
    HookFeedback,
}

/// The name of a slash command, with its slash, cut to [`SlashCommand::BYTES_MAX`] bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct SlashCommand {
    name: [u8; SlashCommand::BYTES_MAX],
    bytes: u8,
}

impl SlashCommand {
    const BYTES_MAX: usize = 32;

    /// Finds `<command-name>/name</command-name>` near the beginning.
    fn of(text: &str) -> Self {
        const TAG: &str = "<command-name>";
        const NEAR: usize = 400;
        let near = text.starts_with("<command-");
        let found = near.then(|| text.find(TAG)).flatten().filter(|at| *at < NEAR);
        let rest = found.and_then(|at| text.get(at + TAG.len()..)).unwrap_or_default();
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | ':' | '.');
        let name: &str = rest.split(|c| !word(c)).next().unwrap_or_default();
        let mut command = Self::default();
        for (place, byte) in command.name.iter_mut().zip(name.bytes()) {
            *place = byte;
            command.bytes += 1;
        }
        command
    }

    pub(super) fn name(&self) -> Option<&str> {
        let name = self.name.get(..usize::from(self.bytes)).unwrap_or_default();
        std::str::from_utf8(name).ok().filter(|name| !name.is_empty())
    }
}

/// A row with this text alone is the command that a person typed, not a prompt. A prompt may begin with the same word.
const COMPACT: &str = "/compact";

const LOCAL_COMMANDS: [&str; 7] = [
    "<command-name>",
    "<local-command-stdout>",
    "<local-command-stderr>",
    "<local-command-caveat>",
    "<user-memory-input>",
    "<bash-stdout>",
    "<bash-stderr>",
];

impl TextFacts {
    pub(super) fn of(text: &str) -> Self {
        Self {
            lead: if text.trim() == COMPACT { Lead::LocalCommand } else { lead_of(text.trim_start()) },
            command: SlashCommand::of(text.trim_start()),
            hash: xxh3_64(text.as_bytes()),
            chars: u32::try_from(text.chars().count()).unwrap_or(u32::MAX),
        }
    }
}

impl Lead {
    /// How the text of a tool result begins; decodes only its first bytes if they suffice.
    pub(super) fn of(raw: Raw<'_>) -> Self {
        /// More than every beginning that is looked for has, with the spaces before it.
        const HEAD_BYTES: usize = 256;
        // Most results begin with a byte that none of the known beginnings has.
        if !raw.bytes.first().is_some_and(|first| BEGINNINGS.contains(first) || *first <= b' ' || *first >= 0x80) {
            return Self::Plain;
        }
        let head = raw.head(HEAD_BYTES);
        let text = head.trim_start();
        // The whole text is needed for refusals that are recognised by later words, and behind many leading spaces.
        let is_open = TOLD_LATER.iter().any(|start| text.starts_with(start)) || text.len() < HEAD_BYTES / 4;
        if is_open { lead_of(raw.text().trim_start()) } else { lead_of(text) }
    }
}

/// First bytes of the beginnings that a tool result may have, and the backslash, since an escape may stand for a space.
/// Feedback of hooks and messages of teammates (`S`, `A`) are never tool results.
const BEGINNINGS: &[u8] = b"<[ETCP\\";

/// Beginnings of refusals for which [`lead_of`] also looks at later words.
const TOLD_LATER: [&str; 3] = ["Cannot ", "Permission to use ", "PreToolUse:"];

fn lead_of(text: &str) -> Lead {
    match text.as_bytes().first() {
        Some(b'<') if LOCAL_COMMANDS.iter().any(|tag| text.starts_with(tag)) => Lead::LocalCommand,
        Some(b'<') if text.starts_with("<bash-input>") => Lead::ShellLine,
        Some(b'<') if text.starts_with("<task-notification>") => Lead::TaskNotification,
        Some(b'<') if text.starts_with("<teammate-message") => Lead::Teammate,
        Some(b'A') if text.starts_with("Another Claude session sent a message:") => Lead::Teammate,
        Some(b'S') if text.starts_with("Stop hook feedback") => Lead::HookFeedback,
        Some(b'[') if text.starts_with("[Request interrupted by user") => Lead::Interrupted,
        Some(b'[') if text.starts_with("[Tool call interrupted: the session ended") => Lead::SessionEnded,
        Some(b'E') => exit_code(text).map_or(Lead::Plain, Lead::ExitCode),
        Some(b'T') if text.starts_with("The user doesn't want to ") => Lead::Denied,
        Some(b'C') if text.starts_with("Claude requested permissions to ") => Lead::Denied,
        Some(b'C') if text.starts_with("Cannot ") && text.contains(" while in plan mode") => Lead::Denied,
        Some(b'P') if text.starts_with("Permission to use ") && text.contains(" has been denied") => Lead::Denied,
        Some(b'P') if text.starts_with("PreToolUse:") && text.contains(" hook error: ") => Lead::Denied,
        _ => Lead::Plain,
    }
}

/// The number of `Exit code N`, as the Bash tool writes it before the output.
fn exit_code(text: &str) -> Option<i32> {
    let rest = text.strip_prefix("Exit code ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
