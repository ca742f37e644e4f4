//! The seam between the server and what it serves: the server knows an [`App`] and its [`Status`], nothing else.

use std::sync::Arc;

use crate::http::route::problem::Problem;
use crate::http::route::routes::Route;
use crate::http::server::counters::RequestCounters;
use crate::http::server::readers::Readers;

/// All that a [`Server`](crate::http::Server) needs to answer.
///
/// `C` is what every handler is given: the store, the configuration, whatever the routes read.
pub struct App<C: 'static> {
    pub context: C,
    /// Shared, so that the context can render them at `/metrics`.
    pub counters: Arc<RequestCounters>,
    /// The first row that matches wins: fixed paths before patterns with `{name}`.
    pub routes: &'static [Route<C>],
    /// Names that a `Host` header may carry besides loopback and the address that was connected to; a port is ignored.
    pub allowed_hosts: Vec<String>,
    /// Who gets answers that quote conversations.
    pub readers: Readers,
}

/// What the landing page, health checks and `/metrics` need to know of the context.
pub trait Status {
    /// Whether the first scan is complete; before that the totals are those of some of the files.
    ///
    /// # Errors
    /// [`Waiting`] says how far the first scan is.
    fn ready(&self) -> Result<(), Waiting>;

    /// Whether what is written can be counted. `/metrics` goes on showing what was.
    ///
    /// # Errors
    /// Why it cannot.
    fn healthy(&self) -> Result<(), String> {
        Ok(())
    }

    /// The metrics in the format that `accept` (an `Accept` header, `*/*` if there was none) asks for:
    /// the content type and the text.
    ///
    /// Called only when ready. Must not wait for the store.
    ///
    /// # Errors
    /// The problem that the scraper is told.
    fn metrics(&self, accept: &str) -> Result<(String, Vec<u8>), Problem>;

    /// The version of the program, for people.
    fn version(&self) -> &str;
}

/// How far the first scan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    pub files_done: u64,
    pub files_total: u64,
}
