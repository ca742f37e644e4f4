//! What the counters of `/metrics` would have shown in the past if there had been a sidecar and a scraper.
//!
//! Names, labels and numbers are those of the totals, because both count the same observations. A counter starts at 0
//! at the beginning of the span and counts what is stamped before the end of the span. So a history that ends at the
//! epoch of a sidecar and the counters of that sidecar together hold everything once.
//!
//! - Gauges are left out, because they tell of now, and so are counters of lines, which have no time of their own.
//! - Series appear when they first change. If an open label has too many values, those that were used most keep their
//!   names: unlike the totals, a history knows them all before it is written.
//! - Memory: one cell for each step in which a series changed, whatever the size of the files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::measures::{Change, State, Wanted};
use crate::transcript::time::Timestamp;
use crate::views::metrics::catalog::{self, KeptIn, Label, Metric, MetricKind};
use crate::views::metrics::custom;
use crate::views::metrics::entries::{Entry, EntryKey, LastLabels, MetricsByMeasure};
pub use crate::views::metrics::history_times::{BEGINNING, HistorySpan};
use crate::views::metrics::labels::{LabelRules, OTHER};
use crate::views::metrics::series::{Series, bucket_of};
use crate::views::metrics::text::line::{LineStart, cumulative, label_pairs, limits};
use crate::views::metrics::text::open;

/// Bytes of text that are given to the caller at once.
const TEXT_BYTES: usize = 64 << 10;

/// Most entries of one share of an item: five kinds of tokens in each of the metrics that count them.
const SLOTS_MAX: usize = 32;

/// What a series gained, by step and position of the bucket.
type Cells = BTreeMap<(i64, usize), Gain>;

/// What a bucket of a series gained in a step; a counter has one bucket.
#[derive(Debug, Clone, Copy, Default)]
struct Gain {
    count: u64,
    sum: i128,
}

/// The counters of a span of time.
#[derive(Debug)]
pub struct MetricHistory {
    rules: LabelRules,
    readers: MetricsByMeasure,
    span: HistorySpan,
    series: BTreeMap<Series, Cells>,
    /// How often each value of an open label was used.
    uses: BTreeMap<(&'static str, Arc<str>), u64>,
    /// Number of observations that are stamped before [`BEGINNING`].
    undated: u64,
}

/// The target that the metrics seem to come from: values of the labels that a scraper would add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrapeTarget {
    pub job: String,
    pub instance: String,
}

/// How a history ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryEnd {
    /// Each series ends with its last number.
    Open,
    /// Each series ends with a 0 a second after its last number, because the counters of a sidecar begin at 0 then.
    /// Without that, a counter that exceeds the last number when it is first scraped would look as if it had gone on
    /// from there.
    Reset,
}

/// How much was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Series; each bucket of a histogram is one.
    pub series: u64,
    pub samples: u64,
    /// The first moment with a sample; `None` if there is no sample.
    pub first: Option<Timestamp>,
}

impl MetricHistory {
    /// An empty history.
    #[must_use]
    pub fn new(rules: LabelRules, span: HistorySpan) -> Self {
        Self {
            rules,
            readers: MetricsByMeasure::new(),
            span,
            series: BTreeMap::new(),
            uses: BTreeMap::new(),
            undated: 0,
        }
    }

    /// Adds a change of something that is new, so that only its state after the change counts.
    pub fn observe(&mut self, change: &Change<'_>) {
        let (mut entries, mut last): (Vec<(EntryKey, Entry)>, _) = (Vec::new(), LastLabels::default());
        change.observe(Wanted::all(), &mut |state, observation| {
            let metrics = self.readers.of(observation.measure).iter().copied();
            for reader in metrics.filter(|(_, metric)| metric.kind != MetricKind::Gauge && state == State::After) {
                let Some(entry) = Entry::of(observation, reader.1, (&self.rules, &mut last), None) else { continue };
                let key = EntryKey::of(observation, reader);
                // Slots that a metric does not tell apart are one number. Slots of an item come in a row, so it is
                // near.
                let same = entries.iter_mut().rev().take(SLOTS_MAX).find(|(known, _)| *known == key);
                match same {
                    Some((_, known)) => known.amount = known.amount.saturating_add(entry.amount),
                    None => entries.push((key, entry)),
                }
            }
        });
        let rules = self.rules.clone();
        custom::each(change, &rules, Timestamp(i64::MIN), &mut |said| {
            if let Some(metric) = rules.custom.metrics().get(said.rule).filter(|_| said.state == State::After) {
                self.add(metric, said.labels, said.amount, said.at);
            }
        });
        for (_, entry) in entries {
            self.add(entry.metric, entry.labels, entry.amount, entry.time);
        }
    }

