//! The cost that the client itself reports for a session.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::model_name::normalize;
use super::money::Money;
use super::unit::UnitId;
use crate::transcript::record::ModelCost;
use crate::transcript::time::Timestamp;

/// The cost that the client reports, in a `cost-state` row of the session file or in a `result` of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The unit that the rows before it in the file belong to.
    pub unit: Option<UnitId>,
    /// Latest time of a row before it in the file.
    pub after: Timestamp,
    /// `totalCostUSD`: the cost of the session so far.
    pub cost: Money,
    /// `startTime` in milliseconds since 1970-01-01 UTC. If a fork has the same one as its source, its figure includes
    /// that of the source.
    pub started: Option<u64>,
    /// `modelUsage`: what the client counted for each model so far, by canonical id; empty if that is not known.
    pub models: BTreeMap<Arc<str>, ModelAccount>,
    /// Where it stands.
    pub source: AccountSource,
}

/// Where an account of the client stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum AccountSource {
    /// In a `result` of a stream.
    Result {
        /// When the result arrived.
        at: Timestamp,
        /// The part of the figure that the process did not spend itself: it was restored by a resume, or inherited by a
        /// fork.
        restored: Money,
    },
    /// In a `cost-state` row of the session file, which has no time of its own.
    #[default]
    CostState,
}

/// What the client counted for one model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelAccount {
    /// Its cost.
    pub cost: Money,
    /// Prompt tokens that were neither read from nor written to the cache.
    pub input: u64,
    /// Generated tokens.
    pub output: u64,
    /// Prompt tokens read from the cache.
    pub cache_read: u64,
    /// Prompt tokens written to the cache.
    pub cache_write: u64,
    /// Searches that the API ran.
    pub web_searches: u64,
}

/// What an account tells of each model. Several names of one model are added up. Nothing if a name is none.
#[must_use]
pub fn models_of(told: &[ModelCost]) -> BTreeMap<Arc<str>, ModelAccount> {
    let mut models: BTreeMap<Arc<str>, ModelAccount> = BTreeMap::new();
    for told in told {
        let Some(name) = normalize(&told.model) else { return BTreeMap::new() };
        let model = models.entry(name.id).or_default();
        model.cost += Money::from_usd_f64(told.usd);
        model.input += told.input;
        model.output += told.output;
        model.cache_read += told.cache_read;
        model.cache_write += told.cache_write;
        model.web_searches += told.web_searches;
    }
    models
}
