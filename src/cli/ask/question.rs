//! A question to the API: a path with its parameters.

use crate::text::percent_encoded;
use crate::transcript::time::Timestamp;

/// A question about sums and sessions.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Question {
    target: String,
    has_query: bool,
}

impl Question {
    /// A question below `/api/v1/analytics/`.
    pub(in crate::cli) fn of(path: &str) -> Self {
        Self { target: format!("/api/v1/analytics/{path}"), has_query: false }
    }

    /// A question with a path of its own.
    pub(in crate::cli) fn at(path: &str) -> Self {
        Self { target: path.to_owned(), has_query: false }
    }

    /// Where what is told of the limits of the account is handed to.
    pub(in crate::cli) fn limits() -> Self {
        Self { target: "/api/v1/limits".to_owned(), has_query: false }
    }

    /// A table as a file.
    pub(in crate::cli) fn export(table: &str, format: &str) -> Self {
        Self { target: format!("/api/v1/export/{table}.{format}"), has_query: false }
    }

    /// The same question with a parameter more.
    #[must_use]
    pub(in crate::cli) fn with(mut self, name: &str, value: &str) -> Self {
        self.target.push(if self.has_query { '&' } else { '?' });
        self.has_query = true;
        self.target.push_str(&format!("{name}={}", percent_encoded(value)));
        self
    }

    /// The same question with a parameter more, if there is a value.
    #[must_use]
    pub(in crate::cli) fn with_some(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The same question about a time from `since`, up to and without `until`.
    #[must_use]
    pub(in crate::cli) fn within(self, since: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        let text = |time: Option<Timestamp>| time.map(Timestamp::to_rfc3339);
        self.with_some("since", text(since).as_deref()).with_some("until", text(until).as_deref())
    }

    /// The path without its parameters.
    pub(in crate::cli) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or(&self.target)
    }

    /// The path with its query.
    pub(in crate::cli) fn target(&self) -> &str {
        &self.target
    }
}
