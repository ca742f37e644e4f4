//! How much of a session a transcript tells.

use schemars::JsonSchema;
use serde::Serialize;

use crate::transcript::record::Origin;
use crate::views::sessions::event::Detail;
use crate::views::sessions::kinds::EventKind;

/// How much of a session a transcript tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Every event with its texts.
    Full,
    /// Every event, without the texts of results: of tools, and of work in the background, which is told as a prompt.
    NoResults,
    /// Only prompts; of those that tell how work in the background ended, no texts.
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

    /// Whether the texts of an event are told.
    #[must_use]
    pub fn tells_texts(self, detail: &Detail) -> bool {
        let is_result = match detail {
            Detail::ToolResult { .. } | Detail::TaskEnd { .. } => true,
            Detail::Prompt { origin, .. } | Detail::QueuedPrompt { origin, .. } => {
                *origin == Origin::TaskNotification.name()
            }
            _ => false,
        };
        self == Self::Full || !is_result
    }
}
