//! Sums up what one change adds to gauges, or takes from them. Unlike counters, gauges take observations of any time.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::entries::labels_of;
use super::labels::LabelRules;
use super::metric::Metric;
use crate::measures::{Dimensions, Observation, SpanPlace, State};

/// Sums over the observations of one change, by metric and by the dimensions that its labels have.
#[derive(Debug, Default)]
pub(super) struct Gauges<'a>(Vec<GaugeSum<'a>>);

#[derive(Debug)]
struct GaugeSum<'a> {
    /// Position in the catalogue.
    position: usize,
    metric: &'static Metric,
    dimensions: Dimensions<'a>,
    amount: i128,
}

/// Sums by labels, and position in the catalogue.
pub(super) type Labelled = BTreeMap<(Vec<Arc<str>>, usize), (&'static Metric, i128)>;

impl<'a> Gauges<'a> {
    /// Adds an observation of the state after the change, or subtracts one of the state before. What counters alone have is
    /// left out.
    pub(super) fn add(
        &mut self,
        (position, metric): (usize, &'static Metric),
        state: State,
        observation: &Observation<'a>,
    ) {
        if matches!(observation.place, SpanPlace::Superseded) {
            return;
        }
        let amount = match state {
            State::Before => -observation.amount,
            State::After => observation.amount,
        };
        let dimensions = &observation.dimensions;
        // There are few sums, because most units have one model.
        let is_same = |sum: &&mut GaugeSum<'a>| {
            let mut labels = metric.labels.iter().filter_map(|label| label.dimension);
            sum.position == position && labels.all(|own| sum.dimensions.get(own) == dimensions.get(own))
        };
        match self.0.iter_mut().find(is_same) {
            Some(sum) => sum.amount += amount,
            None => self.0.push(GaugeSum { position, metric, dimensions: *dimensions, amount }),
        }
    }

    /// The sums by labels, in a fixed order, which decides the model that gets a series if there is room for only one
    /// more.
    pub(super) fn labelled(self, rules: &LabelRules) -> Labelled {
        let mut labelled = Labelled::new();
        for GaugeSum { position, metric, dimensions, amount } in self.0 {
            let Some(labels) = labels_of(metric, &dimensions, rules) else { continue };
            labelled.entry((labels, position)).or_insert((metric, 0)).1 += amount;
        }
        labelled
    }
}
