//! Hands over what was read: to the sidecar while it answers, else to the spool.
//!
//! ```text
//! direct    lines go to the sidecar in requests of whole lines; while one is under way, the next lines gather
//! spooled   lines go to the spool; now and then the sidecar is asked. If it answers, it gets the spool, piece by piece, and
//!           then lines go directly again
//! ```
//!
//! A line leaves the tape only when the sidecar has it durably, or the spool has it. So a request that fails is no loss: its
//! lines are spooled, and the sidecar knows those again that it has seen.

use std::collections::VecDeque;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::leftovers::Leftovers;
use super::lines::{Lines, Segment};
use super::post::{BATCH_BYTES, NotTaken, Part, Sidecar, Waiting, piece_end};
use super::tape::{Head, Next, Piece, Tape};
use super::teller::Teller;
use crate::sidecar::clock;
use crate::streams::line::LINE_BYTES_MAX;
use crate::streams::spool::Spooled;
use crate::streams::{Run, Spool, mark};
use crate::text::chain;
use crate::transcript::time::Timestamp;

/// If so many bytes wait while the sidecar is waited for, it is too slow.
const LAG_BYTES: u64 = 8 << 20;
/// How long lines gather for the spool, unless so many bytes are there already.
const GATHER: Duration = Duration::from_millis(2);
const GATHER_BYTES: u64 = 1 << 20;
/// How long the sidecar may take nothing and say nothing.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it has once standard input has ended.
const LAST_PATIENCE: Duration = Duration::from_millis(200);
/// The shortest and the longest time between two tries; it doubles with each.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// Hands over the lines of one run.
pub(super) struct Courier<'t> {
    tape: &'t Tape,
    run: Run,
    begun: Timestamp,
    teller: &'t Teller,
    /// `None`: there is none by configuration.
    sidecar: Option<Sidecar>,
    /// `None`: there is no folder for one.
    spool: Option<Spool>,
    lines: Lines,
    way: Way,
    leftovers: Leftovers,
    pause: Duration,
    /// Whether the sidecar is there, but let this process wait for too long when it was asked last.
    is_slow: bool,
    /// Lines and bytes that were dropped and not told of yet.
    lost: (u64, u64),
    lost_ever: (u64, u64),
}

/// Where lines go.
enum Way {
    Direct,
    Spooled {
        /// When the sidecar is asked again; `None` while it answers.
        again: Option<Instant>,
        /// How much of the spool it has.
        delivered: u64,
    },
}

/// What is handed over together.
struct Batch {
    segments: Vec<Segment>,
    /// The mark of the end.
    end: Option<(Timestamp, u64)>,
}

impl<'t> Courier<'t> {
    pub(super) fn new(
        tape: &'t Tape,
        (run, begun): (Run, Timestamp),
        sidecar: Option<Sidecar>,
        spool: Option<Spool>,
        teller: &'t Teller,
    ) -> Self {
        Self {
            tape,
            run,
            begun,
            teller,
            sidecar,
            spool,
            lines: Lines::default(),
            way: Way::Direct,
            leftovers: Leftovers::default(),
            pause: PAUSES[0],
            is_slow: false,
            lost: (0, 0),
            lost_ever: (0, 0),
        }
    }

    /// Hands over everything that comes, until nothing more will come.
    pub(super) fn run(mut self) {
        // The sidecar learns of the run at its begin.
        self.hand_over(&Batch { segments: Vec::new(), end: None });
        loop {
            let is_little = self.tape.end().saturating_sub(self.lines.scanned) < GATHER_BYTES;
            if is_little && matches!(self.way, Way::Spooled { .. }) && self.tape.closed().is_none() {
                // Nobody waits for what is spooled: it is worth a moment to write more at once.
                thread::sleep(GATHER);
            }
            self.scan();
            self.look_after_spool();
            if !self.lines.segments.is_empty() {
                let batch = Batch { segments: self.lines.segments.drain(..).collect(), end: None };
                self.hand_over(&batch);
                continue;
            }
            if self.is_delivering() || self.deliver_leftovers() {
                continue;
            }
            let patience = match self.way {
                Way::Spooled { again: Some(again), .. } => Some(again.saturating_duration_since(Instant::now())),
                _ => None,
            };
            if self.tape.wait(self.lines.scanned, patience) == Next::End {
                break;
            }
        }
        self.finish();
    }

