//! `tailspan replay` on a terminal that nobody reads any more, as behind a connection that is dead.

use std::path::Path;
use std::process::Command;

use crate::support::dashboards::installed;

#[test]
fn a_terminal_that_nobody_reads_does_not_keep_the_process() {
    if !installed("python3", "python3") {
        return;
    }
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ended = Command::new("python3")
        .arg("-B")
        .arg(top.join("tests/support/unread_terminal.py"))
        .args([env!("CARGO_BIN_EXE_tailspan"), "replay", "--scan", "--projects"])
        .arg(top.join("fixtures/recordings/2.1.330/b_tools/projects"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ended.stdout);
    // Ended by the signal that it was sent.
    assert_eq!(told.trim(), "-15 as before", "{}", String::from_utf8_lossy(&ended.stderr));
}
