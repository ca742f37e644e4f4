//! The answers of the HTTP API without a server: from a state that no sidecar holds, or from session files that are
//! folded into a state for the moment.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use crate::config::Config;
use crate::custom::{self, RuleReader};
use crate::engine::ahead::{self, Parsed};
use crate::engine::{Engine, PARTS_MAX, Start};
use crate::http::api::analytics::cells::SharedCells;
use crate::http::api::events::hub::{Events, HEARTBEAT};
use crate::http::api::limits::kept::SharedLimits;
use crate::http::api::replay::kept::Replays;
use crate::http::context::Context;
use crate::http::openapi::ApiDocument;
use crate::http::table::ROUTES;
use crate::http::{RequestCounters, get, post, write};
use crate::ledger::prices::Prices;
use crate::sidecar::clock;
use crate::sidecar::settings::{archive, client, host, label_rules, policy, span_rules, threads};
use crate::store::{self, OpenStore, Opened, StoreError, Writer};
use crate::streams::Intake;
use crate::tail::{FileReader, FoundFile, ReadLimits, RootEnv};
use crate::text::chain;
use crate::transcript::time::Timestamp;
use crate::vitals::Vitals;

/// How often another name is tried for the folder of a moment.
const TRIES: usize = 8;

/// What the API goes by, whatever it is over.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Where session files are, if the configuration does not say.
    pub env: &'a RootEnv,
    /// What tokens cost.
    pub prices: &'a Prices,
    /// The time that it is taken to be; `None`: as the clock says.
    pub at: Option<Timestamp>,
}

/// The API over a state that this process holds until it is dropped.
#[derive(Debug)]
pub struct Local {
    context: Context,
    _writer: Option<Box<Writer>>,
    _engine: Option<Box<Engine>>,
    // The last field, because fields are dropped in their order: the database is closed before its folder is removed.
    _folder: Option<Scratch>,
}

impl Local {
    /// The API over an opened state. What is missing of its sums after an upgrade is made first. Fails if the database
    /// fails.
    pub fn of_state(rules: Rules<'_>, opened: Opened) -> Result<Self, StoreError> {
        let Opened { mut writer, kept, .. } = opened;
        while writer.make_cells()? {}
        let context = context(rules, &kept);
        Ok(Self { context, _writer: Some(Box::new(writer)), _engine: None, _folder: None })
    }

    /// The API over `found` session files, read to their ends into a state in a folder for temporary files, which is
    /// removed when this is dropped. `progress` is called with the numbers of files and bytes since the last call.
    /// Returns a sentence for each file that could not be read as well. Fails if the database fails.
    pub fn of_files(
        rules: Rules<'_>,
        found: Vec<FoundFile>,
        progress: impl FnMut(u64, u64),
    ) -> Result<(Self, Vec<String>), StoreError> {
        let folder = Scratch::make().map_err(|source| StoreError::Folder { path: std::env::temp_dir(), source })?;
        let now = clock::now();
        let opened = store::open(folder.path(), now)?;
        let kept = opened.kept.clone();
        let (engine, problems) = counted(rules, opened, found, progress)?;
        let context = context(rules, &kept);
        Ok((Self { context, _writer: None, _engine: Some(Box::new(engine)), _folder: Some(folder) }, problems))
    }

    /// The status and body of a GET of `target`, a path with its query, as the server would answer it.
    #[must_use]
    pub fn get(&self, target: &str) -> (u16, Vec<u8>) {
        get(ROUTES, &self.context, target)
    }

    /// The status and body of a POST of JSON to `target`, as the server would answer it.
    #[must_use]
    pub fn post(&self, target: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
        post(ROUTES, &self.context, target, body)
    }

    /// Writes the body of the answer to a GET of `target` to `sink` while it is made. Returns the status, and the body of what
    /// is no answer. Fails if the body cannot be made or written.
    pub fn write(&self, target: &str, sink: &mut dyn Write) -> io::Result<(u16, Vec<u8>)> {
        write(ROUTES, &self.context, target, sink)
    }
}

/// Counts `found` files in a state that no sidecar uses, and makes that durable. Returns a sentence for each file that could
/// not be read. Fails if the database fails.
pub fn count(rules: Rules<'_>, opened: Opened, found: Vec<FoundFile>) -> Result<Vec<String>, StoreError> {
    let (mut engine, problems) = counted(rules, opened, found, |_, _| {})?;
    engine.flush()?;
    Ok(problems)
}

