//! What the client counted for one model.

use std::sync::Arc;

/// What the client counted for one model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelCost {
    /// The model by the name that the client asked for.
    pub model: Arc<str>,
    /// `costUSD` in US dollars, as the client's floating point sum.
    pub usd: f64,
    pub input: u64,
    pub output: u64,
    pub cache_read: u64,
    /// Tokens written to the cache, for whatever time.
    pub cache_write: u64,
    /// Of these, tokens that are kept for one hour; 0 if the client does not say.
    pub cache_write_1h: u64,
    /// Searches that the API ran.
    pub web_searches: u64,
}
