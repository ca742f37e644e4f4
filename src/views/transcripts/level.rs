//! How much of a session a transcript tells.

use schemars::JsonSchema;
use serde::Serialize;

use crate::views::sessions::kinds::EventKind;

/// How much of a session a transcript tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Every event with its texts.
    Full,
    /// Every event, without the texts of tool results.
    NoResults,
    /// Only prompts.
    PromptsOnly,
}

impl Level {
    /// Every level with its name.
    pub const NAMES: [(&'static str, Self); 3] =
        [("full", Self::Full), ("no_results", Self::NoResults), ("prompts_only", Self::PromptsOnly)];

    /// The name of the level.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::NoResults => "no_results",
            Self::PromptsOnly => "prompts_only",
        }
    }

    /// Whether events of a kind are told, in the main thread or in a sub-agent.
    #[must_use]
    pub const fn tells(self, kind: EventKind, is_main: bool) -> bool {
        match self {
            Self::Full | Self::NoResults => true,
            Self::PromptsOnly => is_main && matches!(kind, EventKind::Prompt | EventKind::QueuedPrompt),
        }
    }

    /// Whether the texts of events of a kind are told.
    #[must_use]
    pub const fn tells_texts(self, kind: EventKind) -> bool {
        !matches!((self, kind), (Self::NoResults, EventKind::ToolResult))
    }
}
