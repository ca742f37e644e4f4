//! The session from afar: what each stretch of it cost.

use serde_json::Value;

use super::paint::{Line, Style};
use crate::cli::ask::answer::{count, list, number, text};

/// Bars of one column, from the lowest to the highest.
const BARS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// Some events that follow each other.
#[derive(Debug, Clone, PartialEq)]
struct Stretch {
    from: usize,
    /// In US dollars, for a bar only.
    cost: f64,
    has_errors: bool,
}

/// Stretches of about the same number of events.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outline {
    stretches: Vec<Stretch>,
}

impl Outline {
    /// What an answer of the API tells.
    pub(super) fn of(answer: &Value) -> Self {
        let stretch = |told: &Value| Stretch {
            from: count(told, "/from").and_then(|from| usize::try_from(from).ok()).unwrap_or(0),
            cost: text(told, "/cost_usd")
                .and_then(|cost| cost.parse().ok())
                .or_else(|| number(told, "/cost_usd"))
                .unwrap_or(0.0),
            has_errors: count(told, "/errors").is_some_and(|errors| errors > 0),
        };
        Self { stretches: list(answer, "/stretches").iter().map(stretch).collect() }
    }

    /// A map of so many columns: bars of costs, errors in red, and the place of the chosen one of `total` events.
    pub(super) fn map(&self, columns: usize, (at, total): (usize, usize)) -> Line {
        let most = self.stretches.iter().map(|stretch| stretch.cost).fold(0.0, f64::max);
        let (columns, total) = (columns.max(1), total.max(1));
        let chosen = at.saturating_mul(columns) / total;
        let mut line = Line::default();
        for column in 0..columns {
            // The event in the middle of the column.
            let event = (2 * column + 1).saturating_mul(total) / (2 * columns);
            let behind = self.stretches.partition_point(|stretch| stretch.from <= event);
            let stretch = behind.checked_sub(1).and_then(|place| self.stretches.get(place));
            let part = stretch.filter(|_| most > 0.0).map_or(0.0, |stretch| stretch.cost / most);
            let step = BARS
                .iter()
                .enumerate()
                .rev()
                .find(|(step, _)| part * 8.0 > f64::from(u8::try_from(*step).unwrap_or(0)));
            let bar = step.map_or(" ", |(_, bar)| bar);
            let has_errors = stretch.is_some_and(|stretch| stretch.has_errors);
            let (bar, look) = match has_errors {
                true if bar == " " => ("▁", Style::BAD),
                true => (bar, Style::BAD),
                false => (bar, Style::MARK),
            };
            if column == chosen {
                line.push(bar, look.inverted());
            } else {
                line.push(bar, look);
            }
        }
        line
    }
}
