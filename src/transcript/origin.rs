//! Who caused a turn.

use serde::{Deserialize, Serialize};

/// Who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum Origin {
    /// A person at the terminal; also old rows that do not say.
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
    /// Every origin, in the order of the metric's series.
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
