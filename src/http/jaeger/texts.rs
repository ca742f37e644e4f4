//! Reads rows of the session files again for the text of spans.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::archive::{Archive, OpenFiles};
use crate::ledger::unit::RowPlace;
use crate::store::{StoreError, StoreReader};
use crate::tail::reread::Latest;
use crate::transcript::expected::{Expected, Missing};

/// Most bytes that are read from session files for one answer.
const READ_BYTES_MAX: u64 = 256 << 20;

/// Reads the rows for one answer.
pub(super) struct SessionRows<'c> {
    reader: &'c StoreReader,
    files: OpenFiles,
    latest: Latest,
    bytes_left: u64,
    failed: Result<(), StoreError>,
}

impl<'c> SessionRows<'c> {
    pub(super) fn of(reader: &'c StoreReader, archive: &Archive) -> Self {
        let (files, latest) = (OpenFiles::new(archive), Latest::default());
        Self { reader, files, latest, bytes_left: READ_BYTES_MAX, failed: Ok(()) }
    }

    pub(super) fn read(&mut self, row: RowPlace, expected: &Expected) -> Result<Arc<Value>, Missing> {
        if !self.latest.has(row.file, row.place) {
            let bytes_left = self.bytes_left.checked_sub(row.place.bytes.into());
            self.bytes_left = bytes_left.ok_or(Missing::TooMuch)?;
        }
        let Self { reader, files, latest, failed, .. } = self;
        let path = || match reader.file(row.file) {
            Ok(file) => file.map(|file| PathBuf::from(OsString::from_vec(file.path))),
            Err(error) => {
                *failed = Err(error);
                None
            }
        };
        files.read(latest, (row.file, row.place), expected, path)
    }

    /// Fails if the database failed while rows were looked for since the last call.
    pub(super) fn failed(&mut self) -> Result<(), StoreError> {
        std::mem::replace(&mut self.failed, Ok(()))
    }
}
