//! What a metric is: name, kind, unit, labels, and the measure that it counts.

#![warn(missing_docs)]

use crate::custom::ONE;
use crate::measures::measure;
use crate::measures::{Dimension, Measure};

/// The beginning of every name in the catalogue.
pub const PREFIX: &str = "tailspan_";

/// One metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// The beginning of its full name: [`PREFIX`], except for the metrics of [`claude_code`](super::claude_code).
    pub prefix: &'static str,
    /// Name without the prefix.
    pub name: &'static str,
    /// Whether it is a counter, a gauge or a histogram.
    pub kind: MetricKind,
    /// Unit of the rendered number.
    pub unit: MetricUnit,
    /// What it counts, in one or a few sentences.
    pub help: &'static str,
    /// The measure whose observations it counts; `None` if it is about reading or about the process.
    pub of: Option<Measure>,
    /// Labels, in the order in which values are given; at most one is open.
    pub labels: &'static [Label],
    /// Upper bounds of a histogram's buckets in its stored unit, without the infinite one; empty for other kinds.
    pub buckets: &'static [i128],
    /// Where the number is kept.
    pub kept: KeptIn,
}

/// Kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// A number that never goes down.
    Counter,
    /// A number that goes up and down.
    Gauge,
    /// Counts of observations by size.
    Histogram,
}

/// Unit of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricUnit {
    /// A number of things.
    Count,
    /// Tokens.
    Tokens,
    /// US dollars; stored in picodollars.
    Usd,
    /// Seconds; stored in milliseconds.
    Seconds,
    /// Seconds since 1970-01-01 UTC; stored in milliseconds.
    Timestamp,
    /// Bytes.
    Bytes,
    /// A share of a whole; stored in millionths.
    Ratio,
    /// 0 or 1.
    Boolean,
    /// Whatever a rule of the user says; stored in units of 10^-12. Only custom metrics have it.
    Number,
}

/// Where the number of a metric is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptIn {
    /// In the state: the number goes on after a restart.
    State,
    /// In the process: the number starts anew with each process.
    Process,
}

/// A label of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// Name of the label.
    pub name: &'static str,
    /// Which values it may have.
    pub values: Values,
    /// The dimension that its values come from; `None` for a label of a metric without a measure.
    pub dimension: Option<Dimension>,
}

/// Which values a label may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// Only these values.
    Closed(&'static [&'static str]),
    /// Any values that are observed, up to a limit.
    Open {
        /// Values whose series exist from the start.
        at_start: &'static [&'static str],
        /// What the values are, in words for people.
        about: &'static str,
    },
    /// What a rule of the user says; label sets are bounded as a whole.
    Said,
}

impl MetricKind {
    /// The name of the kind in the text formats.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl MetricUnit {
    /// The unit of a metric that counts a measure.
    const fn of(unit: measure::MeasureUnit) -> Self {
        match unit {
            measure::MeasureUnit::Count => Self::Count,
            measure::MeasureUnit::Tokens => Self::Tokens,
            measure::MeasureUnit::Picodollars => Self::Usd,
            measure::MeasureUnit::Milliseconds => Self::Seconds,
            measure::MeasureUnit::Bytes => Self::Bytes,
            measure::MeasureUnit::Moment => Self::Timestamp,
        }
    }

    /// The name of the unit in the documentation.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Tokens => "tokens",
            Self::Usd => "USD",
            Self::Seconds => "seconds",
            Self::Timestamp => "Unix time in seconds",
            Self::Bytes => "bytes",
            Self::Ratio => "share",
            Self::Boolean => "0 or 1",
            Self::Number => "as the rule says",
        }
    }

    /// A stored number of this unit as `/metrics` shows it: picodollars as dollars, milliseconds as seconds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "the text format has floats; the stored number stays exact")]
    pub fn rendered(self, stored: i128) -> f64 {
        match self {
            Self::Usd => crate::ledger::money::Money::from_picousd(stored).to_f64(),
            Self::Seconds | Self::Timestamp => stored as f64 / 1000.0,
            Self::Ratio => stored as f64 / 1e6,
            // Apart, so that whole numbers stay whole.
            Self::Number => (stored / ONE) as f64 + (stored % ONE) as f64 / ONE as f64,
            Self::Count | Self::Tokens | Self::Bytes | Self::Boolean => stored as f64,
        }
    }
}

