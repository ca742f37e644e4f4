//! `tailspan metrics`: every metric with its labels and meaning, as a table.

use super::scan::{ScanError, print};
use crate::views::metrics::document;

/// Prints the table.
pub fn run() -> Result<(), ScanError> {
    print(&document::markdown())
}
