//! Spools that earlier runs left behind, which are handed over while nothing else is to do.

use std::io;

use super::post::{NotTaken, Part, Sidecar, Waiting, piece_end};
use crate::streams::append::{Appending, first_line};
use crate::streams::mark::{self, Mark};
use crate::streams::spool::remove;
use crate::streams::{Run, Spool, StreamFile};

/// Spools of earlier runs below one state.
#[derive(Default)]
pub(super) struct Leftovers {
    /// Whether the sidecar keeps its files in the folder of the spools; `None` while that is not known.
    is_same: Option<bool>,
    /// `None` before anybody has looked.
    files: Option<Vec<StreamFile>>,
    open: Option<Open>,
}

/// A spool that is handed over.
struct Open {
    file: Appending,
    run: Run,
    delivered: u64,
}

impl Leftovers {
    /// The sidecar says which folder it keeps its files in.
    pub(super) fn sidecar_has(&mut self, folder: Option<String>, spool: Option<&Spool>) {
        let own = spool.and_then(|spool| {
            // A folder that is not there is not that of the sidecar, which makes it.
            spool.folder().path().exists().then(|| spool.folder().identity().ok()).flatten()
        });
        let Some(folder) = folder else { return };
        let is_same = own.as_ref() == Some(&folder);
        self.is_same = Some(is_same);
        if self.files.is_none() {
            // What lies in its own folder the sidecar reads there.
            let found = spool.filter(|_| !is_same).and_then(|spool| spool.folder().spools().ok());
            self.files = Some(found.unwrap_or_default());
        }
    }

    pub(super) fn is_same_folder(&self) -> bool {
        self.is_same == Some(true)
    }

    /// Hands over the next piece. Returns whether there was something to do.
    pub(super) fn step(&mut self, sidecar: &mut Sidecar, waiting: &mut Waiting<'_>) -> bool {
        let Some(mut open) = self.open.take().or_else(|| self.next()) else { return false };
        let size = open.file.bytes();
        if open.delivered >= size {
            // It is tried again by the next run if it stays.
            remove(open.file.path()).ok();
            return true;
        }
        let sent = piece_end(open.file.file(), open.delivered..size).map_err(NotTaken::Unreadable).and_then(|end| {
            let part = Part::File(open.file.file(), open.delivered..end);
            sidecar.post(&open.run, &[part], waiting).map(|_| end)
        });
        match sent {
            Ok(end) => {
                open.delivered = end;
                self.open = Some(open);
            }
            // New lines go first.
            Err(NotTaken::GivenUp) => {
                self.open = Some(open);
                return false;
            }
            // It is kept for the next run; so are the others if the sidecar has gone.
            Err(NotTaken::Refused { status: 400..=499, .. } | NotTaken::Unreadable(_)) => {}
            Err(_) => self.files = Some(Vec::new()),
        }
        true
    }

    /// The next spool that nobody writes any more.
    fn next(&mut self) -> Option<Open> {
        loop {
            let found = self.files.as_mut()?.pop()?;
            // The run of another may still go on, or it is gone.
            if let Ok(Some(open)) = opened(&found) {
                return Some(open);
            }
        }
    }
}

fn opened(found: &StreamFile) -> io::Result<Option<Open>> {
    let file = Appending::open(found.path.clone())?;
    let run = match mark::read(&first_line(&found.path)?) {
        Some(Mark::Run { run, spool: true, .. }) => run,
        _ => return Ok(None),
    };
    Ok(Some(Open { file, run, delivered: 0 }))
}