impl Label {
    /// The values that exist from the start.
    #[must_use]
    pub const fn at_start(&self) -> &'static [&'static str] {
        match self.values {
            Values::Closed(values) => values,
            Values::Open { at_start, .. } => at_start,
            Values::Said => &[],
        }
    }

    /// The same label, with values that come from a dimension.
    pub(super) const fn of(self, dimension: Dimension) -> Self {
        Self { dimension: Some(dimension), ..self }
    }

    /// True if values are added when they are observed.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.values, Values::Open { .. })
    }
}

impl Metric {
    /// Name as it is scraped.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}{}", self.prefix, self.name)
    }

    /// True for the metric of a rule of the user.
    #[must_use]
    pub fn is_custom(&self) -> bool {
        self.unit == MetricUnit::Number
    }

    /// True if its numbers are shown together with the span that they come from.
    #[must_use]
    pub fn has_exemplars(&self) -> bool {
        self.kind == MetricKind::Histogram && !self.is_custom() || self.name == "cost_usd_total"
    }

    /// Position of the open label; `None` if all labels are closed.
    #[must_use]
    pub fn open_label(&self) -> Option<usize> {
        self.labels.iter().position(Label::is_open)
    }
}

pub(super) const fn closed(name: &'static str, values: &'static [&'static str]) -> Label {
    Label { name, values: Values::Closed(values), dimension: None }
}

pub(super) const fn open(name: &'static str, at_start: &'static [&'static str], about: &'static str) -> Label {
    Label { name, values: Values::Open { at_start, about }, dimension: None }
}

/// A counter of something about reading, kept in the state.
pub(super) const fn counter(
    name: &'static str,
    unit: MetricUnit,
    labels: &'static [Label],
    help: &'static str,
) -> Metric {
    let (kind, buckets, kept) = (MetricKind::Counter, &[], KeptIn::State);
    Metric { prefix: PREFIX, name, kind, unit, help, of: None, labels, buckets, kept }
}

/// A counter of a measure, which counts observations that are stamped at the first start or later.
pub(super) const fn counter_of(
    name: &'static str,
    of: Measure,
    labels: &'static [Label],
    help: &'static str,
) -> Metric {
    Metric { of: Some(of), ..counter(name, MetricUnit::of(of.unit()), labels, help) }
}

/// A gauge of a measure, which sums observations of any time and goes down if a sum does; of a measure whose latest amount
/// counts, the greatest of them.
pub(super) const fn gauge_of(name: &'static str, of: Measure, labels: &'static [Label], help: &'static str) -> Metric {
    Metric { kind: MetricKind::Gauge, ..counter_of(name, of, labels, help) }
}

/// A histogram of something about reading, kept in the state.
pub(super) const fn histogram(
    name: &'static str,
    unit: MetricUnit,
    labels: &'static [Label],
    buckets: &'static [i128],
    help: &'static str,
) -> Metric {
    Metric { kind: MetricKind::Histogram, buckets, ..counter(name, unit, labels, help) }
}

/// A histogram of the sizes of a measure's observations.
pub(super) const fn histogram_of(
    name: &'static str,
    of: Measure,
    labels: &'static [Label],
    buckets: &'static [i128],
    help: &'static str,
) -> Metric {
    Metric { kind: MetricKind::Histogram, buckets, ..counter_of(name, of, labels, help) }
}

/// A counter of something that the process counts since its start.
pub(super) const fn live_counter(
    name: &'static str,
    unit: MetricUnit,
    labels: &'static [Label],
    help: &'static str,
) -> Metric {
    Metric { kept: KeptIn::Process, ..counter(name, unit, labels, help) }
}

/// A gauge of something in the process.
pub(super) const fn live_gauge(
    name: &'static str,
    unit: MetricUnit,
    labels: &'static [Label],
    help: &'static str,
) -> Metric {
    Metric { kind: MetricKind::Gauge, ..live_counter(name, unit, labels, help) }
}
