//! The thread that ends stream files which have been there long enough.

use std::cell::OnceCell;
use std::fs;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::sidecar::clock;
use crate::sidecar::error::RunError;
use crate::store::StoreReader;
use crate::streams::sweep::SweepRules;
use crate::streams::{Intake, StreamFile};

/// Time between two looks at the stream files.
const EVERY: Duration = Duration::from_secs(60);

/// Time before the first look.
const FIRST: Duration = Duration::from_secs(1);

/// Starts the thread, which ends some time after the sender is dropped.
pub(super) fn start(intake: Arc<Intake>, rules: SweepRules, reader: StoreReader) -> Result<mpsc::Sender<()>, RunError> {
    let (sender, ended) = mpsc::channel();
    let body = move || {
        let mut every = FIRST;
        while let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(every) {
            every = EVERY;
            // Only a file of which every line is counted may go.
            let counted = OnceCell::new();
            let is_counted = |file: &StreamFile, bytes: u64| {
                let counted = counted.get_or_init(|| reader.counted().unwrap_or_default());
                // The reading thread knows a file by its path without symbolic links.
                let path = fs::canonicalize(&file.path).unwrap_or_default();
                counted.get(&path).is_some_and(|counted| *counted >= bytes)
            };
            match intake.sweep(rules, clock::now(), &is_counted) {
                Ok(0) => {}
                Ok(files) => tracing::info!(files, "stream files ended for their age or size (stream.keep)"),
                Err(error) => tracing::warn!(%error, "the stream files cannot be looked at"),
            }
        }
    };
    let thread = thread::Builder::new().name("streams".to_owned()).spawn(body);
    thread.map(|_| sender).map_err(|source| RunError::System { what: "the thread of the stream files", source })
}
