//! Counts of answered requests, for `http_requests_total{route,code}`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Requests by route pattern and status code.
///
/// Their number is bounded, because patterns come from the table and codes from
/// [`Problem`](crate::http::route::problem::Problem). Input that is not HTTP, or whose headers are too large or too
/// slow, is refused by hyper and is not counted.
#[derive(Debug, Default)]
pub struct RequestCounters {
    counts: Mutex<BTreeMap<(&'static str, u16), u64>>,
}

impl RequestCounters {
    /// The totals since the start of the process.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<(&'static str, u16), u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(in crate::http) fn record(&self, route: &'static str, code: u16) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry((route, code)).or_default();
        *count = count.saturating_add(1);
    }
}
