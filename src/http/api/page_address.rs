//! The addresses of pages for people, as answers tell them.

use crate::text::percent_encoded;
use crate::views::traces::finish::SpanRules;

/// The path of the page of a session, without a slash at the beginning; at an event if one is given.
pub(in crate::http) fn page_path(session: &str, event: Option<usize>) -> String {
    let id = percent_encoded(session).replace("%2D", "-");
    let at = event.map(|event| format!("?from={event}#event={event}")).unwrap_or_default();
    format!("sessions/{id}{at}")
}

/// The address of the page of a session, at an event if one is given. If nobody knows the address of the pages, it is a
/// path, which holds where the answer came from.
pub(in crate::http) fn page_address(rules: &SpanRules, session: &str, event: Option<usize>) -> String {
    format!("{}/{}", rules.pages.as_deref().unwrap_or_default(), page_path(session, event))
}
