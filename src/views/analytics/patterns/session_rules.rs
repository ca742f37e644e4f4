//! The rules that look at single sessions.

use super::finding::Finding;
use super::seen::Seen;
use super::session_rule::SessionRule;
use super::settings::PatternSettings;
use super::{
    cache_expired, cache_rebuilt, call_fails_again, carried_results, compactions_in_a_row, dear_model, file_read_again,
    long_context, retries, serial_agents, unused_servers, waiting_for_person, warm_up,
};
use crate::views::analytics::names::Names;

/// Every one of them.
pub static SESSION_RULES: [&SessionRule; 13] = [
    &cache_expired::RULE,
    &cache_rebuilt::RULE,
    &carried_results::RULE,
    &file_read_again::RULE,
    &call_fails_again::RULE,
    &retries::RULE,
    &warm_up::RULE,
    &dear_model::RULE,
    &long_context::RULE,
    &compactions_in_a_row::RULE,
    &waiting_for_person::RULE,
    &serial_agents::RULE,
    &unused_servers::RULE,
];

/// What the rules that are on find in a session, in order of time.
pub(in crate::views::analytics) fn findings(
    names: &mut Names,
    seen: &Seen<'_>,
    settings: &PatternSettings,
) -> Vec<Finding> {
    let mut found = Vec::new();
    for (rule, number) in SESSION_RULES.iter().zip(0u8..).filter(|(rule, _)| settings.is_on(&rule.text)) {
        let own = (rule.find)(seen, settings, names);
        found.extend(own.into_iter().map(|finding| Finding { rule: number, ..finding }));
    }
    found.sort_by_key(|finding| (finding.at, finding.rule));
    found
}