    /// Number of observations that were left out because they have no time, or one before [`BEGINNING`]; 0 if the span
    /// has a beginning of its own.
    #[must_use]
    pub const fn undated(&self) -> u64 {
        self.undated
    }

    fn add(&mut self, metric: &'static Metric, labels: Vec<Arc<str>>, amount: i128, time: Timestamp) {
        let is_nothing = amount == 0 && metric.kind != MetricKind::Histogram;
        if is_nothing || time >= self.span.until {
            return;
        }
        if time < self.span.since.unwrap_or(BEGINNING) {
            self.undated += u64::from(self.span.since.is_none());
            return;
        }
        let open = metric.open_label().and_then(|at| metric.labels.get(at).zip(labels.get(at)));
        if let Some((label, value)) = open {
            *self.uses.entry((label.name, Arc::clone(value))).or_default() += 1;
        }
        let cell = (self.span.step_of(time), bucket_of(metric.buckets, amount));
        let gain = self.series.entry(Series::new(metric, labels)).or_default().entry(cell).or_default();
        gain.count = gain.count.saturating_add(1);
        gain.sum = gain.sum.saturating_add(amount);
    }

    /// Gives the history to `take` as OpenMetrics with timestamps: each series once, its samples in order of time, and
    /// `# EOF` at the end. Fails with the error of `take`.
    pub fn write<E>(
        mut self,
        target: &ScrapeTarget,
        ending: HistoryEnd,
        mut take: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<Written, E> {
        let mut written = Written::default();
        let custom = self.rules.custom.clone();
        let metrics = catalog::ALL.iter().chain(custom.metrics()).copied();
        for metric in metrics.filter(|metric| metric.kept == KeptIn::State) {
            let own = self.of(metric);
            if own.is_empty() {
                continue;
            }
            take(&open::head(&metric.full_name(), metric.kind, metric.help))?;
            for (labels, cells) in own {
                let lines = Lines::new(metric, &labels, target);
                lines.write(&self.span, &cells, ending, &mut written, &mut take)?;
            }
        }
        take(open::END)?;
        Ok(written)
    }

    /// Takes out the series of a metric; series beyond the limit are added up as `other`.
    fn of(&mut self, metric: &'static Metric) -> BTreeMap<Vec<Arc<str>>, Cells> {
        let mut rest = self.series.split_off(&Series::new(metric, Vec::new()));
        let first_of_next = rest.keys().find(|series| series.metric != metric.name).cloned();
        if let Some(next) = first_of_next {
            self.series.append(&mut rest.split_off(&next));
        }
        let all = rest.into_iter().map(|(series, cells)| (series.labels, cells));
        if metric.is_custom() {
            return self.bounded(all.collect());
        }
        let Some(open) = metric.open_label() else { return all.collect() };
        let all: Vec<_> = all.collect();
        let kept = self.kept(metric, open, all.iter().map(|(labels, _)| labels));
        let mut own: BTreeMap<Vec<Arc<str>>, Cells> = BTreeMap::new();
        for (mut labels, cells) in all {
            if let Some(value) = labels.get_mut(open).filter(|value| !kept.contains(*value)) {
                *value = OTHER.into();
            }
            add_to(own.entry(labels).or_default(), cells);
        }
        own
    }

    /// Series of a custom metric: those with most events keep their labels, as many as there is room for.
    fn bounded(&self, all: BTreeMap<Vec<Arc<str>>, Cells>) -> BTreeMap<Vec<Arc<str>>, Cells> {
        let mut all: Vec<_> = all.into_iter().collect();
        let events = |cells: &Cells| cells.values().map(|gain| gain.count).sum::<u64>();
        all.sort_by_cached_key(|(labels, cells)| (std::cmp::Reverse(events(cells)), labels.clone()));
        let mut own: BTreeMap<Vec<Arc<str>>, Cells> = BTreeMap::new();
        for (position, (mut labels, cells)) in all.into_iter().enumerate() {
            if position >= self.rules.series_max {
                labels.iter_mut().for_each(|value| *value = OTHER.into());
            }
            add_to(own.entry(labels).or_default(), cells);
        }
        own
    }

    /// The values of an open label that keep their names, as many as the metric has room for.
    fn kept<'a>(
        &self,
        metric: &'static Metric,
        open: usize,
        series: impl Iterator<Item = &'a Vec<Arc<str>>>,
    ) -> BTreeSet<Arc<str>> {
        let mut sizes: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        series
            .filter_map(|labels| labels.get(open))
            .for_each(|value| *sizes.entry(Arc::clone(value)).or_default() += 1);
        let name = metric.labels.get(open).map_or("", |label| label.name);
        let mut values: Vec<_> = sizes.into_iter().filter(|(value, _)| **value != *OTHER).collect();
        values.sort_by_key(|(value, _)| std::cmp::Reverse(self.uses.get(&(name, Arc::clone(value))).copied()));
        let mut room = self.limit(metric.labels.get(open));
        let fits = |(value, size): (Arc<str>, usize)| {
            room = room.checked_sub(size)?;
            Some(value)
        };
        values.into_iter().map_while(fits).collect()
    }

