//! Turns observations into entries of metrics, which have labels instead of dimensions.

use std::sync::Arc;

use super::catalog;
use super::exemplars::{self, Exemplar};
use super::labels::{self, LabelRules, OTHER};
use super::metric::{Label, Metric, MetricKind};
use crate::measures::dimensions::SUBAGENT;
use crate::measures::{Dimension, Dimensions, Item, Measure, Observation, Slot, Wanted};
use crate::transcript::time::Timestamp;
use crate::views::traces::ids::{SpanAt, TraceId};

/// The number that one observation adds to a series.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub metric: &'static Metric,
    pub labels: Vec<Arc<str>>,
    pub amount: i128,
    /// When it happened, which is compared with the epoch.
    pub time: Timestamp,
    /// The span that shows the observation, and its time, for metrics with exemplars. Few metrics have these, so the
    /// pair is boxed.
    pub span: Option<Box<(SpanAt, Timestamp)>>,
}

/// Names what counts once in a metric: a slot of an item. Two states of an item are compared by this key, whatever
/// their labels are, so that an item which changes its labels or its unit counts once, under the labels that it had
/// when it grew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EntryKey {
    item: Item,
    share: u32,
    /// Position in the catalogue.
    metric: u16,
    part: u16,
}

/// Which metrics count which measure.
#[derive(Debug, Clone)]
pub(super) struct MetricsByMeasure(Vec<Vec<(usize, &'static Metric)>>);

impl MetricsByMeasure {
    /// Reads the measures of all metrics in the catalogue.
    pub(super) fn new() -> Self {
        let of = |measure: &Measure| {
            let metrics = catalog::ALL.iter().copied().enumerate();
            metrics.filter(|(_, metric)| metric.of == Some(*measure)).collect()
        };
        Self(Measure::ALL.iter().map(of).collect())
    }

    /// The metrics that count a measure, with their positions in the catalogue.
    pub(super) fn of(&self, measure: Measure) -> &[(usize, &'static Metric)] {
        self.0.get(measure as usize).map_or(&[], Vec::as_slice)
    }

    /// Which observations the metrics take: those stamped at `since` or later, for gauges all, and what counters alone have.
    pub(super) fn wanted(&self, since: Timestamp) -> Wanted {
        let has_gauge =
            |measure: &&Measure| self.of(**measure).iter().any(|(_, metric)| metric.kind == MetricKind::Gauge);
        let always = Measure::ALL.iter().filter(has_gauge);
        always.fold(Wanted::since(since).and_superseded(), |wanted, measure| wanted.and_always(*measure))
    }
}

impl EntryKey {
    /// The key of an observation in a metric. If the metric has no label for the dimension by which the measure is
    /// split, an item has one slot for the sum over that dimension.
    pub(super) fn of(observation: &Observation<'_>, (position, metric): (usize, &Metric)) -> Self {
        let Slot { share, part } = observation.slot;
        let split = observation.measure.split();
        let tells = metric.labels.iter().any(|label| split.is_some() && label.dimension == split);
        // Both numbers are small: the catalogue has some sixty metrics, and a measure is split into five at most.
        let small = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
        let part = if tells { usize::try_from(part).unwrap_or(usize::MAX) } else { 0 };
        Self { item: observation.item, share, metric: small(position), part: small(part) }
    }
}

impl EntryKey {
    /// The position of the metric.
    pub(super) const fn metric(&self) -> u16 {
        self.metric
    }

    /// The key of an event in the metric of the rule at this position.
    pub(super) fn of_rule(item: Item, rule: usize) -> Self {
        let metric = u16::try_from(catalog::ALL.len().saturating_add(rule)).unwrap_or(u16::MAX);
        Self { item, share: 0, metric, part: 0 }
    }
}

impl Entry {
    /// The entry of an observation in a metric; `None` if a label of the metric has no value for it. `trace` is the
    /// trace of the unit's spans.
    pub(super) fn of<'a>(
        observation: &Observation<'a>,
        metric: &'static Metric,
        (rules, last): (&LabelRules, &mut LastLabels<'a>),
        trace: Option<TraceId>,
    ) -> Option<Self> {
        let labels = metric.labels.iter().map(|label| last.value_of(label, &observation.dimensions, rules));
        let labels = labels.collect::<Option<_>>()?;
        let span = if metric.has_exemplars() { exemplars::of(&observation.place, trace) } else { None };
        Some(Self { metric, labels, amount: observation.amount, time: observation.at, span: span.map(Box::new) })
    }

    /// The entry as an exemplar of its metric.
    pub(super) fn exemplar(&self) -> Option<Exemplar> {
        self.span.as_deref().map(|(at, time)| Exemplar { at: *at, value: self.amount, time: *time })
    }
}

/// The label values that were made last. Nearly all observations of one change have the same project and the same
/// model.
#[derive(Debug, Default)]
pub(super) struct LastLabels<'a>(Vec<LastLabel<'a>>);

/// A dimension, its raw value, and the label that it became.
type LastLabel<'a> = (Dimension, Option<&'a str>, Option<Arc<str>>);

impl<'a> LastLabels<'a> {
    fn value_of(&mut self, label: &Label, of: &Dimensions<'a>, rules: &LabelRules) -> Option<Arc<str>> {
        let dimension = label.dimension?;
        let raw = of.get(dimension);
        let known = self.0.iter_mut().find(|(known, ..)| *known == dimension);
        if let Some((_, of_raw, value)) = &known
            && *of_raw == raw
        {
            return value.clone();
        }
        let value = value_of(label, of, rules);
        match known {
            Some(known) => *known = (dimension, raw, value.clone()),
            None => self.0.push((dimension, raw, value.clone())),
        }
        value
    }
}

/// The labels of a metric for these dimensions; `None` if a label has no value.
pub(super) fn labels_of(metric: &Metric, of: &Dimensions<'_>, rules: &LabelRules) -> Option<Vec<Arc<str>>> {
    metric.labels.iter().map(|label| value_of(label, of, rules)).collect()
}

/// The value of a label, from a bounded set and without anything that must not be shown.
fn value_of(label: &Label, of: &Dimensions<'_>, rules: &LabelRules) -> Option<Arc<str>> {
    let dimension = label.dimension?;
    let raw = of.get(dimension);
    match dimension {
        Dimension::Model => raw.map(labels::model),
        Dimension::Project => rules.project(raw),
        Dimension::Entrypoint => Some(labels::entrypoint(raw).into()),
        Dimension::AgentType => (of.agent == Some(SUBAGENT)).then(|| labels::agent_type(raw).into()),
        Dimension::Tool => raw.map(|name| rules.tool(name)),
        Dimension::Workflow => Some(rules.workflow(raw)),
        // These dimensions have few values, all of them words of this program.
        Dimension::Agent
        | Dimension::TokenKind
        | Dimension::Outcome
        | Dimension::Reason
        | Dimension::Origin
        | Dimension::Trigger
        | Dimension::RunOutcome
        | Dimension::LineChange => raw.map(Arc::from),
        // These dimensions have any number of values, so no metric may have them as labels.
        Dimension::Session | Dimension::Branch => Some(OTHER.into()),
    }
}