    /// Looks for whole lines in what has come.
    fn scan(&mut self) {
        let place = self.tape.place(Head::Events);
        let (lines, bytes) = self.tape.take_dropped();
        if place > self.lines.head || bytes > 0 {
            // The memory was full: lines were dropped, and the next begins behind the next newline.
            self.lose(lines, bytes);
            self.lines = Lines { head: place, whole: place, scanned: place, is_skipping: true, ..Lines::default() };
        }
        while self.lines.scanned < self.tape.end() && self.lines.whole - self.lines.head < BATCH_BYTES {
            let (at, next) = self.tape.arrival(self.lines.scanned);
            let at = at.map_or_else(clock::now, Timestamp);
            match self.tape.piece(self.lines.scanned, next.max(self.lines.scanned + 1)) {
                Ok(piece) => self.scan_piece(&piece, at),
                // Dropped meanwhile, or the file cannot be read: the next look finds another place.
                Err(error) => {
                    if error.kind() != io::ErrorKind::NotFound {
                        self.teller
                            .once("unreadable", || format!("events that were put on the disk are lost: {error}"));
                        self.tape.advance(Head::Events, self.tape.memory_begin().max(self.lines.scanned + 1));
                    }
                    return;
                }
            }
            if self.lines.scanned - self.lines.whole > LINE_BYTES_MAX as u64 && !self.lines.is_skipping {
                self.skip_long_line();
                return;
            }
        }
    }

    fn scan_piece(&mut self, piece: &Piece, at: Timestamp) {
        let bytes = piece.as_ref();
        self.teller.look_at_form(self.lines.scanned, bytes);
        let lines = &mut self.lines;
        if lines.is_skipping {
            let newline = memchr::memchr(b'\n', bytes);
            lines.is_skipping = newline.is_none();
            let skipped = newline.map_or(bytes.len(), |newline| newline + 1) as u64;
            lines.scanned += skipped;
            (lines.head, lines.whole) = (lines.scanned, lines.scanned);
            let ended = u64::from(!lines.is_skipping);
            self.tape.advance(Head::Events, lines.scanned);
            self.lose(ended, skipped);
            return;
        }
        if let Some(last) = memchr::memrchr(b'\n', bytes) {
            let end = lines.scanned + last as u64 + 1;
            let count = memchr::memchr_iter(b'\n', bytes).count() as u64;
            match lines.segments.back_mut().filter(|segment| segment.at == at) {
                Some(segment) => (segment.range.end, segment.lines) = (end, segment.lines + count),
                None => lines.segments.push_back(Segment {
                    at,
                    range: lines.whole..end,
                    lines: count,
                    lacks_newline: false,
                }),
            }
            lines.whole = end;
        }
        lines.scanned += bytes.len() as u64;
    }

    /// Drops the line whose end is still to come, because it is longer than a line may be.
    fn skip_long_line(&mut self) {
        let batch = Batch { segments: self.lines.segments.drain(..).collect(), end: None };
        if !batch.segments.is_empty() {
            self.hand_over(&batch);
        }
        let lines = &mut self.lines;
        let bytes = lines.scanned - lines.whole;
        (lines.head, lines.whole, lines.is_skipping) = (lines.scanned, lines.scanned, true);
        self.tape.advance(Head::Events, lines.scanned);
        self.lose(0, bytes);
        self.teller.once("long", || format!("a line of more than {LINE_BYTES_MAX} bytes is passed on, but not kept"));
    }

    fn lose(&mut self, lines: u64, bytes: u64) {
        add(&mut self.lost, (lines, bytes));
        add(&mut self.lost_ever, (lines, bytes));
    }

    /// Gives a batch to the sidecar, or else to the spool.
    fn hand_over(&mut self, batch: &Batch) {
        if matches!(self.way, Way::Direct) {
            match self.post(batch) {
                Ok(folder) => {
                    self.pause = PAUSES[0];
                    self.lost = (0, 0);
                    self.leftovers.sidecar_has(folder, self.spool.as_ref());
                    self.passed(batch);
                    return;
                }
                Err(reason) => self.turn_away(&reason),
            }
        }
        self.put_away(batch);
        self.passed(batch);
    }

    fn passed(&mut self, batch: &Batch) {
        if let Some(segment) = batch.segments.last() {
            self.lines.head = segment.range.end;
            self.tape.advance(Head::Events, segment.range.end);
        }
    }

