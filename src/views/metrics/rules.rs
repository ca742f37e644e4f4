//! The custom metrics of the configuration: rules, the metric of each, and since when each counts.

use std::sync::Arc;

use super::metric::{KeptIn, Label, Metric, MetricKind, MetricUnit, PREFIX, Values};
use crate::custom::{Kind, Rule, Rules, fixed};
use crate::transcript::time::Timestamp;

/// Rules that are counted. A clone is cheap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomRules {
    rules: Rules,
    metrics: Arc<[&'static Metric]>,
    /// When each rule was first seen; empty if all of them count everything, read at once.
    since: Arc<[Timestamp]>,
}

impl CustomRules {
    /// Rules that count everything, of any time, as if all of it were over: those of a reading after which no row comes.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        let metrics = rules.all().iter().map(metric_of).collect();
        Self { rules, metrics, since: Arc::default() }
    }

    /// The same rules for a state that lives on. Each counts what is stamped at its time or later, and what may still
    /// change only when it is over.
    #[must_use]
    pub fn since(&self, since: Vec<Timestamp>) -> Self {
        Self { since: since.into(), ..self.clone() }
    }

    /// The rules.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The metrics of the rules, in their order.
    #[must_use]
    pub fn metrics(&self) -> &[&'static Metric] {
        &self.metrics
    }

    pub(super) const fn shared_metrics(&self) -> &Arc<[&'static Metric]> {
        &self.metrics
    }

    /// True if everything that is read is over.
    pub(super) fn are_of_everything(&self) -> bool {
        self.since.is_empty()
    }

    /// The time from which on the rule at this position counts.
    pub(super) fn begins(&self, rule: usize) -> Timestamp {
        self.since.get(rule).copied().unwrap_or(Timestamp(i64::MIN))
    }

    /// The time from which on the rule of a metric counts; `None` if it is no metric of a rule, or counts everything.
    pub(super) fn beginning_of(&self, metric: &Metric) -> Option<Timestamp> {
        let rule = self.metrics.iter().position(|own| own.name == metric.name)?;
        self.since.get(rule).copied()
    }

    pub(super) fn find(&self, name: &str) -> Option<&'static Metric> {
        self.metrics.iter().copied().find(|metric| metric.name == name)
    }
}

/// The metric of a rule. It lives as long as the process, as the metrics of the catalogue do: rules are made when a
/// configuration is read, and that happens once.
fn metric_of(rule: &Rule) -> &'static Metric {
    let label = |(name, _): &(String, String)| Label { name: kept(name), values: Values::Said, dimension: None };
    let labels: Vec<Label> = rule.text.labels.iter().map(label).collect();
    let buckets: Vec<i128> = rule.buckets().iter().map(|bound| fixed(*bound)).collect();
    Box::leak(Box::new(Metric {
        prefix: PREFIX,
        name: kept(&rule.metric_name()),
        kind: if rule.text.kind == Kind::Counter { MetricKind::Counter } else { MetricKind::Histogram },
        unit: MetricUnit::Number,
        help: kept(&rule.text.help),
        of: None,
        labels: labels.leak(),
        buckets: buckets.leak(),
        kept: KeptIn::State,
    }))
}

fn kept(text: &str) -> &'static str {
    text.to_owned().leak()
}
