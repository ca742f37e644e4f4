//! All stored totals: counters since the first start, lifetime gauges, histograms.
//!
//! ```text
//! observe(change) per changed unit and section  ->  dirty(): what the commit writes  ->  committed()  ->  snapshot()
//! ```
//!
//! - Samples are absolute: a batch that is written again after a crash has the same bytes.
//! - Counters add what each item (response, call, turn, ...) has grown between two commits, summed over all units of
//!   the commit. An item that moves to another unit or gets other labels counts once. An item that shrinks subtracts
//!   nothing, because a counter never goes down.
//! - Lifetime gauges go up and down, so they are always the exact sum over all units.
//! - Histograms observe an item once, when it becomes final.
//! - A series begins at the first start if it exists at 0 from then on, else when it is first seen. So everything in it
//!   was counted after its beginning, and a scraper may assume 0 at the beginning.
//! - Exemplars are not stored: if one is lost with the process, no number is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3Default;

use crate::ledger::unit::Tool;
use crate::measures::{Change, Dimensions, MeasureKind, Observation, SpanPlace, State};
use crate::transcript::record::Reason;
use crate::transcript::time::Timestamp;
use crate::views::metrics::catalog::{self, Label, Metric, MetricKind};
use crate::views::metrics::custom;
use crate::views::metrics::entries::{Entry, EntryKey, LastLabels, MetricsByMeasure, labels_of};
use crate::views::metrics::exemplars::Exemplar;
use crate::views::metrics::gauges::Gauges;
use crate::views::metrics::labels::{self, LabelRules, OTHER, WORKFLOWS_MAX};
use crate::views::metrics::series::{Exemplars, bucket_of, product};
pub use crate::views::metrics::series::{Histogram, Sample, Series, Snapshot, Stored};
use crate::views::traces::ids::{TraceId, TraceScope};

/// All stored totals. A clone is cheap: the samples are copied when one of the two changes.
#[derive(Debug, Clone)]
pub struct Totals {
    rules: LabelRules,
    samples: Arc<BTreeMap<Series, Stored>>,
    exemplars: Arc<BTreeMap<Series, Exemplars>>,
    /// Says which trace the span of an exemplar is in.
    scope: TraceScope,
    /// The beginning of series that appear from now on.
    beginning: Option<Timestamp>,
    /// True while nothing was stored and nothing has been shown yet.
    is_new: bool,
    /// Number of series of each metric, without those of `other`.
    sizes: BTreeMap<&'static str, usize>,
    readers: MetricsByMeasure,
    pending: BTreeMap<EntryKey, Growth>,
    dirty: BTreeSet<Series>,
}

/// What one slot of an item gained since the last commit.
#[derive(Debug, Clone, Default)]
struct Growth {
    amount: i128,
    /// How often the slot appeared minus how often it disappeared.
    appeared: i64,
    /// The newest state of the slot; `None` if it only disappeared.
    newest: Option<Entry>,
    /// What the amount is of, if the client's account may have told it before its response did.
    told: Option<Told>,
}

/// What the tokens or the cost of a response may have been told as before: as the rest that no response explained.
#[derive(Debug, Clone, Copy)]
struct Told {
    /// A hash of session, model and kind of token.
    of: u64,
    /// True for the rest itself.
    is_rest: bool,
}

impl Told {
    fn of(observation: &Observation<'_>) -> Option<Self> {
        let is_rest = match observation.place {
            SpanPlace::Message(_, message) => message.is_rest(),
            SpanPlace::Superseded => true,
            _ => return None,
        };
        let Dimensions { session, model, kind, .. } = observation.dimensions;
        let mut hash = Xxh3Default::new();
        for part in [session, model, kind] {
            hash.update(part.unwrap_or_default().as_bytes());
            hash.update(&[0]);
        }
        Some(Self { of: hash.digest(), is_rest })
    }
}

impl Growth {
    fn note(&mut self, state: State, entry: Entry) {
        match state {
            State::Before => {
                self.amount = self.amount.saturating_sub(entry.amount);
                self.appeared -= 1;
            }
            State::After => {
                self.amount = self.amount.saturating_add(entry.amount);
                self.appeared += 1;
                self.newest = Some(entry);
            }
        }
    }
}

