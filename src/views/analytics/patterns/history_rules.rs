//! The rules that look at all of history.

use super::history_rule::HistoryRule;
use super::{budget_pace, files_deleted_soon, outside_hours, unattributed, unpriced, unreported};

/// Every one of them.
pub static HISTORY_RULES: [&HistoryRule; 6] = [
    &budget_pace::RULE,
    &outside_hours::RULE,
    &unattributed::RULE,
    &unreported::RULE,
    &files_deleted_soon::RULE,
    &unpriced::RULE,
];
