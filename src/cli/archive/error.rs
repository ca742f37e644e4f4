//! Why a command about the archive did not do what was asked for.

use std::io;
use std::path::PathBuf;

use crate::archive::import::ImportError;
use crate::cli::scan::ScanError;
use crate::config::ConfigError;
use crate::store::StoreError;

/// Why something is not done, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The archive cannot be read.
    #[error("cannot read the archive in {path}", path = path.display())]
    Read {
        /// Its folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// There is nothing to take in.
    #[error("there are no session files in {path}: name a folder like ~/.claude, its projects, or an archive", path = path.display())]
    Nothing {
        /// What was named.
        path: PathBuf,
    },
    /// There is no archive.
    #[error("there is no archive in {path}: `[archive] enabled = true` makes one", path = path.display())]
    NoArchive {
        /// Where it would be.
        path: PathBuf,
    },
    /// Copies are damaged.
    #[error("{count} copies are damaged")]
    Damaged {
        /// How many.
        count: usize,
    },
    /// No session has this id, or several have.
    #[error("{0}")]
    Session(String),
    /// Files were not restored.
    #[error("{count} files were not restored")]
    NotRestored {
        /// How many.
        count: usize,
    },
    /// Nothing more can be taken in.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// Files were not taken in.
    #[error("{count} files were not taken in")]
    NotImported {
        /// How many.
        count: usize,
    },
    /// The state cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Standard output could not be written.
    #[error(transparent)]
    Print(#[from] ScanError),
}