impl Totals {
    /// Empty totals: every series whose labels are known exists at 0.
    #[must_use]
    pub fn new(rules: LabelRules) -> Self {
        let mut totals = Self {
            rules,
            samples: Arc::default(),
            exemplars: Arc::default(),
            scope: TraceScope::default(),
            beginning: None,
            is_new: true,
            sizes: BTreeMap::new(),
            readers: MetricsByMeasure::new(),
            pending: BTreeMap::new(),
            dirty: BTreeSet::new(),
        };
        for metric in stored_metrics() {
            let values: Vec<_> = metric.labels.iter().map(Label::at_start).collect();
            for labels in product(&values) {
                totals.insert(Series::new(metric, labels), Sample::zero(metric).into());
            }
        }
        for name in totals.rules.workflows.clone().into_iter().flatten() {
            totals.introduce(&catalog::WORKFLOW, &totals.rules.workflow(Some(&name)));
        }
        for metric in totals.rules.custom.clone().metrics() {
            if metric.labels.is_empty() {
                totals.insert(Series::new(metric, Vec::new()), Sample::zero(metric).into());
            } else {
                let dropped = Series::new(&catalog::SERIES_DROPPED, vec![metric.full_name().into()]);
                totals.insert(dropped, Sample::zero(&catalog::SERIES_DROPPED).into());
            }
        }
        totals
    }

    /// Loads stored totals. Samples that this version has no metric for, or may not show, are left out.
    #[must_use]
    pub fn load(rules: LabelRules, rows: impl IntoIterator<Item = (Series, impl Into<Stored>)>) -> Self {
        let mut totals = Self::new(rules);
        for (series, stored) in rows {
            totals.is_new = false;
            let stored: Stored = stored.into();
            let metric = totals.metric_of(&series);
            // A series that began before the rule was first seen is of another rule, which had the same name.
            let is_of_rule = |metric: &Metric| stored.created >= totals.rules.custom.beginning_of(metric);
            let fits =
                |metric: &&Metric| totals.takes(metric, &series) && stored.sample.fits(metric) && is_of_rule(metric);
            let Some(metric) = metric.filter(fits) else {
                continue;
            };
            totals.insert(Series::new(metric, series.labels.clone()), stored);
            let open =
                metric.open_label().and_then(|position| series.labels.get(position).zip(metric.labels.get(position)));
            if let Some((value, label)) = open {
                totals.introduce(label, value);
            }
        }
        totals.dirty.clear();
        totals
    }

    /// Sets when counting began. Every series that has no beginning of its own gets this one.
    #[must_use]
    pub fn since(mut self, epoch: Timestamp) -> Self {
        let custom = &self.rules.custom;
        for (series, stored) in Arc::make_mut(&mut self.samples) {
            let own = custom.find(&series.metric).and_then(|metric| custom.beginning_of(metric));
            stored.created.get_or_insert(own.map_or(epoch, |own| own.max(epoch)));
        }
        self.beginning = Some(epoch);
        self
    }

    /// Sets which spans share a trace, for exemplars.
    #[must_use]
    pub const fn with_scope(mut self, scope: TraceScope) -> Self {
        self.scope = scope;
        self
    }

    /// Sets the time of the next commit, at which series that appear from now on begin.
    pub const fn set_time(&mut self, now: Timestamp) {
        // A state that is made anew from the files counts what an older state had shown already. If its series began
        // now, a scraper would take that for a reset, and the whole numbers for an increase.
        if !self.is_new {
            self.beginning = Some(now);
        }
    }

