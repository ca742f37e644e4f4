use std::sync::Arc;
use serde::{Deserialize, Serialize};
use crate::ledger::money::Money;
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Series { pub metric: String, pub labels: Vec<Arc<str>> }
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sample { Count(u64), Money(Money) }
