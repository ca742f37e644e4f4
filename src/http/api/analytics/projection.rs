//! What the present month will have cost, as the answer about costs tells it.

use schemars::JsonSchema;
use serde::Serialize;

use super::cells::CellsNow;
use crate::transcript::time::Timestamp;
use crate::views::analytics::filter::Filter;
use crate::views::analytics::period::{Period, Zone};
use crate::views::analytics::projection::{BackTest, CONFIDENCE, DailySpend, METHOD, NoProjection, Projection};

/// Why there is no projection while cells are being made.
const INCOMPLETE: &str = "sums are being made for a state of an earlier version; they are not complete yet";

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Projection")]
pub(super) struct ProjectionForm {
    /// The month, as `2026-11`.
    month: String,
    /// What was spent of it.
    spent_usd: String,
    /// What the whole month will most likely have cost.
    expected_usd: String,
    /// The least that it will have cost, with `confidence`.
    low_usd: String,
    /// The most that it will have cost, with `confidence`.
    high_usd: String,
    /// What was done, in words.
    method: &'static str,
    /// Days of the past that it was made from.
    days_used: usize,
    /// The share of such intervals that hold what comes.
    confidence: f64,
    /// The same method on the past months of this history.
    back_test: BackTestForm,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "BackTest")]
struct BackTestForm {
    /// Months that could be tried.
    months: usize,
    /// The share of them that their intervals held; `null` without months.
    coverage: Option<f64>,
    /// Half of them were off by at most this share of their true cost; `null` without months.
    median_error: Option<f64>,
}

/// The projection of the month of a zone, of what a filter takes at any time; or why there is none.
pub(super) fn projection(
    cells: &CellsNow<'_>,
    filter: &Filter,
    zone: Zone,
    now: Timestamp,
) -> Result<ProjectionForm, String> {
    if !cells.is_complete() {
        return Err(INCOMPLETE.to_owned());
    }
    let days = DailySpend::of(&cells.cube().spend(filter), zone, now).ok_or(NoProjection::NoCalendar);
    let told = days.and_then(|days| Ok((days.projection(Period::Month, CONFIDENCE)?, days)));
    told.map(|(projection, days)| ProjectionForm::of(projection, days.back_test(CONFIDENCE)))
        .map_err(NoProjection::reason)
}

impl ProjectionForm {
    fn of(projection: Projection, back_test: BackTest) -> Self {
        let Projection { period, spent, expected, low, high, days_used, confidence } = projection;
        let BackTest { months, coverage, median_error } = back_test;
        Self {
            month: period,
            spent_usd: spent.to_string(),
            expected_usd: expected.to_string(),
            low_usd: low.to_string(),
            high_usd: high.to_string(),
            method: METHOD,
            days_used,
            confidence,
            back_test: BackTestForm {
                months,
                coverage: coverage.map(rounded),
                median_error: median_error.map(rounded),
            },
        }
    }
}

/// A share to four decimals: a dozen months tell no more.
fn rounded(share: f64) -> f64 {
    (share * 1e4).round() / 1e4
}