    fn post(&mut self, batch: &Batch) -> Result<Option<String>, NotTaken> {
        let (tape, until) = (self.tape, batch.segments.last().map_or(self.lines.head, |segment| segment.range.end));
        let Some(sidecar) = &mut self.sidecar else { return Err(NotTaken::GivenUp) };
        let mut parts = vec![Part::Text(mark::run(&self.run, self.begun, false))];
        if self.lost != (0, 0) {
            parts.push(Part::Text(mark::lost(self.lost.0, self.lost.1, clock::now())));
        }
        for segment in &batch.segments {
            parts.push(Part::Text(mark::at(segment.at, false)));
            parts.push(Part::Tape(tape, segment.range.clone()));
            parts.extend(segment.lacks_newline.then(|| Part::Text("\n".to_owned())));
        }
        parts.extend(batch.end.map(|(at, torn_bytes)| Part::Text(mark::end(at, torn_bytes))));
        let mut goes_on = || may_wait(tape, until);
        sidecar.post(&self.run, &parts, &mut Waiting { patience: PATIENCE, goes_on: &mut goes_on })
    }

    /// The sidecar does not take lines: they go to the spool until it is asked again.
    fn turn_away(&mut self, reason: &NotTaken) {
        self.is_slow = reason.is_slow();
        self.way = Way::Spooled { again: Some(Instant::now() + self.pause), delivered: 0 };
        match (&self.sidecar, &self.spool) {
            (Some(sidecar), Some(spool)) => self.teller.once("spool", || {
                let (address, path) = (sidecar.address(), spool.path());
                format!(
                    "the sidecar at {address} does not take events ({}): they wait in {} and are handed over when one does",
                    chain(reason),
                    path.display()
                )
            }),
            (None, Some(spool)) => self.teller.once("spool", || {
                format!("there is no address of a sidecar: events wait in {}", spool.path().display())
            }),
            _ => {}
        }
    }

    /// Puts a batch into the spool.
    fn put_away(&mut self, batch: &Batch) {
        let Some(spool) = &mut self.spool else {
            let lines: u64 = batch.segments.iter().map(|segment| segment.lines).sum();
            let bytes = batch.segments.iter().map(|segment| segment.range.end - segment.range.start).sum();
            self.lose(lines, bytes);
            if lines > 0 {
                self.teller.once("lost", || "there is no sidecar and no folder for events: they are lost".to_owned());
            }
            return;
        };
        let (lines, bytes) = std::mem::take(&mut self.lost);
        spool.lose(lines, bytes);
        let tape = self.tape;
        let mut waiting: VecDeque<Segment> =
            batch.segments.iter().flat_map(|segment| segment.cut(tape, u64::MAX)).collect();
        while let Some(whole) = waiting.pop_front() {
            // Of lines that do not fit together, the first are kept.
            let room = spool.room(whole.range.end - whole.range.start);
            let mut parts = whole.cut(tape, room);
            let segment = parts.remove(0);
            parts.into_iter().rev().for_each(|part| waiting.push_front(part));
            let bytes = segment.range.end - segment.range.start;
            let spooled = spool.write(segment.at, (segment.lines, bytes), segment.pieces(tape));
            let why = match spooled {
                Spooled::Kept => continue,
                Spooled::Full => "stream.spool_bytes allows no more".to_owned(),
                Spooled::Failed(error) => error.to_string(),
            };
            self.lost_ever = (self.lost_ever.0 + segment.lines, self.lost_ever.1 + bytes);
            let path = spool.path();
            self.teller.once("full", || {
                format!("{} takes no more events ({why}): new ones are passed on, but lost", path.display())
            });
        }
        if let Some((at, torn_bytes)) = batch.end
            && let Err(error) = spool.end(at, torn_bytes)
        {
            self.teller.once("full", || format!("{} cannot be written: {error}", spool.path().display()));
        }
    }

    /// Asks the sidecar again when it is time, and gives it a piece of the spool while it answers.
    fn look_after_spool(&mut self) {
        match self.way {
            Way::Direct => {}
            Way::Spooled { again: Some(again), .. } => {
                if again <= Instant::now() {
                    self.ask_again();
                }
            }
            Way::Spooled { again: None, delivered } => self.deliver(delivered),
        }
    }

    fn is_delivering(&self) -> bool {
        matches!(self.way, Way::Spooled { again: None, .. })
    }

