//! Compares the stored counters with the sums of everything else that the state holds.
//!
//! A commit writes counters and the facts that they count in one batch, so they can differ only if the database lost a
//! part of a batch.

use std::collections::BTreeMap;
use std::fmt;

use crate::audit::held;
use crate::ledger::money::Money;
use crate::store::{StoreError, StoreReader};
use crate::transcript::time::Timestamp;
use crate::views::metrics::catalog::{self, Metric, MetricUnit};
use crate::views::metrics::labels::LabelRules;
use crate::views::metrics::totals::{Sample, Series, Snapshot, Stored, Totals};

/// Metrics that are compared: each is a sum over turns, responses and calls. Counted costs stay when prices change, so
/// of costs only the lifetime gauge is compared; metrics of lines that were read are left out, for lines are not
/// stored.
static COMPARED: [&Metric; 11] = [
    &catalog::TOKENS,
    &catalog::API_REQUESTS,
    &catalog::TOOL_CALLS,
    &catalog::TURNS,
    &catalog::SUBAGENTS_STARTED,
    &catalog::API_ERRORS,
    &catalog::COMPACTIONS,
    &catalog::WITHOUT_IDENTITY,
    &catalog::PROJECT_TOKENS,
    &catalog::LIFETIME_TOKENS,
    &catalog::LIFETIME_COST,
];

/// Metrics whose counters may be larger than the sums, but never smaller: a row of a better rank may say that a call
/// that was counted as failed did not fail, and a counter never shrinks.
static AT_LEAST: [&Metric; 3] = [&catalog::TOOL_FAILURES, &catalog::LINES_CHANGED, &catalog::UNREADABLE_USAGE];

/// A metric whose counters differ from the sum of what the state holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Miscount {
    metric: &'static Metric,
    counted: i128,
    held: i128,
}

impl fmt::Display for Miscount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metric, counted, held } = self;
        let value = |number: &i128| match metric.unit {
            MetricUnit::Usd => Money::from_picousd(*number).to_string(),
            _ => number.to_string(),
        };
        write!(f, "{}: {} is counted, the state holds {}", metric.full_name(), value(counted), value(held))
    }
}

/// Compares stored totals with the sums of the units in the state, as far as these are stamped at `epoch` or later.
/// Only sums over all series of a metric are compared, because the series of a fact depends on the configuration at the
/// time when it was counted. Once a session has ended for its age, or a stream told of one, only counters that are too small are told. Fails if the database cannot be read.
pub fn compare(
    reader: &StoreReader,
    stored: Vec<(Series, Stored)>,
    rules: &LabelRules,
    epoch: Timestamp,
) -> Result<Vec<Miscount>, StoreError> {
    let counted = sums(&Totals::load(rules.clone(), stored).snapshot());
    let held = sums(&held(reader, rules, epoch)?.snapshot());
    let sum = |sums: &BTreeMap<&'static str, i128>, metric: &Metric| sums.get(metric.name).copied().unwrap_or(0);
    let of = |metric: &&'static Metric| Miscount { metric, counted: sum(&counted, metric), held: sum(&held, metric) };
    // What ended for its age was counted, and is not held any more. Nor is what only the client's account told of a session
    // whose file came later.
    let is_more = !reader.retired_sessions()?.is_empty() || reader.has_runs()?;
    let differs = |miscount: &Miscount| {
        if is_more { miscount.counted < miscount.held } else { miscount.counted != miscount.held }
    };
    let exact = COMPARED.iter().map(of).filter(differs);
    let at_least = AT_LEAST.iter().map(of).filter(|miscount| miscount.counted < miscount.held);
    Ok(exact.chain(at_least).collect())
}

/// Totals of everything that the state holds.
fn held(reader: &StoreReader, rules: &LabelRules, epoch: Timestamp) -> Result<Totals, StoreError> {
    let mut totals = Totals::new(rules.clone());
    held::everything(reader, |change| {
        totals.observe(change, epoch, None);
        totals.committed();
    })?;
    Ok(totals)
}

fn sums(snapshot: &Snapshot) -> BTreeMap<&'static str, i128> {
    let sum = |metric: &&'static Metric| {
        let number = |sample: &Sample| match sample {
            Sample::Number(number) => *number,
            Sample::Histogram(_) => 0,
        };
        (metric.name, snapshot.of(metric).map(|(_, sample)| number(sample)).sum())
    };
    COMPARED.iter().chain(&AT_LEAST).map(sum).collect()
}
