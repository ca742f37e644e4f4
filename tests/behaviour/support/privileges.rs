//! What a test may do only where the system lets it: mount a small file system, live in a user namespace.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Says why a test cannot run here. Where everything is there (`CI=true`) that is a failure.
pub(crate) fn skip(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
    eprintln!("skipped: {why}");
}

/// A file system in memory, until it is dropped.
pub(crate) struct Mount(PathBuf);

impl Mount {
    /// Mounts one on `folder` with these options; says so where that is not permitted.
    pub(crate) fn new(folder: &Path, options: &str) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let command = ["-t", "tmpfs", "-o", options, "tailspan-test"];
        let output = Command::new("mount").args(command).arg(folder).output();
        match complaint(output) {
            None => Some(Self(folder.to_path_buf())),
            Some(why) => {
                skip(&format!("a tmpfs cannot be mounted: {why}"));
                None
            }
        }
    }

    pub(crate) fn remount(&self, options: &str) {
        let output = Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.0).output();
        assert_eq!(complaint(output), None);
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a process that was just killed may still hold a file.
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

/// Whether `unshare` with these arguments works; says so where it does not.
pub(crate) fn may_unshare(arguments: &[&str]) -> bool {
    let why = complaint(Command::new("unshare").args(arguments).arg("true").output());
    if let Some(why) = &why {
        skip(&format!("unshare is not permitted: {why}"));
    }
    why.is_none()
}

fn complaint(output: std::io::Result<Output>) -> Option<String> {
    match output {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(error.to_string()),
    }
}
