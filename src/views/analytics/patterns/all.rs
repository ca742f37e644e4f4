//! Every rule by its name.

use super::history_rules::HISTORY_RULES;
use super::rule::RuleText;
use super::session_rules::SESSION_RULES;

/// What every rule says of itself.
pub fn rules() -> impl Iterator<Item = &'static RuleText> {
    SESSION_RULES.iter().map(|rule| &rule.text).chain(HISTORY_RULES.iter().map(|rule| &rule.text))
}
