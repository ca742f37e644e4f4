//! Writes points as text, in the two formats that Prometheus scrapes.
//!
//! ```text
//! plain  text 0.0.4
//! open   OpenMetrics 1.0
//! line   parts of lines that both formats share, and the history too
//! ```
//!
//! Both formats are written from the same points, so that a scraper may change between them. Only here do stored
//! numbers become floats. Floats are written as Rust shows them: with the fewest digits that are read as the same
//! float, without an exponent.

pub(super) mod line;
pub(super) mod open;
mod plain;

use crate::views::metrics::catalog::MetricKind;
use crate::views::metrics::points::Point;
use line::{LineStart, label_pairs};

/// One of the two text formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    /// Text 0.0.4.
    Plain,
    /// OpenMetrics 1.0.
    Open,
}

/// A metric that is not in a catalogue: one number without labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Single {
    /// Name as it is scraped, with `_total` for a counter.
    pub name: String,
    pub kind: MetricKind,
    /// What it counts, in one sentence.
    pub help: String,
    /// The number as it is shown.
    pub number: f64,
}

impl TextFormat {
    /// The value of the `Content-Type` header for this format.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
            Self::Open => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// A whole text: the metrics of `points`, in which the points of one metric must be next to each other, and then
    /// `singles`.
    #[must_use]
    pub fn write(self, points: &[Point], singles: &[Single]) -> String {
        let mut text = String::new();
        for family in points.chunk_by(|a, b| a.metric == b.metric) {
            self.family(family, &mut text);
        }
        for Single { name, kind, help, number } in singles {
            text.push_str(&self.head(name, *kind, help));
            line::push(&mut text, name, number);
        }
        text.push_str(match self {
            Self::Plain => "",
            Self::Open => open::END,
        });
        text
    }

    fn family(self, points: &[Point], text: &mut String) {
        let Some(metric) = points.first().map(|point| point.metric) else { return };
        let name = metric.full_name();
        text.push_str(&self.head(&name, metric.kind, metric.help));
        for point in points {
            let start = LineStart::new(&name, label_pairs(metric, &point.labels));
            match self {
                Self::Plain => plain::samples(point, &start, text),
                Self::Open => open::samples(point, &start, text),
            }
        }
    }

    fn head(self, name: &str, kind: MetricKind, help: &str) -> String {
        match self {
            Self::Plain => plain::head(name, kind, help),
            Self::Open => open::head(name, kind, help),
        }
    }
}