    /// Adds a change. Counters and histograms take what is stamped at `epoch` or later. `trace` is the trace of the
    /// unit's spans ([`trace_around`](crate::views::metrics::exemplars::trace_around)); without it, calls and responses
    /// have no exemplars.
    pub fn observe(&mut self, change: &Change<'_>, epoch: Timestamp, trace: Option<TraceId>) {
        let Self { readers, rules, pending, scope, .. } = self;
        let (mut gauges, mut last, mut latest) = (Gauges::default(), LastLabels::default(), Vec::new());
        change.observe(readers.wanted(epoch), &mut |state, observation| {
            for (position, metric) in readers.of(observation.measure).iter().copied() {
                if metric.kind == MetricKind::Gauge && observation.measure.kind() == MeasureKind::Latest {
                    let labels = labels_of(metric, &observation.dimensions, rules);
                    latest.extend(labels.map(|labels| (metric, labels, observation.amount)));
                } else if metric.kind == MetricKind::Gauge {
                    gauges.add((position, metric), state, observation);
                } else if observation.at >= epoch {
                    let Some(mut entry) = Entry::of(observation, metric, (rules, &mut last), trace) else {
                        continue;
                    };
                    if let (Some((at, _)), Some(unit)) = (entry.span.as_deref_mut(), change.unit()) {
                        *at = scope.place(unit.session(), *at);
                    }
                    let growth = pending.entry(EntryKey::of(observation, (position, metric))).or_default();
                    growth.note(state, entry);
                    growth.told = Told::of(observation);
                }
            }
        });
        custom::each(change, rules, epoch, &mut |said| {
            let Some(metric) = rules.custom.metrics().get(said.rule).copied() else { return };
            let entry = Entry { metric, labels: said.labels, amount: said.amount, time: said.at, span: None };
            pending.entry(EntryKey::of_rule(said.item, said.rule)).or_default().note(said.state, entry);
        });
        for ((labels, _), (metric, amount)) in gauges.labelled(rules) {
            self.apply(metric, labels, amount);
        }
        for (metric, labels, amount) in latest {
            self.apply_latest(metric, labels, amount);
        }
        if let Change::Parts(changed) = change {
            self.introduce_tools(&changed.parts.tools);
        }
    }

    /// Makes the series of each tool, of calls before the epoch too: `increase()` does not see the first call of a
    /// counter that appears with it. The series of a wait for an answer is made with the question.
    fn introduce_tools(&mut self, tools: &[Tool]) {
        for call in tools.iter().filter(|tool| tool.asked.is_some()).filter_map(|tool| tool.call.as_ref()) {
            let tool = self.rules.tool(&call.name);
            self.series(&catalog::PERMISSION_WAIT, vec![tool]);
        }
        let mut known: Vec<&str> = Vec::new();
        for call in tools.iter().filter_map(|tool| tool.call.as_ref()) {
            if !known.contains(&&*call.name) {
                known.push(&call.name);
                let tool = self.rules.tool(&call.name);
                self.series(&catalog::TOOL_CALLS, vec![tool]);
            }
        }
    }

    /// Adds to a counter without labels.
    pub fn add(&mut self, metric: &'static Metric, amount: u64) {
        self.apply(metric, Vec::new(), i128::from(amount));
    }

    /// Counts lines that could not be read.
    pub fn rejected(&mut self, reason: Reason, lines: u64) {
        self.apply(&catalog::REJECTED_LINES, vec![reason.name().into()], i128::from(lines));
    }

    /// Observes how much later than on a stream a row stood in the session file, in milliseconds.
    pub fn delayed(&mut self, ms: u32) {
        self.apply(&catalog::CORRELATION_DELAY, Vec::new(), i128::from(ms));
    }

    /// Counts events that a stream has and the session file lacks for ever, and the other way round.
    pub fn missing(&mut self, in_file: u64, in_stream: u64) {
        for (side, events) in [("file", in_file), ("stream", in_stream)] {
            self.apply(&catalog::CORRELATION_MISSING, vec![side.into()], i128::from(events));
        }
    }

    /// Counts lines of a type that this version does not know.
    pub fn unknown(&mut self, kind: &str, lines: u64) {
        self.apply(&catalog::UNKNOWN_RECORDS, vec![labels::record_kind(kind)], i128::from(lines));
    }

    /// Every series that changed since [`Totals::committed`], with its absolute sample: what the commit writes.
    pub fn dirty(&mut self) -> impl Iterator<Item = (&Series, &Stored)> {
        self.settle();
        self.dirty.iter().filter_map(|series| self.samples.get_key_value(series))
    }

    /// To be called after a commit: every change is stored now.
    pub fn committed(&mut self) {
        self.settle();
        self.dirty.clear();
    }

    /// All samples at this moment. They must be shown only after the commit is durable, or a crash would take them
    /// back.
    #[must_use]
    pub fn snapshot(&mut self) -> Snapshot {
        self.settle();
        self.is_new = false;
        Snapshot {
            series: Arc::clone(&self.samples),
            exemplars: Arc::clone(&self.exemplars),
            custom: Arc::clone(self.rules.custom.shared_metrics()),
        }
    }

