//! A state and a folder of session files, driven step by step without processes, clocks or threads.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use tailspan::audit::pass::{Pass, find};
use tailspan::custom::RuleReader;
use tailspan::engine::ahead::{Parsed, next_piece_by};
use tailspan::engine::turns::{Policy, WHOLE_SPANS_MAX};
use tailspan::engine::{Engine, PARTS_MAX, Start};
use tailspan::ledger::prices::Prices;
use tailspan::ledger::session::Session;
use tailspan::store::{self, EventLimits, OutboxReader, StoreReader};
use tailspan::tail::{self, ReadLimits};
use tailspan::transcript::time::Timestamp;
use tailspan::views::metrics::labels::LabelRules;
use tailspan::views::metrics::totals::Snapshot;
use tailspan::views::sessions::summary::{FileCounts, Part, Summary, SummarySources, ToolDurations};
use tailspan::views::traces::finish::SpanRules;
use tailspan::views::traces::span::Span;

/// Deterministic numbers: the same seed gives the same world.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % limit.max(1)
    }

    pub(crate) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }
}

/// The recordings that came with the project, as `version/scenario`.
pub(crate) fn recordings() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings");
    let mut found = Vec::new();
    for version in fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        found.extend(
            fs::read_dir(version)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.join("projects").is_dir()),
        );
    }
    found.sort();
    found
}

/// Every file below a folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    for file in files_below(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, target).unwrap();
    }
}

pub(crate) fn append(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(bytes).unwrap();
}

/// What a clean pass over folders finds, without what depends on how often a line was read.
pub(crate) fn clean(roots: &[PathBuf]) -> Summary {
    let found = find(roots, &mut Vec::new()).unwrap();
    let pass = Pass::over(&found, &prices(), |_, _| {});
    Summary { files: FileCounts::default(), ..pass.summary(true) }
}

/// The running half: an engine on a state folder, reading one projects folder.
pub(crate) struct World {
    pub(crate) root: PathBuf,
    pub(crate) state: PathBuf,
    pub(crate) saved: PathBuf,
    pub(crate) engine: Option<Engine>,
    pub(crate) reader: Option<StoreReader>,
    pub(crate) outbox: Option<OutboxReader>,
    pub(crate) policy: Policy,
    pub(crate) spans: SpanRules,
    pub(crate) labels: LabelRules,
    pub(crate) limits: ReadLimits,
    pub(crate) parts_max: usize,
    pub(crate) events: EventLimits,
    pub(crate) now: Timestamp,
}

/// Spans are wanted from all turns, and everything is live.
pub(crate) const EVERYTHING: Policy = Policy {
    export: true,
    since: Timestamp(i64::MIN),
    epoch: Timestamp(i64::MIN),
    settle_ms: 1_000,
    hold_ms: 60_000,
    history_rate: u64::MAX,
    whole_spans_max: WHOLE_SPANS_MAX,
};

impl World {
    /// A new state in `folder`, reading `folder/projects`.
    pub(crate) fn new(folder: &Path) -> Self {
        Self::with(folder, EVERYTHING)
    }

    /// A new state with a policy of its own.
    pub(crate) fn with(folder: &Path, policy: Policy) -> Self {
        Self::shaped(folder, policy, SpanRules::default())
    }

    /// A new state with a policy and a form of spans of its own.
    pub(crate) fn shaped(folder: &Path, policy: Policy, spans: SpanRules) -> Self {
        let root = folder.join("projects");
        fs::create_dir_all(&root).unwrap();
        // Before all recordings, so that all their rows are live.
        let now = Timestamp::parse("2020-01-01T00:00:00.000Z").unwrap();
        let mut world = Self {
            root,
            state: folder.join("state"),
            saved: folder.join("saved"),
            engine: None,
            reader: None,
            outbox: None,
            policy,
            spans,
            labels: LabelRules::default(),
            limits: ReadLimits::default(),
            parts_max: PARTS_MAX,
            events: EventLimits::DEFAULT,
            now,
        };
        world.open();
        world.save();
        world.now = Timestamp::parse("2030-01-01T00:00:00.000Z").unwrap();
        world
    }

    fn open(&mut self) {
        let opened = store::open(&self.state, self.now).unwrap();
        let start = Start {
            writer: opened.writer,
            recovered: opened.recovered,
            epoch: opened.epoch,
            prices: prices(),
            labels: self.labels.clone(),
            policy: self.policy,
            spans: self.spans.clone(),
            parts_max: self.parts_max,
        };
        self.reader = Some(opened.reader);
        self.outbox = opened.outbox.readers(&["default"]).unwrap().pop();
        self.engine = Some(Engine::new(start, self.now).unwrap().with_events(self.events));
    }

