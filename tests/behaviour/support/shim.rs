//! A library that stands between a program and its files: see `shim.c`.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The library, built.
pub(crate) struct Shim {
    library: PathBuf,
    count: PathBuf,
}

impl Shim {
    /// Builds it with the C compiler that Rust links with.
    pub(crate) fn build(folder: &Path) -> Option<Self> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/shim.c");
        let (library, count) = (folder.join("shim.so"), folder.join("shim.count"));
        let built =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl").output();
        match built {
            Ok(output) if output.status.success() => Some(Self { library, count }),
            other => {
                assert!(std::env::var("CI").as_deref() != Ok("true"), "the shim cannot be built: {other:?}");
                eprintln!("skipped: the shim cannot be built: {other:?}");
                None
            }
        }
    }

    /// Environment of a program that it stands before.
    pub(crate) fn around<'a>(&self, command: &'a mut Command, prefix: &Path) -> &'a mut Command {
        command.env("LD_PRELOAD", &self.library).env("SHIM_PREFIX", prefix)
    }

    /// [`Shim::around`] as the beginning of a command line, with more of its variables.
    pub(crate) fn wrapper(&self, prefix: &Path, more: &[String]) -> Vec<String> {
        let own = [format!("LD_PRELOAD={}", self.library.display()), format!("SHIM_PREFIX={}", prefix.display())];
        ["env".to_owned()].into_iter().chain(own).chain(more.iter().cloned()).collect()
    }

    /// How many calls below `prefix` a program makes that change something.
    pub(crate) fn calls(&self, mut command: Command, prefix: &Path) -> usize {
        let status = self.around(&mut command, prefix).env("SHIM_COUNT", &self.count).status().unwrap();
        assert!(status.success(), "{status}");
        fs::read_to_string(&self.count).unwrap().parse().unwrap()
    }

    /// Kills a program at one of these calls. It may make a few less than another time, and then ends by itself.
    pub(crate) fn kill_at(&self, mut command: Command, prefix: &Path, call: usize) {
        let status = self.around(&mut command, prefix).env("SHIM_KILL_AT", call.to_string()).status().unwrap();
        assert!(status.success() || status.signal() == Some(9), "{status}");
    }
}
