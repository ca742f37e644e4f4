//! Why the model stopped.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// `stop_reason`: why the model stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stop {
    EndTurn,
    StopSequence,
    MaxTokens,
    Refusal,
    ToolUse,
    /// Any other value, as a label.
    Other(Arc<str>),
}

impl Stop {
    /// The value as the API writes it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::EndTurn => "end_turn",
            Self::StopSequence => "stop_sequence",
            Self::MaxTokens => "max_tokens",
            Self::Refusal => "refusal",
            Self::ToolUse => "tool_use",
            Self::Other(name) => name,
        }
    }

    /// True if the model has nothing more to say in this turn.
    #[must_use]
    pub const fn ends_turn(&self) -> bool {
        matches!(self, Self::EndTurn | Self::StopSequence | Self::MaxTokens | Self::Refusal)
    }
}
