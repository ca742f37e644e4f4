//! `tailspan metrics`: every metric with its labels and meaning, as a table.

use super::scan::{ScanError, print};
use crate::views::metrics::document;

/// Prints the table to standard output. Fails if that cannot be written.
pub fn run() -> Result<(), ScanError> {
    print(&document::markdown())
}