    /// Adds what has grown. This waits until all units of the commit were observed, because a response that moves from
    /// one unit to another has not grown. Nor has what was a rest of its session before, of whatever run.
    fn settle(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let mut explained: BTreeMap<(u16, u64), i128> = BTreeMap::new();
        for (key, growth) in pending.iter().filter(|(_, growth)| growth.amount < 0) {
            if let Some(told) = growth.told.filter(|told| told.is_rest) {
                *explained.entry((key.metric(), told.of)).or_default() -= growth.amount;
            }
        }
        for (key, mut growth) in pending {
            if let Some(told) = growth.told.filter(|_| !explained.is_empty())
                && let Some(explained) = explained.get_mut(&(key.metric(), told.of))
            {
                let known = (*explained).min(growth.amount).max(0);
                *explained -= known;
                growth.amount -= known;
            }
            let Some(entry) = growth.newest else { continue };
            let exemplar = entry.exemplar();
            let Entry { metric, labels, amount, .. } = entry;
            match metric.kind {
                MetricKind::Histogram if growth.appeared > 0 => self.apply_at(metric, labels, amount, exemplar),
                MetricKind::Counter if growth.amount > 0 => self.apply_at(metric, labels, growth.amount, exemplar),
                _ => {}
            }
        }
    }

    /// Adds `amount` to a number, or observes it in a histogram.
    fn apply(&mut self, metric: &'static Metric, labels: Vec<Arc<str>>, amount: i128) {
        self.apply_at(metric, labels, amount, None);
    }

    /// As [`Totals::apply`], with the span that shows the amount.
    fn apply_at(&mut self, metric: &'static Metric, labels: Vec<Arc<str>>, amount: i128, exemplar: Option<Exemplar>) {
        if amount == 0 && metric.kind != MetricKind::Histogram {
            return;
        }
        let Some(series) = self.series(metric, labels.clone()) else { return };
        let dropped = series.labels != labels;
        match self.sample_mut(&series) {
            Some(Sample::Number(number)) => *number = number.saturating_add(amount),
            Some(Sample::Histogram(histogram)) => histogram.observe(metric.buckets, amount),
            None => {}
        }
        if let Some(exemplar) = exemplar {
            self.exemplify(metric, &series, exemplar);
        }
        self.dirty.insert(series);
        if dropped {
            // Metrics by project have no such series, because their limit is a choice of the user and not a loss.
            let series = Series::new(&catalog::SERIES_DROPPED, vec![metric.full_name().into()]);
            if let Some(Sample::Number(number)) = self.sample_mut(&series) {
                *number = number.saturating_add(1);
                self.dirty.insert(series);
            }
        }
    }

    /// Raises a number to `amount`, if that is greater.
    fn apply_latest(&mut self, metric: &'static Metric, labels: Vec<Arc<str>>, amount: i128) {
        let Some(series) = self.series(metric, labels) else { return };
        if let Some(Sample::Number(number)) = self.sample_mut(&series) {
            *number = amount.max(*number);
            self.dirty.insert(series);
        }
    }

    fn sample_mut(&mut self, series: &Series) -> Option<&mut Sample> {
        Arc::make_mut(&mut self.samples).get_mut(series).map(|stored| &mut stored.sample)
    }

    /// Keeps the latest exemplar of a bucket by its own time, because the order in which amounts are added within one
    /// commit is arbitrary.
    fn exemplify(&mut self, metric: &Metric, series: &Series, exemplar: Exemplar) {
        let buckets = Arc::make_mut(&mut self.exemplars)
            .entry(series.clone())
            .or_insert_with(|| vec![None; metric.buckets.len() + 1]);
        if let Some(bucket) = buckets.get_mut(bucket_of(metric.buckets, exemplar.value))
            && bucket.is_none_or(|known| known.time <= exemplar.time)
        {
            *bucket = Some(exemplar);
        }
    }

    /// The series for these label values, which is made if it does not exist; the series of `other` if the metric is
    /// full.
    fn series(&mut self, metric: &'static Metric, labels: Vec<Arc<str>>) -> Option<Series> {
        let mut series = Series::new(metric, labels);
        if self.samples.contains_key(&series) {
            return Some(series);
        }
        if metric.is_custom() {
            return Some(self.custom_series(metric, series));
        }
        let position = metric.open_label()?;
        let label = metric.labels.get(position)?;
        let value = Arc::clone(series.labels.get(position)?);
        self.introduce(label, &value);
        if !self.samples.contains_key(&series) {
            *series.labels.get_mut(position)? = OTHER.into();
            self.introduce(label, &OTHER.into());
        }
        self.samples.contains_key(&series).then_some(series)
    }