    /// Most series that a metric with this open label may have.
    fn limit(&self, label: Option<&Label>) -> usize {
        let by_project = label.is_some_and(|label| catalog::PROJECT_COST.labels.contains(label));
        if by_project { self.rules.series_max.min(self.rules.projects_max) } else { self.rules.series_max }
    }
}

/// Adds what happened in the cells of one series to those of another.
fn add_to(sums: &mut Cells, cells: Cells) {
    for (cell, gain) in cells {
        let sum = sums.entry(cell).or_default();
        sum.count = sum.count.saturating_add(gain.count);
        sum.sum = sum.sum.saturating_add(gain.sum);
    }
}

/// Writes the lines of a series.
struct Lines {
    metric: &'static Metric,
    /// What stands before the numbers: one text for a counter; for a histogram one for each bucket, the count and the
    /// sum.
    starts: Vec<String>,
}

impl Lines {
    fn new(metric: &'static Metric, values: &[Arc<str>], target: &ScrapeTarget) -> Self {
        let name = metric.full_name();
        let target = [("job", target.job.as_str()), ("instance", target.instance.as_str())];
        let start = LineStart::new(&name, target.into_iter().chain(label_pairs(metric, values)));
        let starts = if metric.kind == MetricKind::Histogram {
            let buckets = limits(metric, open::bound).map(|limit| start.bucket(&limit));
            buckets.chain([start.of("_count"), start.of("_sum")]).collect()
        } else {
            vec![start.of("")]
        };
        Self { metric, starts }
    }

    fn write<E>(
        &self,
        span: &HistorySpan,
        cells: &Cells,
        ending: HistoryEnd,
        written: &mut Written,
        take: &mut impl FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut gains = cells.iter().map(|((step, bucket), gain)| (span.shown(*step), *bucket, *gain)).peekable();
        let mut buckets = vec![0u64; self.metric.buckets.len() + 1];
        let mut sum = 0i128;
        let mut text = String::new();
        let times = span.times(cells.keys().map(|(step, _)| *step));
        for time in &times {
            while let Some((_, bucket, gain)) = gains.next_if(|(shown, ..)| shown <= time) {
                buckets.get_mut(bucket).into_iter().for_each(|count| *count = count.saturating_add(gain.count));
                sum = sum.saturating_add(gain.sum);
            }
            self.point(*time, &buckets, sum, &mut text);
            if text.len() > TEXT_BYTES {
                take(&text)?;
                text.clear();
            }
        }
        if ending == HistoryEnd::Reset {
            buckets.fill(0);
            self.point(span.end() + 1, &buckets, 0, &mut text);
        }
        let points = times.len() + usize::from(ending == HistoryEnd::Reset);
        written.series += self.starts.len() as u64;
        written.samples += (self.starts.len() * points) as u64;
        let first = times.first().map(|first| Timestamp(first.saturating_mul(1000)));
        written.first = written.first.into_iter().chain(first).min();
        take(&text)
    }

    /// Appends the samples of one moment; `time` is in seconds since 1970-01-01 UTC.
    fn point(&self, time: i64, buckets: &[u64], sum: i128, text: &mut String) {
        let sum = self.metric.unit.rendered(sum);
        let mut starts = self.starts.iter();
        let mut line = |number: &dyn std::fmt::Display| {
            starts.next().into_iter().for_each(|start| text.push_str(&format!("{start} {number} {time}\n")));
        };
        if self.metric.kind == MetricKind::Histogram {
            cumulative(buckets).for_each(|count| line(&count));
            line(&cumulative(buckets).last().unwrap_or(0));
        }
        line(&sum);
    }
}
