//! A real terminal, as far as programs can tell: tmux, with a server of the test's own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::daemon::DEADLINE;
use super::privileges::skip;

/// A terminal in which a script runs.
pub(crate) struct Tmux {
    folder: TempDir,
}

impl Tmux {
    /// A terminal of this size that runs a script of the shell, in which `$D` is a folder of its own; afterwards it shows what
    /// there is to see. `None`, with the reason printed, if there is no tmux.
    pub(crate) fn start((columns, rows): (usize, usize), script: &str) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            skip("there is no tmux");
            return None;
        }
        let tmux = Self { folder: TempDir::new().unwrap() };
        let (path, folder) = (tmux.path("script"), tmux.folder.path().display());
        let head = format!(
            "D={folder}\nexport LANG=C.UTF-8 LC_ALL=C.UTF-8 TZ=UTC HOME={folder}\nunset NO_COLOR TAILSPAN_LOG\n"
        );
        fs::write(&path, format!("{head}{script}\nexec cat\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let start = ["new-session", "-d", "-s", "t", "-x", &columns, "-y", &rows, "bash"];
        tmux.run(&[&start[..], &[path.to_str().unwrap()]].concat());
        Some(tmux)
    }

    /// A file of the folder of the script.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a file of the script holds, once it is there and whole.
    pub(crate) fn file(&self, name: &str) -> String {
        let told = || fs::read_to_string(self.path(name)).ok().filter(|text| text.ends_with('\n'));
        self.wait(name, || told().ok_or_else(|| self.screen()))
    }

    /// Runs a command of tmux and gives what it prints.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.env("TMUX_TMPDIR", self.folder.path()).env_remove("TMUX").env("LC_ALL", "C.UTF-8");
        let output = command.args(["-L", "test", "-f", "/dev/null"]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Presses keys, by the names of tmux.
    pub(crate) fn press(&self, keys: &[&str]) {
        self.run(&[&["send-keys", "-t", "t"], keys].concat());
    }

    /// What is seen, line by line.
    pub(crate) fn screen(&self) -> String {
        self.run(&["capture-pane", "-p", "-t", "t"])
    }

    /// The same with its colours, as a terminal is told them.
    pub(crate) fn painted(&self) -> String {
        self.run(&["capture-pane", "-e", "-p", "-t", "t"])
    }

    /// A fact of tmux about the terminal, like `alternate_on`.
    pub(crate) fn fact(&self, name: &str) -> String {
        self.run(&["display-message", "-p", "-t", "t", &format!("#{{{name}}}")]).trim_end().to_owned()
    }

    /// Waits until what is seen has all of these, and gives it.
    pub(crate) fn until(&self, seen: &[&str]) -> String {
        self.until_is(&format!("{seen:?}"), |screen| seen.iter().all(|text| screen.contains(text)))
    }

    /// Waits until what is seen is as wanted, and gives it.
    pub(crate) fn until_is(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        self.wait(what, || Some(self.screen()).filter(|screen| is_so(screen)).ok_or_else(|| self.screen()))
    }

    fn wait<T>(&self, what: &str, mut ask: impl FnMut() -> Result<T, String>) -> T {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match ask() {
                Ok(answer) => return answer,
                Err(seen) => assert!(Instant::now() < deadline, "waited in vain for {what}:\n{seen}"),
            }
            thread::park_timeout(Duration::from_millis(20));
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let mut command = Command::new("tmux");
        command.env("TMUX_TMPDIR", self.folder.path()).args(["-L", "test", "kill-server"]).output().ok();
    }
}