    /// Makes a series of a custom metric; the series whose labels are all `other` if the metric is full.
    fn custom_series(&mut self, metric: &'static Metric, mut series: Series) -> Series {
        if self.sizes.get(metric.name).copied().unwrap_or(0) >= self.rules.series_max {
            series.labels.iter_mut().for_each(|value| *value = OTHER.into());
        }
        if !self.samples.contains_key(&series) {
            let created = self.beginning.max(self.rules.custom.beginning_of(metric));
            self.insert(series.clone(), Stored { sample: Sample::zero(metric), created });
        }
        series
    }

    fn metric_of(&self, series: &Series) -> Option<&'static Metric> {
        stored_metrics().find(|metric| series.metric == metric.name).or_else(|| self.rules.custom.find(&series.metric))
    }

    /// Makes all series of a new value of an open label, at 0, in every metric that has the label and room for them.
    fn introduce(&mut self, label: &Label, value: &Arc<str>) {
        for metric in stored_metrics() {
            let Some(position) = metric.labels.iter().position(|own| own == label) else { continue };
            let mut values: Vec<_> = metric.labels.iter().map(Label::at_start).collect();
            let only = [&**value];
            if let Some(own) = values.get_mut(position) {
                *own = &only;
            }
            let new: Vec<_> = product(&values)
                .into_iter()
                .map(|labels| Series::new(metric, labels))
                .filter(|series| !self.samples.contains_key(series))
                .collect();
            let size = self.sizes.get(metric.name).copied().unwrap_or(0);
            let fits = **value == *OTHER || size.saturating_add(new.len()) <= self.limit(label, new.len());
            for series in new.into_iter().filter(|_| fits) {
                self.dirty.insert(series.clone());
                self.insert(series, Stored { sample: Sample::zero(metric), created: self.beginning });
            }
        }
    }

    /// Most series that a metric with this open label may have, of which it has so many for each value.
    fn limit(&self, label: &Label, of_each: usize) -> usize {
        let series_max = self.rules.series_max;
        if catalog::PROJECT_COST.labels.contains(label) {
            series_max.min(self.rules.projects_max)
        } else if catalog::WORKFLOW_COST.labels.contains(label) && self.rules.workflows.is_none() {
            series_max.min(WORKFLOWS_MAX.saturating_mul(of_each))
        } else {
            series_max
        }
    }

    fn insert(&mut self, series: Series, stored: Stored) {
        let metric = self.metric_of(&series);
        let is_other = |value: &Arc<str>| **value == *OTHER;
        let is_custom = metric.is_some_and(|metric| metric.is_custom());
        let of_rest = if is_custom { series.labels.iter().all(is_other) } else { series.labels.iter().any(is_other) };
        let named = !of_rest;
        let new = Arc::make_mut(&mut self.samples).insert(series, stored).is_none();
        if let Some(metric) = metric.filter(|_| new && named) {
            *self.sizes.entry(metric.name).or_default() += 1;
        }
    }

    /// True if a stored series is one that `metric` could have now.
    fn takes(&self, metric: &Metric, series: &Series) -> bool {
        let known = |(label, value): (&Label, &Arc<str>)| match label.values {
            catalog::Values::Closed(values) => {
                let is_custom = || self.rules.custom.metrics().iter().any(|metric| metric.full_name() == **value);
                values.contains(&&**value) || *metric == catalog::SERIES_DROPPED && is_custom()
            }
            catalog::Values::Said => true,
            catalog::Values::Open { .. } => {
                (!catalog::PROJECT_COST.labels.contains(label) || self.rules.shows_project(value))
                    && (!catalog::WORKFLOW_COST.labels.contains(label) || self.rules.shows_workflow(value))
            }
        };
        metric.labels.len() == series.labels.len() && metric.labels.iter().zip(&series.labels).all(known)
    }
}

fn stored_metrics() -> impl Iterator<Item = &'static Metric> {
    catalog::ALL.iter().copied().filter(|metric| metric.kept == catalog::KeptIn::State)
}