    fn ask_again(&mut self) {
        let (tape, until) = (self.tape, self.lines.whole);
        let Some(sidecar) = &mut self.sidecar else {
            self.way = Way::Spooled { again: Some(Instant::now() + PAUSES[1]), delivered: 0 };
            return;
        };
        let mut goes_on = || may_wait(tape, until);
        let waiting = &mut Waiting { patience: PATIENCE, goes_on: &mut goes_on };
        match sidecar.post(&self.run, &[], waiting) {
            Ok(folder) => {
                self.pause = PAUSES[0];
                self.leftovers.sidecar_has(folder.clone(), self.spool.as_ref());
                match &mut self.spool {
                    Some(spool) if spool.file().is_some() && !self.leftovers.is_same_folder() => {
                        self.way = Way::Spooled { again: None, delivered: 0 };
                    }
                    // What lies in its own folder it reads there.
                    Some(spool) => {
                        add(&mut self.lost, spool.take_lost());
                        spool.leave();
                        self.way = Way::Direct;
                    }
                    None => self.way = Way::Direct,
                }
            }
            Err(reason) => self.wait_longer(&reason),
        }
    }

    fn wait_longer(&mut self, reason: &NotTaken) {
        self.is_slow = reason.is_slow();
        self.pause = (self.pause * 2).min(PAUSES[1]);
        self.way = Way::Spooled { again: Some(Instant::now() + self.pause), delivered: 0 };
    }

    /// Gives the sidecar the next piece of the spool. When it has all of it, lines go to it directly again.
    fn deliver(&mut self, delivered: u64) {
        let (tape, until) = (self.tape, self.lines.whole);
        let (Some(sidecar), Some(spool)) = (&mut self.sidecar, &mut self.spool) else { return };
        if spool.tell_lost(clock::now()).is_err() {
            // There is no room even for a mark: it is told once the spool is delivered.
            add(&mut self.lost, spool.take_lost());
        }
        let size = spool.bytes();
        let Some(file) = spool.file().filter(|_| delivered < size) else {
            if let Err(error) = spool.delivered() {
                self.teller.once("remove", || format!("a spool that was handed over cannot be removed: {error}"));
            }
            self.way = Way::Direct;
            return;
        };
        let mut goes_on = || may_wait(tape, until);
        let waiting = &mut Waiting { patience: PATIENCE, goes_on: &mut goes_on };
        let sent = piece_end(file.file(), delivered..size)
            .map_err(NotTaken::Unreadable)
            .and_then(|end| sidecar.post(&self.run, &[Part::File(file.file(), delivered..end)], waiting).map(|_| end));
        match sent {
            Ok(end) => self.way = Way::Spooled { again: None, delivered: end },
            // The lines that have come meanwhile are spooled first.
            Err(NotTaken::GivenUp) if self.tape.closed().is_none() => {}
            Err(reason) => self.wait_longer(&reason),
        }
    }

    /// Gives the sidecar a piece of a spool of an earlier run. Returns whether there was one.
    fn deliver_leftovers(&mut self) -> bool {
        let (tape, until) = (self.tape, self.lines.scanned);
        let (Way::Direct, Some(sidecar)) = (&self.way, &mut self.sidecar) else { return false };
        // New lines go first, and the end is not delayed for long.
        let mut goes_on = || tape.end() == until && may_wait(tape, until);
        if !goes_on() {
            return false;
        }
        self.leftovers.step(sidecar, &mut Waiting { patience: PATIENCE, goes_on: &mut goes_on })
    }

    /// Hands over what is left, and that nothing more will come.
    fn finish(&mut self) {
        let torn_bytes = self.lines.end(self.tape);
        let batch = Batch { segments: self.lines.segments.drain(..).collect(), end: Some((clock::now(), torn_bytes)) };
        self.hand_over(&batch);
        self.tape.advance(Head::Events, self.tape.end());
        // A last try, if there is time. Who was too slow a moment ago is not worth it.
        if let Way::Spooled { again, .. } = self.way {
            if again.is_some_and(|again| !self.is_slow || again <= Instant::now()) {
                self.ask_again();
            }
            while self.is_delivering() && may_wait(self.tape, self.lines.whole) {
                self.look_after_spool();
            }
        }
        while self.deliver_leftovers() {}
        let (lines, bytes) = self.lost_ever;
        if bytes > 0 {
            self.teller.say(&format!("{lines} lines ({bytes} bytes) were passed on, but are lost for the sidecar"));
        }
    }
}

/// Adds lines and bytes to those that are not told of yet.
fn add(lost: &mut (u64, u64), (lines, bytes): (u64, u64)) {
    *lost = (lost.0 + lines, lost.1 + bytes);
}

/// Whether the sidecar may be waited for: not while too much waits behind `until`, and not long after standard input has
/// ended.
fn may_wait(tape: &Tape, until: u64) -> bool {
    tape.end().saturating_sub(until) < LAG_BYTES && tape.closed().is_none_or(|closed| closed.elapsed() < LAST_PATIENCE)
}
