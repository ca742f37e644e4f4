//! What the page at `/` and the probes need to know of the context.

use crate::http::route::problem::Problem;

/// What the landing page, health checks and `/metrics` need to know of the context.
pub trait Status {
    /// Whether the first scan is complete. Before that, the totals are those of a part of the files.
    fn ready(&self) -> Result<(), Waiting>;

    /// Whether what Claude Code writes can be counted; else why not. `/metrics` goes on showing the last totals then.
    fn healthy(&self) -> Result<(), String> {
        Ok(())
    }

    /// The metrics in the format that `accept` (an `Accept` header, `*/*` if there was none) asks for:
    /// the content type and the text.
    ///
    /// It is called only when the first scan is complete, and must not wait for the store.
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
