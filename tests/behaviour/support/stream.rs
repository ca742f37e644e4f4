//! `tailspan stream` in a pipeline of the test, and sidecars that are no sidecars.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::daemon::DEADLINE;

/// A running `tailspan stream`.
pub(crate) struct Stream {
    pub(crate) child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    said: JoinHandle<String>,
}

/// How one has ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) said: String,
}

impl Ended {
    /// The exit code as a shell tells it.
    pub(crate) fn code(&self) -> i32 {
        shell_code(self.status)
    }
}

/// The exit code as a shell tells it: of a signal, 128 more.
pub(crate) fn shell_code(status: ExitStatus) -> i32 {
    status.code().or(status.signal().map(|signal| 128 + signal)).unwrap()
}

/// The program with these flags, and nothing of the environment of the test.
pub(crate) fn command(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tailspan"));
    command.env_clear().arg("stream").args(flags);
    command
}

/// Flags for a state and an address.
pub(crate) fn flags<'f>(state: &'f Path, listen: &'f str) -> Vec<&'f str> {
    vec!["--state", state.to_str().unwrap(), "--listen", listen]
}

impl Stream {
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::spawn(&mut command(flags))
    }

    /// Any command in the place of the program.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let said = thread::spawn(move || {
            let mut said = String::new();
            stderr.read_to_string(&mut said).unwrap();
            said
        });
        Self { stdin: child.stdin.take(), stdout: child.stdout.take(), child, said }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// Reads so many bytes of standard output.
    pub(crate) fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stdout.as_mut().unwrap().read_exact(&mut bytes).unwrap();
        bytes
    }

    pub(crate) fn signal(&self, signal: &str) {
        assert!(Command::new("kill").arg(signal).arg(self.child.id().to_string()).status().unwrap().success());
    }

    /// Closes standard input unless it is closed, reads standard output to its end, and waits for the end.
    pub(crate) fn end(mut self) -> Ended {
        drop(self.stdin.take());
        let mut stdout = Vec::new();
        if let Some(mut out) = self.stdout.take() {
            out.read_to_end(&mut stdout).unwrap();
        }
        let status = wait(&mut self.child);
        Ended { status, stdout, said: self.said.join().unwrap() }
    }
}

/// Waits for the end of a child.
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it does not end");
        }
        thread::park_timeout(std::time::Duration::from_millis(5));
    }
}

/// Asks again until there is an answer.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        thread::park_timeout(std::time::Duration::from_millis(10));
    }
}

/// An address where nobody listens.
pub(crate) fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// What listens but is no sidecar: it answers every request so, or, without an answer, never.
pub(crate) fn pretender(answer: Option<&'static str>) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, requests) = channel();
    thread::spawn(move || {
        let mut held = Vec::new();
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut length = 0;
            let mut head = String::new();
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) <= 2 {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                head += &line;
            }
            let mut body = vec![0; length];
            if reader.read_exact(&mut body).is_err() {
                continue;
            }
            asked.send(head + &String::from_utf8_lossy(&body)).ok();
            match answer {
                Some(answer) => drop(stream.write_all(answer.as_bytes())),
                None => held.push(stream),
            }
        }
    });
    (address, requests)
}

/// The stream files of a state, in order of their names.
pub(crate) fn files(state: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(state.join("streams")).into_iter().flatten().map_while(Result::ok);
    let paths = entries.map(|entry| entry.path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == "jsonl")).collect();
    files.sort();
    files
}

/// All lines of all stream files of a state.
pub(crate) fn lines(state: &Path) -> Vec<String> {
    let text = files(state).iter().map(|path| std::fs::read_to_string(path).unwrap_or_default()).collect::<String>();
    text.lines().map(str::to_owned).collect()
}

/// Those of them that are the client's.
pub(crate) fn events(state: &Path) -> Vec<String> {
    lines(state).into_iter().filter(|line| !is_mark(line)).collect()
}

/// Whether a line is one of tailspan's own.
pub(crate) fn is_mark(line: &str) -> bool {
    line.starts_with("{\"type\":\"tailspan\"")
}

/// The marks of a kind.
pub(crate) fn marks(state: &Path, mark: &str) -> Vec<serde_json::Value> {
    let marks = lines(state).into_iter().filter_map(|line| serde_json::from_str::<serde_json::Value>(&line).ok());
    marks.filter(|line| line["type"] == "tailspan" && line["mark"] == mark).collect()
}

/// An event of the client of about so many bytes.
pub(crate) fn event(number: usize, bytes: usize) -> String {
    format!(
        "{{\"type\":\"assistant\",\"uuid\":\"{number:08x}-0000-4000-8000-000000000001\",\
         \"session_id\":\"5fb3d16f-f9e3-4142-a37d-c727bd6ab70f\",\"text\":\"{}\"}}\n",
        "x".repeat(bytes)
    )
}