fn counted(
    Rules { config, prices, .. }: Rules<'_>,
    opened: Opened,
    found: Vec<FoundFile>,
    progress: impl FnMut(u64, u64),
) -> Result<(Engine, Vec<String>), StoreError> {
    let now = clock::now();
    let policy = policy(config, &opened);
    let Opened { writer, epoch, recovered, .. } = opened;
    let (labels, spans) = (label_rules(config), span_rules(config));
    let start = Start { writer, recovered, epoch, prices: prices.clone(), labels, policy, spans, parts_max: PARTS_MAX };
    let mut engine = Engine::new(start, now)?.with_archive(archive(config));
    let problems = read_all(&mut engine, config.metrics.custom.rules(), found, progress)?;
    engine.commit(now)?;
    Ok((engine, problems))
}

fn context(Rules { config, env, prices, at }: Rules<'_>, kept: &OpenStore) -> Context {
    let (_, totals) = watch::channel(None);
    Context {
        reader: kept.reader.clone(),
        index: Arc::default(),
        cells: SharedCells::new(prices.clone())
            .with_budgets(config.budgets.clone())
            .with_patterns(config.patterns.clone())
            .with_client(client(config, env)),
        replays: Replays::default(),
        events: Events::new(kept.reader.clone(), archive(config), HEARTBEAT),
        limits: Arc::new(SharedLimits::loaded(&kept.reader).unwrap_or_default()),
        vitals: Arc::new(Vitals::new(clock::now(), config.traces.idle)),
        totals,
        archive: archive(config),
        intake: Arc::new(Intake::new(None, Arc::default())),
        outbox: Arc::clone(&kept.meter),
        export: Arc::default(),
        requests: Arc::new(RequestCounters::default()),
        claude_code: false,
        document: ApiDocument::of(ROUTES),
        host: host(),
        spans: span_rules(config),
        clock: clock::now,
        at,
    }
}

/// Folds all files. Returns a sentence for each that could not be read.
fn read_all(
    engine: &mut Engine,
    rules: &custom::Rules,
    found: Vec<FoundFile>,
    mut progress: impl FnMut(u64, u64),
) -> Result<Vec<String>, StoreError> {
    let jobs = engine.jobs(found)?;
    let (mut failed, mut problems, mut long) = (Ok(()), Vec::new(), Vec::new());
    ahead::for_each_by(rules, &jobs, threads(), |parsed| {
        match parsed {
            Parsed::Piece(piece) => {
                progress(0, piece.bytes);
                failed = engine.step(&piece, clock::now());
            }
            Parsed::Failed { error, .. } => problems.push(chain(&error)),
            Parsed::Searching { file } => long.push(file),
            Parsed::Done { .. } => progress(1, 0),
        }
        if failed.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    failed?;
    let long: Vec<FoundFile> = jobs.into_iter().filter(|job| long.contains(&job.file)).map(|job| job.found).collect();
    // The end of a very long line is searched for to the last byte: there is nothing else to do meanwhile.
    let mut reader = FileReader::new(ReadLimits::without_slices());
    let mut rules = RuleReader::new(rules);
    for mut job in engine.jobs(long)? {
        loop {
            let (parsed, goes_on) = ahead::next_piece_by(&mut rules, &mut reader, &job);
            match parsed {
                Parsed::Piece(piece) => {
                    engine.step(&piece, clock::now())?;
                    job.cursor = Some(Box::new(piece.cursor));
                }
                Parsed::Failed { error, .. } => problems.push(chain(&error)),
                Parsed::Searching { .. } | Parsed::Done { .. } => {}
            }
            if !goes_on {
                break;
            }
        }
    }
    Ok(problems)
}

/// A folder of this process alone, removed when it is dropped.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Scratch {
    fn make() -> io::Result<Self> {
        remove_of_dead();
        let mut failed = None;
        for number in 0..TRIES {
            let name = format!("{SCRATCH}{}-{:016x}", std::process::id(), RandomState::new().hash_one(number));
            let path = std::env::temp_dir().join(name);
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| io::ErrorKind::AlreadyExists.into()))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

/// How the names of these folders begin; the number of the process follows.
const SCRATCH: &str = "tailspan-scan-";

/// Removes the folders of processes that were ended before they could do so.
fn remove_of_dead() {
    let found = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    for entry in found {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(SCRATCH)?.split('-').next()?.parse::<u32>().ok());
        let is_dead = process.is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists());
        // Where there is no /proc, nobody can be told dead. Folders of other users cannot be removed, and stay.
        if is_dead && Path::new("/proc/self").exists() {
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "a temporary folder could not be removed");
        }
    }
}
