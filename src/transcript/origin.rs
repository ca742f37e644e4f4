//! Who caused a turn.

use serde::{Deserialize, Serialize};

/// Who caused a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum Origin {
    /// A person, in a terminal or an editor. Also assumed for rows that do not say.
    #[default]
    Human,
    /// `claude -p` or the SDK.
    Sdk,
    /// The client itself, to report a finished background task.
    TaskNotification,
    /// Another agent of the session's team.
    Teammate,
}

impl Origin {
    /// Every origin, in the order in which the metric lists them.
    pub const ALL: [Self; 4] = [Self::Human, Self::Sdk, Self::TaskNotification, Self::Teammate];

    /// The value of the label `origin`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Sdk => "sdk",
            Self::TaskNotification => "task_notification",
            Self::Teammate => "teammate",
        }
    }
}
