//! The views that follow every commit. Each observes every change, tells what the commit writes of it, and shows only
//! what is durable.

use crate::engine::live::LiveSessions;
use crate::ledger::known::Changed;
use crate::measures::Change;
use crate::transcript::record::{Reason, RowBody};
use crate::transcript::time::Timestamp;
use crate::views::analytics::runaway::detector::Runaways;
use crate::views::analytics::runaway::settings::RunawaySettings;
use crate::views::metrics::catalog;
use crate::views::metrics::labels::LabelRules;
use crate::views::metrics::totals::{Series, Snapshot, Stored, Totals};
use crate::views::traces::ids::{TraceId, TraceScope};

/// All views that follow commits.
#[derive(Debug)]
pub(super) struct Projections {
    labels: LabelRules,
    /// Counters count facts that are stamped at this time or later.
    epoch: Timestamp,
    totals: Totals,
    live: LiveSessions,
    runaways: Runaways,
}

impl Projections {
    /// Goes on with the stored totals. Counters count from `epoch` on; `scope` says which trace an exemplar belongs to.
    pub(super) fn load(labels: LabelRules, stored: Vec<(Series, Stored)>, epoch: Timestamp, scope: TraceScope) -> Self {
        let totals = Totals::load(labels.clone(), stored).since(epoch).with_scope(scope);
        let runaways = Runaways::new(RunawaySettings { enabled: false, ..RunawaySettings::default() });
        Self { labels, epoch, totals, live: LiveSessions::default(), runaways }
    }

    /// Sets the time of the next commit.
    pub(super) const fn set_time(&mut self, now: Timestamp) {
        self.totals.set_time(now);
    }

    /// Observes a change of the facts. `trace` is the trace of the unit's spans, if that is known.
    pub(super) fn observe(&mut self, change: &Change<'_>, trace: Option<TraceId>, now: Timestamp) {
        self.totals.observe(change, self.epoch, trace);
        if let Change::Parts(changed) = change {
            self.live.note(&self.labels, changed, now);
        }
        self.runaways.observe(change, now);
    }

    /// Follows from now on which sessions run away.
    pub(super) fn follow_runaways(&mut self, settings: RunawaySettings) {
        self.runaways = Runaways::new(settings);
    }

    /// The sessions that run away.
    pub(super) const fn runaways(&self) -> &Runaways {
        &self.runaways
    }

    /// [`Projections::runaways`], to look at them.
    pub(super) const fn runaways_mut(&mut self) -> &mut Runaways {
        &mut self.runaways
    }

    /// Counts lines that were read.
    pub(super) fn lines(&mut self, lines: u64) {
        self.totals.add(&catalog::LINES, lines);
    }

    /// Observes the delay of a row between stream and file, in milliseconds.
    pub(super) fn delayed(&mut self, ms: u32) {
        self.totals.delayed(ms);
    }

    /// Counts lines that are missing in a stream, as a mark of this time says.
    pub(super) fn lost(&mut self, at: Timestamp, lines: u64) {
        if at >= self.epoch {
            self.totals.add(&catalog::STREAM_LOST_LINES, lines);
        }
    }

    /// Counts events that one side lacks for ever.
    pub(super) fn missing(&mut self, in_file: u64, in_stream: u64) {
        self.totals.missing(in_file, in_stream);
    }

    /// Counts a line that adds no fact. Returns the reason if the line could not be read.
    pub(super) fn line(&mut self, body: &RowBody) -> Option<&'static str> {
        match body {
            RowBody::Implausible => self.totals.add(&catalog::IMPLAUSIBLE_FIGURES, 1),
            RowBody::Rejected(reason) => {
                self.totals.rejected(*reason, 1);
                return Some(Reason::name(*reason));
            }
            RowBody::Unknown(kind) => self.totals.unknown(kind, 1),
            _ => {}
        }
        None
    }

    /// The changed totals, which the commit writes.
    pub(super) fn dirty(&mut self) -> impl Iterator<Item = (&Series, &Stored)> {
        self.totals.dirty()
    }

    /// To be called after a commit: every change is stored now.
    pub(super) fn committed(&mut self) {
        self.totals.committed();
    }

    /// The totals of the last commit, which may be shown once it is durable.
    pub(super) fn snapshot(&mut self) -> Snapshot {
        self.totals.snapshot()
    }

    /// The sessions that were active lately.
    pub(super) const fn live(&mut self) -> &mut LiveSessions {
        &mut self.live
    }

    /// Observes a unit or section of a session that was active before this process started, for what is live alone.
    pub(super) fn recall(&mut self, changed: &Changed<'_>) {
        // It is open, however long it has been quiet.
        self.live.note(&self.labels, changed, changed.unit.last);
    }
}
