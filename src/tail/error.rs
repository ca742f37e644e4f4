//! What can go wrong with one file.

use std::io;
use std::path::PathBuf;

/// Why a file could not be read. Other files are not affected, and the next try may succeed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file is there but cannot be opened, for example for want of permission.
    #[error("cannot open {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file was opened but reading failed.
    #[error("cannot read {path} at byte {offset}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Offset in the file, in bytes.
        offset: u64,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A file that is read as a whole is larger than `bytes_max`.
    #[error("{path} has {size_bytes} bytes, more than the {bytes_max} that such a file may have")]
    TooLarge {
        /// The file.
        path: PathBuf,
        size_bytes: u64,
        /// The largest size that is read, in bytes.
        bytes_max: u64,
    },
}
