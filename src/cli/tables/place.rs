//! Where an answer goes: into a file that is there when it is whole, or to standard output.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::error::ExportError;
use crate::cli::ask::question::Question;
use crate::cli::ask::source::{AskError, Source};

/// Writes a file that others may read as the system says, which `write` is given. Fails if that fails, or if the file cannot be written; then what was at its place
/// before is there still.
pub(in crate::cli) fn into_file(
    path: &PathBuf,
    write: impl FnOnce(&mut dyn Write) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    into_new(path, 0o666, write)
}

/// [`into_file`] for what is nobody else's business, as session files are: a new file is its owner's alone.
pub(in crate::cli) fn into_private_file(
    path: &PathBuf,
    write: impl FnOnce(&mut dyn Write) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    into_new(path, 0o600, write)
}

/// Writes a file with these rights, or with those of the file that it replaces.
fn into_new(
    path: &PathBuf,
    mode: u32,
    write: impl FnOnce(&mut dyn Write) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let failed = |source| ExportError::Write { path: path.clone(), source };
    let metadata = fs::metadata(path).ok();
    // A pipe or a device is written to, and not replaced.
    if metadata.as_ref().is_some_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
        let mut file = File::options().write(true).open(path).map_err(failed)?;
        write(&mut file)?;
        return file.flush().map_err(failed);
    }
    // What a link leads to is replaced, and not the link.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.clone());
    // The file is there when it is whole.
    let unfinished = unfinished(path);
    // Left behind by a run that was killed, or put there by somebody: never written into.
    drop(fs::remove_file(&unfinished));
    let made = File::options().write(true).create_new(true).mode(mode).open(&unfinished);
    let written = made.map_err(failed).and_then(|file| {
        if let Some(metadata) = metadata {
            file.set_permissions(metadata.permissions()).map_err(failed)?;
        }
        let mut sink = BufWriter::new(file);
        write(&mut sink)?;
        let file = sink.into_inner().map_err(io::IntoInnerError::into_error).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        fs::rename(&unfinished, path).map_err(failed)
    });
    if written.is_err() {
        // It may never have been made.
        drop(fs::remove_file(&unfinished));
    }
    written
}

/// The name of a file beside another, for what is not whole yet.
fn unfinished(path: &Path) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(".unfinished");
    name.into()
}

/// Passes the answer to a question on to standard output. Fails if there is no whole answer, or if it cannot be written.
pub(in crate::cli) fn pass_on(source: &Source, question: &Question, out: &mut dyn Write) -> Result<(), ExportError> {
    let written = source.write(question, None, out);
    let written = written.and_then(|_| out.flush().map_err(AskError::Sink));
    match written {
        // It is no error if the reader closes the pipe early, as `head` does.
        Err(AskError::Sink(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(AskError::Sink(error)) => Err(ExportError::Output(error)),
        written => written.map_err(ExportError::Ask),
    }
}