    /// The folder of stream files.
    pub(crate) fn streams(&self) -> PathBuf {
        self.root.with_file_name("streams")
    }

    /// Reads what is new. `pieces` ends it early: a step that was not finished.
    pub(crate) fn read(&mut self, dice: &mut Dice, mut pieces: usize) {
        let now = self.now;
        let mut rules = RuleReader::new(self.labels.custom.rules());
        let streams = self.streams();
        let engine = self.engine.as_mut().unwrap();
        let mut found = tail::scan(&self.root, &mut |problem| panic!("{problem}"));
        found.extend(tail::scan_streams(&streams, &mut |problem| panic!("{problem}")));
        // Files come in any order.
        for end in (1..found.len()).rev() {
            found.swap(end, dice.below(end + 1));
        }
        let mut reader = tail::FileReader::new(self.limits);
        for mut job in engine.jobs(found).unwrap() {
            loop {
                if pieces == 0 {
                    return;
                }
                let (parsed, more) = next_piece_by(&mut rules, &mut reader, &job);
                if let Parsed::Piece(piece) = parsed {
                    pieces -= 1;
                    engine.step(&piece, now).unwrap();
                    job.cursor = Some(Box::new(piece.cursor));
                    if dice.one_in(3) {
                        engine.commit(now).unwrap();
                    }
                }
                if !more {
                    break;
                }
            }
        }
    }

    /// Commits, lets ended turns leave, and makes it durable: what a crash cannot take back.
    pub(crate) fn settle(&mut self) -> Snapshot {
        let engine = self.engine.as_mut().unwrap();
        engine.commit(self.now).unwrap();
        self.now = Timestamp(self.now.0 + 5_000);
        while engine.tick(self.now).unwrap() {}
        let snapshot = engine.flush().unwrap();
        self.save();
        snapshot
    }

    /// Keeps a copy of the state as it is on disk.
    fn save(&mut self) {
        fs::remove_dir_all(&self.saved).ok();
        // sled keeps its file locked and complete after a flush: a copy is what a crash leaves.
        copy_folder(&self.state, &self.saved);
    }

    /// The process dies after a flush: what was committed is there, what was read beyond is not.
    pub(crate) fn die(&mut self) {
        self.engine.as_mut().unwrap().flush().unwrap();
        self.engine = None;
        self.reader = None;
        self.outbox = None;
        self.open();
        self.save();
    }

    /// A clean end.
    pub(crate) fn close(&mut self) {
        self.settle();
        self.engine = None;
        self.reader = None;
        self.outbox = None;
    }

    /// A start.
    pub(crate) fn start(&mut self) {
        self.open();
    }

    /// A clean end and a new start.
    pub(crate) fn restart(&mut self) {
        self.close();
        self.open();
    }

    /// Takes the spans that are ready to be sent, oldest first, as a collector that accepts all would.
    pub(crate) fn take_spans(&mut self) -> Vec<Span> {
        let outbox = self.outbox.as_mut().unwrap();
        let mut spans = Vec::new();
        loop {
            let rows = outbox.peek(512, 1 << 20).unwrap();
            if rows.is_empty() {
                return spans;
            }
            outbox.acknowledge(&rows.iter().map(|(id, _)| *id).collect::<Vec<_>>()).unwrap();
            spans.extend(rows.into_iter().flat_map(|(_, batch)| batch.spans));
        }
    }

    /// What the state says, in the words of `scan`.
    pub(crate) fn summary(&self) -> Summary {
        let reader = self.reader.as_ref().unwrap();
        let mut sessions = BTreeMap::new();
        reader.each_session(|session| drop(sessions.insert(session.id.clone(), session))).unwrap();
        let durations = |session: &Session| {
            let mut durations = ToolDurations::default();
            reader.each_parts_of(&session.id, |parts| durations.add(parts)).unwrap();
            durations
        };
        let sources = SummarySources { session: &|id| sessions.get(id), durations: &durations };
        Part::of(sessions.values(), &sources, true).summary(FileCounts::default(), true)
    }
}

/// The built-in prices. Their table is read once: a world starts its engine often.
pub(crate) fn prices() -> Prices {
    static PRICES: LazyLock<Prices> = LazyLock::new(Prices::embedded);
    PRICES.clone()
}
