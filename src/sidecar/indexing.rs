//! The thread that keeps the index of search, and what else a search would have to find out first. It begins once everything was read for the first time, gives way to everything
//! else, and is never waited for.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::http::App;
use crate::http::api::search;
use crate::http::context::Context;
use crate::index::build::{Builder, give_way};
use crate::index::catalogue::SearchIndex;
use crate::sidecar::error::RunError;
use crate::text::chain;

/// Time between two tries to begin: the first scan may still go on.
const FIRST_EVERY: Duration = Duration::from_millis(250);

/// Shortest time between two passes: what is new until then is read when it is asked for.
const EVERY: Duration = Duration::from_secs(10);

/// Longest time between two passes.
const LOOK_EVERY: Duration = Duration::from_secs(300);

/// A pass may take one part in so many of the time.
const SHARE: u32 = 50;

/// Starts the thread; `None` if `folder` is none. The thread ends after the sender is dropped or `stop` is set.
pub(super) fn start(
    app: Arc<App<Context>>,
    folder: Option<PathBuf>,
    stop: Arc<AtomicBool>,
) -> Result<Option<mpsc::Sender<()>>, RunError> {
    let Some(folder) = folder else { return Ok(None) };
    let (sender, ended) = mpsc::channel();
    let body = move || {
        give_way();
        let (context, mut builder, mut pause) = (&app.context, Builder::default(), FIRST_EVERY);
        let (mut seen, mut looked, mut told, mut failed) = (None, Instant::now(), false, None);
        while let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(pause) {
            let version = context.reader.version();
            // Files may go without a change of the state: their copies are looked at from time to time.
            let is_seen = seen == Some(version) && looked.elapsed() < LOOK_EVERY;
            if !context.vitals.initial_scan_complete.get() || is_seen {
                continue;
            }
            looked = Instant::now();
            let index = match opened(context, &folder) {
                Ok(index) => index,
                Err(error) => {
                    if differs(&mut failed, &error) {
                        tracing::warn!(%error, folder = %folder.display(), "search goes on without an index for now");
                    }
                    pause = EVERY;
                    continue;
                }
            };
            let (began, vitals) = (Instant::now(), &context.vitals.index);
            let goes_on = || {
                vitals.files.set(u64::try_from(index.files()).unwrap_or(u64::MAX));
                vitals.known_bytes.set(index.known_bytes());
                !stop.load(Ordering::Acquire)
            };
            if let Err(problem) = search::learn_files(context, &goes_on) {
                tracing::debug!(?problem, "the next search has to learn which files belong to sessions");
            }
            let passed = builder.pass(index, &context.reader, &goes_on);
            vitals.disk_bytes.set(index.disk_bytes());
            vitals.busy_ms.set(vitals.busy_ms.get() + u64::try_from(began.elapsed().as_millis()).unwrap_or_default());
            match passed {
                Ok(Ok(true)) => {
                    vitals.is_complete.set(true);
                    (seen, failed) = (Some(version), None);
                    if !std::mem::replace(&mut told, true) {
                        let (bytes, took) = (index.known_bytes(), began.elapsed());
                        tracing::info!(bytes, ?took, "the search index knows all session files");
                    }
                }
                Ok(Ok(false)) => return,
                Ok(Err(error)) => {
                    if differs(&mut failed, &error) {
                        tracing::warn!(%error, "the search index cannot be written: it is tried again");
                    }
                }
                // The state may be closed for a while.
                Err(error) => tracing::debug!(error = chain(&error), "the search index waits for the state"),
            }
            pause = EVERY.max(began.elapsed() * SHARE);
        }
    };
    let thread = thread::Builder::new().name("index".to_owned()).spawn(body);
    thread.map(|_| Some(sender)).map_err(|source| RunError::System { what: "the thread of the search index", source })
}

/// Whether something fails for another reason than before: each is said once, not with every try.
fn differs(failed: &mut Option<String>, error: &io::Error) -> bool {
    let reason = Some(error.to_string());
    std::mem::replace(failed, reason.clone()) != reason
}

/// The index, opened when it is needed first. Fails if its folder cannot be used: search goes on without it.
fn opened<'c>(context: &'c Context, folder: &Path) -> io::Result<&'c SearchIndex> {
    if let Some(index) = context.index.get() {
        return Ok(index);
    }
    let new = SearchIndex::open_for(folder, &context.archive, &context.reader)?;
    Ok(context.index.get_or_init(|| new))
}
