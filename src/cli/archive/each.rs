//! `tailspan archive verify`, `restore` and `import`, which touch every copy.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::error::ArchiveError;
use crate::archive::Archive;
use crate::archive::restore::Restored;
use crate::archive::shelf::{Copy, Shelf};
use crate::cli::scan::print;
use crate::config::Config;
use crate::ledger::prices::Prices;
use crate::sidecar::local::{self, Rules};
use crate::sidecar::{clock, settings};
use crate::store::{self, StoreError};
use crate::tail::{self, RootEnv};
use crate::views::analytics::figures::grouped;

/// Most ids that a message names.
const NAMED_MAX: usize = 5;

/// Reads every copy. Fails if one is damaged.
pub(super) fn verify(shelf: &Shelf) -> Result<(), ArchiveError> {
    let mut damaged = shelf.damaged.clone();
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..settings::threads() {
            scope.spawn(|| {
                while let Some(copy) = shelf.copies.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = copy.check() {
                        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                        found.push((copy.path.clone(), error.to_string()));
                    }
                }
            });
        }
    });
    damaged.extend(found.into_inner().unwrap_or_else(PoisonError::into_inner));
    damaged.sort();
    let mut text = String::new();
    for (path, reason) in &damaged {
        line(&mut text, format_args!("damaged: {}: {reason}", path.display()));
    }
    let bytes: u64 = shelf.copies.iter().map(|copy| copy.about.size).sum();
    if !damaged.is_empty() {
        line(&mut text, format_args!("a copy whose session file is still there is made anew once it is removed"));
    }
    let (copies, bytes) = (grouped(shelf.copies.len() as u64), grouped(bytes));
    line(&mut text, format_args!("{copies} copies of {bytes} bytes read, {} damaged", damaged.len()));
    print(&text)?;
    if damaged.is_empty() { Ok(()) } else { Err(ArchiveError::Damaged { count: damaged.len() }) }
}

/// Makes the files of one session again. Fails if there is no such session, or if a file was not restored.
pub(super) fn restore(
    shelf: &Shelf,
    roots: &[PathBuf],
    (session, to): (&str, Option<&Path>),
) -> Result<(), ArchiveError> {
    let all = shelf.sessions();
    let exact: Vec<&String> = all.iter().filter(|id| *id == session).collect();
    let named: Vec<&String> =
        if exact.is_empty() { all.iter().filter(|id| id.starts_with(session)).collect() } else { exact };
    let id = match named.as_slice() {
        [id] if !session.is_empty() => *id,
        [] => return Err(ArchiveError::Session(format!("no session in the archive has the id {session}"))),
        several => {
            let names: Vec<&str> = several.iter().take(NAMED_MAX).map(|id| id.as_str()).collect();
            let more = if several.len() > NAMED_MAX { ", ..." } else { "" };
            return Err(ArchiveError::Session(format!("{session} may be {}{more}", names.join(", "))));
        }
    };
    let (mut text, mut failed) = (String::new(), 0);
    for (path, reason) in shelf.damaged.iter().filter(|(path, _)| path.to_string_lossy().contains(id.as_str())) {
        failed += 1;
        line(&mut text, format_args!("not restored: the copy {} is damaged: {reason}", path.display()));
    }
    for copy in newest(shelf, id) {
        let path = copy.restored_to(to);
        if to.is_none() && !roots.iter().any(|root| path.starts_with(root)) {
            failed += 1;
            line(
                &mut text,
                format_args!("not restored: {} is in none of your projects folders: --to names one", path.display()),
            );
            continue;
        }
        match copy.restore(&path) {
            Ok(Restored::New(bytes)) => {
                line(&mut text, format_args!("restored {}, {} bytes", path.display(), grouped(bytes)));
            }
            Ok(Restored::Same) => line(&mut text, format_args!("{}: is there, and was left alone", path.display())),
            Ok(Restored::Other) => {
                failed += 1;
                line(&mut text, format_args!("{}: is there with other content, and was left alone", path.display()));
            }
            Err(error) => {
                failed += 1;
                line(&mut text, format_args!("{}: {error}", path.display()));
            }
        }
    }
    print(&text)?;
    if failed == 0 { Ok(()) } else { Err(ArchiveError::NotRestored { count: failed }) }
}

/// The newest copy that can be read of each file of a session.
fn newest<'s>(shelf: &'s Shelf, session: &str) -> Vec<&'s Copy> {
    let mut newest: BTreeMap<PathBuf, &Copy> = BTreeMap::new();
    for copy in shelf.copies.iter().filter(|copy| copy.session() == session) {
        let path = copy.about.path();
        let is_newer = |other: &&Copy| (copy.number.is_none(), copy.number) > (other.number.is_none(), other.number);
        if newest.get(&path).is_none_or(is_newer) {
            newest.insert(path, copy);
        }
    }
    newest.into_values().collect()
}

/// Takes in what is not here yet, and has it counted. Fails if something was not taken in, or if the state cannot be used.
pub(super) fn import(
    archive: &Archive,
    from: &Path,
    (config, env, prices): (&Config, &RootEnv, &Prices),
) -> Result<(), ArchiveError> {
    let imported = archive.import(from, clock::now(), || {})?;
    let mut text = String::new();
    for (path, reason) in &imported.failed {
        line(&mut text, format_args!("not taken in: {}: {reason}", path.display()));
    }
    let [new, bytes, known] = [imported.new, imported.bytes, imported.known].map(grouped);
    line(&mut text, format_args!("{new} files of {bytes} bytes taken in, {known} were there already"));
    if imported.new + imported.known == 0 && imported.failed.is_empty() {
        return Err(ArchiveError::Nothing { path: from.to_path_buf() });
    }
    let folder = config.state()?;
    if !store::exists(folder) {
        line(&mut text, format_args!("they are counted when `tailspan run` starts"));
    } else {
        match store::open(folder, clock::now()) {
            Ok(opened) => {
                let counted = opened.reader.counted()?;
                let roots = tail::existing(&tail::session_roots(&[], &config.projects, env));
                let directory = archive.directory().unwrap_or(from).to_path_buf();
                let lacking = archive.lacking(&counted, &roots);
                let lacking = lacking.map_err(|source| ArchiveError::Read { path: directory, source })?;
                let files = lacking.len() as u64;
                for problem in local::count(Rules { config, env, prices, at: None }, opened, lacking)? {
                    line(&mut text, format_args!("not counted: {problem}"));
                }
                line(&mut text, format_args!("{} files counted", grouped(files)));
            }
            Err(StoreError::Locked { .. }) => {
                line(&mut text, format_args!("the running sidecar counts them"));
            }
            Err(error) => {
                print(&text)?;
                return Err(error.into());
            }
        }
    }
    print(&text)?;
    if imported.failed.is_empty() { Ok(()) } else { Err(ArchiveError::NotImported { count: imported.failed.len() }) }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    match writeln!(text, "{line}") {
        Ok(()) => {}
        Err(_) => unreachable!("writing to a string does not fail"),
    }
}
