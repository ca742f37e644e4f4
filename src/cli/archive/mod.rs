//! `tailspan archive`: looks at the copies of session files, checks them, makes files of them again, and takes in others.

mod each;
pub mod error;
mod list;

use std::path::PathBuf;

use clap::Subcommand;

use self::error::ArchiveError;
use crate::archive::Archive;
use crate::config::{Config, Flags};
use crate::ledger::prices::Prices;
use crate::tail::{self, RootEnv};

/// Examples at the end of `tailspan archive --help`.
const EXAMPLES: &str = "\
Copies are made by `tailspan run` with `[archive] enabled = true` (docs/archive.md):
  tailspan archive list                        what is there
  tailspan archive verify                      reads all of it; fails if something is damaged
  tailspan archive restore 3f2a --to /tmp/old  the files of a session, by the beginning of its id
  tailspan archive import /mnt/backup/.claude  the sessions of another machine

Exit codes: 0, 1 if something is damaged, missing or cannot be written, 2 if the arguments are wrong.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ArchiveArgs {
    /// What to do.
    #[command(subcommand)]
    command: ArchiveCommand,
    /// Directory of the archive [default: archive.directory, else `archive` in the directory of the state]
    #[arg(long, global = true, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Directory of the state [default: as for `run`]
    #[arg(long, global = true, value_name = "DIR")]
    state: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum ArchiveCommand {
    /// List the sessions of which there are copies
    List(ListArgs),
    /// Read every copy and check that it has the bytes that were copied
    Verify,
    /// Make the files of a session again
    Restore(RestoreArgs),
    /// Take in session files of another machine or an old backup, or another archive; each response counts once
    Import(ImportArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Print a line of JSON for each copy
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct RestoreArgs {
    /// Id of the session, or the beginning of it
    #[arg(value_name = "SESSION")]
    session: String,
    /// Folder to put the files into, each below the folder of its project [default: where they were]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct ImportArgs {
    /// Projects folder, configuration folder that has one, session file, or archive
    #[arg(value_name = "DIR")]
    from: PathBuf,
}

impl ArchiveArgs {
    /// What the arguments say about the configuration; `common` is what every command takes.
    #[must_use]
    pub fn flags(&self, common: Flags) -> Flags {
        let (state, archive_directory) = (self.state.clone(), self.directory.clone());
        Flags { state, archive_directory, offline: true, ..common }
    }
}

/// Does what the arguments ask for. Fails if something is damaged, missing, or cannot be read or written.
pub fn run(args: &ArchiveArgs, config: &Config, env: &RootEnv, prices: &Prices) -> Result<(), ArchiveError> {
    let directory = config.archive_directory()?;
    let archive = Archive::at(&directory);
    if let ArchiveCommand::Import(import) = &args.command {
        return each::import(&archive, &import.from, (config, env, prices));
    }
    let shelf = archive.shelf().map_err(|source| ArchiveError::Read { path: directory.clone(), source })?;
    if shelf.copies.is_empty() && shelf.damaged.is_empty() {
        return Err(ArchiveError::NoArchive { path: directory });
    }
    match &args.command {
        ArchiveCommand::List(list) => list::list(&shelf, list.json),
        ArchiveCommand::Verify => each::verify(&shelf),
        ArchiveCommand::Restore(restore) => {
            let roots = tail::session_roots(&[], &config.projects, env);
            let roots: Vec<PathBuf> = roots.iter().cloned().chain(tail::existing(&roots)).collect();
            each::restore(&shelf, &roots, (&restore.session, restore.to.as_deref()))
        }
        ArchiveCommand::Import(_) => Ok(()),
    }
}
