//! What can go wrong with the state. The texts tell the user what helps.

use std::io;
use std::path::PathBuf;

/// Why the state could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the state.
    #[error("the state in {path} is in use by another tailspan; stop it, or choose another folder with --state")]
    Locked {
        /// State folder.
        path: PathBuf,
    },
    /// A newer program wrote the state.
    #[error(
        "the state in {path} has {what} {found}, this program knows up to {known}; use a newer tailspan or another --state"
    )]
    NewerSchema {
        /// State folder.
        path: PathBuf,
        /// What is newer: `schema`, or rows of a kind.
        what: String,
        /// Its version in the state.
        found: u32,
        /// Its newest version that this program knows.
        known: u32,
    },
    /// The state has a layout that no released program wrote.
    #[error("the database has schema {found}, which no released program wrote")]
    UnreleasedSchema {
        /// Schema of the state.
        found: u32,
    },
    /// The state folder cannot be made, read or written.
    #[error("cannot use the state folder {path}")]
    Folder {
        /// State folder, or the file in it.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The database is closed until it can be written again.
    #[error("the state is closed until its disk can be written again")]
    Closed,
    /// The disk has no room for what would be written next.
    #[error("the disk of {path} has no room for the {needed} bytes that the next commit may take")]
    Full {
        /// File of the database.
        path: PathBuf,
        /// Bytes that must be free.
        needed: u64,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The files in use are not at their places any more.
    #[error(
        "{path} was removed, renamed or replaced while it was in use: put it back, or restart tailspan to go on with \
         what is there"
    )]
    Gone {
        /// The file, or the folder of the database.
        path: PathBuf,
    },
    /// The process is about to end, so work that can wait for the next start is not done.
    #[error("the process is about to end")]
    Ending,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sled::Error),
    /// The database cannot be copied into a new one; it goes on as it is.
    #[error("the database cannot be copied into a new one")]
    Copy {
        /// Why the copy failed.
        source: Box<StoreError>,
    },
    /// A copy would leave too little room on the disk for others.
    #[error("the disk of {path} has {free} bytes free, a copy needs {needed}")]
    NoRoom {
        /// State folder.
        path: PathBuf,
        /// Bytes that must be free.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The database panicked while it was opened.
    #[error("the database panicked while it was opened")]
    Panicked,
    /// The database was in use and holds nothing that can be read.
    #[error("the database has lost everything that was in it")]
    Emptied,
    /// A row of the database cannot be read.
    #[error("the database is damaged at key {}", String::from_utf8_lossy(key))]
    Damaged { key: Vec<u8> },
    /// A unit that was read from the database has no number in it.
    #[error("the database is damaged: a unit has no number")]
    Unnumbered,
    /// A value cannot be encoded.
    #[error("a value cannot be encoded")]
    Encode(#[source] postcard::Error),
    /// A value is larger than the layout allows.
    #[error("a value of {bytes} bytes is larger than the database can hold")]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
    },
}

impl StoreError {
    /// Marks an error as one of a copy, which tells nothing about the database in use.
    pub(super) fn in_copy(source: Self) -> Self {
        Self::Copy { source: Box::new(source) }
    }

    /// True if the same may succeed later, because the disk is full, read-only or failing. The database must be opened
    /// again.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Folder { .. }
                | Self::Full { .. }
                | Self::Gone { .. }
                | Self::Closed
                | Self::Database(sled::Error::Io(_))
        )
    }

    /// True if the database itself cannot be used, so that it must be set aside and everything read again.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Damaged { .. }
                | Self::Unnumbered
                | Self::UnreleasedSchema { .. }
                | Self::Panicked
                | Self::Emptied
                | Self::Database(
                    sled::Error::Corruption { .. } | sled::Error::ReportableBug(_) | sled::Error::Unsupported(_)
                )
        )
    }
}
