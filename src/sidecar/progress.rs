//! The progress bar of a long pass: files, bytes, rate, remaining time.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const TEMPLATE: &str =
    "{msg} files [{wide_bar}] {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  {eta} left";

/// A bar on stderr while a pass runs; nothing at all if stderr is not a terminal. Threads may share it.
pub struct Progress {
    bar: ProgressBar,
    files: AtomicU64,
    files_total: u64,
}

impl Progress {
    /// Draws an empty bar for a pass over `files_total` files of `bytes_total` bytes together.
    #[must_use]
    pub fn start(files_total: u64, bytes_total: u64) -> Self {
        // indicatif decides in its own way what a terminal is; a piped stderr must have no control codes in any case.
        let target =
            if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(bytes_total), target).with_style(style);
        let progress = Self { bar, files: AtomicU64::new(0), files_total };
        progress.advance(0, 0);
        progress
    }

    /// Adds files that are complete and bytes that were read. The sums may exceed the totals if files grow meanwhile.
    pub fn advance(&self, files: u64, bytes: u64) {
        self.bar.inc(bytes);
        let files = self.files.fetch_add(files, Ordering::Relaxed).saturating_add(files);
        if !self.bar.is_hidden() {
            self.bar.set_message(format!("{files}/{}", self.files_total));
        }
    }

    /// Removes the bar from the terminal, so that only the result is left there.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}
