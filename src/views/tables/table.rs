//! The five tables.

use super::column::About;
use super::{costs, messages, sessions, tools, turns};

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Sessions, as the list has them.
    Sessions,
    /// Turns.
    Turns,
    /// API responses.
    Messages,
    /// Tool calls.
    Tools,
    /// Costs by day and all dimensions.
    Costs,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 5] = [Self::Sessions, Self::Turns, Self::Messages, Self::Tools, Self::Costs];

    /// The name in addresses, arguments and folders.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Turns => "turns",
            Self::Messages => "messages",
            Self::Tools => "tools",
            Self::Costs => "costs",
        }
    }

    /// What a row of it is, in one sentence.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Sessions => {
                "A row for each session, in the order of the list of sessions: the one that ended last first."
            }
            Self::Turns => "A row for each turn, with its own sums and those of its sub-agents.",
            Self::Messages => "A row for each API response, of the main thread and of sub-agents.",
            Self::Tools => "A row for each tool call, of the main thread and of sub-agents.",
            Self::Costs => "A row for each day, session, project, branch, model, agent and way of starting.",
        }
    }

    /// Its columns, in order.
    #[must_use]
    pub fn columns(self) -> Vec<&'static About> {
        match self {
            Self::Sessions => sessions::COLUMNS.iter().map(|column| &column.about).collect(),
            Self::Turns => turns::COLUMNS.iter().map(|column| &column.about).collect(),
            Self::Messages => messages::COLUMNS.iter().map(|column| &column.about).collect(),
            Self::Tools => tools::COLUMNS.iter().map(|column| &column.about).collect(),
            Self::Costs => costs::COLUMNS.iter().map(|column| &column.about).collect(),
        }
    }
}
