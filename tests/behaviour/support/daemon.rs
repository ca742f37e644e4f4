//! The real program as a child process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Names that metrics of the process begin with: all others are kept in the state.
const OF_A_PROCESS: [&str; 30] = [
    "tailspan_event_",
    "tailspan_search_index_",
    "tailspan_history_waiting",
    "process_",
    "tailspan_sessions_active",
    "tailspan_sessions_waiting",
    "tailspan_sessions_expiring",
    "tailspan_sessions_runaway",
    "tailspan_limit_",
    "tailspan_archive_",
    "tailspan_stream_lines",
    "tailspan_stream_bytes",
    "tailspan_stream_file",
    "tailspan_retention_",
    "tailspan_build_info",
    "tailspan_start_time_seconds",
    "tailspan_initial_scan_complete",
    "tailspan_files_watched",
    "tailspan_watch_degraded",
    "tailspan_paths_unreadable",
    "tailspan_read_lag_bytes",
    "tailspan_last_event_timestamp_seconds",
    "tailspan_store_bytes",
    "tailspan_log_lines_lost",
    "tailspan_state_",
    "tailspan_spans_exported",
    "tailspan_export_",
    "tailspan_history_",
    "tailspan_spans_dropped",
    "tailspan_http_requests",
];

/// Longest wait for anything: far beyond what is usual, so that only a hang ends it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A running sidecar on a port of its own.
pub(crate) struct Daemon {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    log: Receiver<String>,
    pub(crate) said: Vec<String>,
}

impl Daemon {
    /// Starts it on a free port, and waits until it says where it listens.
    pub(crate) fn start(projects: &Path, state: &Path, more: &[&str]) -> Self {
        Self::start_within(&[], projects, state, more)
    }

    /// [`Daemon::start`] by another program, which has to become it.
    pub(crate) fn start_within(wrapper: &[&str], projects: &Path, state: &Path, more: &[&str]) -> Self {
        Self::start_on("127.0.0.1:0", wrapper, projects, state, more)
    }

    /// [`Daemon::start_within`], listening on this address.
    pub(crate) fn start_on(listen: &str, wrapper: &[&str], projects: &Path, state: &Path, more: &[&str]) -> Self {
        let mut daemon = Self::spawn_within(wrapper, projects, state, &[&["--listen", listen], more].concat());
        let line = daemon.wait_for_log("tailspan is running");
        let address = line.split("address=").nth(1).unwrap().split(' ').next().unwrap();
        daemon.address = address.parse().unwrap();
        daemon
    }

    /// Starts it without waiting.
    pub(crate) fn spawn(projects: &Path, state: &Path, more: &[&str]) -> Self {
        Self::spawn_within(&[], projects, state, more)
    }

    /// [`Daemon::spawn`] by another program, which has to become it.
    pub(crate) fn spawn_within(wrapper: &[&str], projects: &Path, state: &Path, more: &[&str]) -> Self {
        let program = [wrapper, &[env!("CARGO_BIN_EXE_tailspan")]].concat();
        let path = std::env::var_os("PATH").filter(|_| !wrapper.is_empty());
        let mut child = Command::new(program[0])
            .env_clear()
            .envs(path.map(|path| ("PATH", path)))
            .args(&program[1..])
            .arg("run")
            .arg("--projects")
            .arg(projects)
            .arg("--state")
            .arg(state)
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, log) = channel();
        let stderr = child.stderr.take().unwrap();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)), log, said: Vec::new() }
    }

    /// One that somebody else has started; of its log nothing is heard.
    pub(crate) fn at(child: Child, address: SocketAddr) -> Self {
        let (_, log) = channel();
        Self { child, address, log, said: Vec::new() }
    }

    /// Waits for a line of the log that holds `text`.
    pub(crate) fn wait_for_log(&mut self, text: &str) -> String {
        self.wait_for_log_within(text, DEADLINE)
    }

    /// [`Daemon::wait_for_log`] for what takes long.
    pub(crate) fn wait_for_log_within(&mut self, text: &str, longest: Duration) -> String {
        let deadline = Instant::now() + longest;
        loop {
            match self.log.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.said.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("{text:?} was not said:\n{}", self.said.join("\n")),
                Err(RecvTimeoutError::Disconnected) => panic!("ended without {text:?}:\n{}", self.said.join("\n")),
            }
        }
    }

    /// The next line of the log that holds `text`, if it was said already.
    pub(crate) fn said_since(&mut self, text: &str) -> Option<String> {
        loop {
            let line = self.log.try_recv().ok()?;
            self.said.push(line.clone());
            if line.contains(text) {
                return Some(line);
            }
        }
    }

    /// Takes in all of the log that was said so far.
    pub(crate) fn hear_out(&mut self) {
        self.said.extend(self.log.try_iter());
    }

    /// Status and body of a GET.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.ask(path, "*/*")
    }

    /// Body of a GET in a format.
    pub(crate) fn get_as(&self, path: &str, accept: &str) -> String {
        self.ask(path, accept).1
    }

    fn ask(&self, path: &str, accept: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n");
        write!(stream, "{head}Connection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let text = String::from_utf8(answer).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// The metrics, once they are there.
    pub(crate) fn metrics(&self) -> String {
        self.until("metrics are served", || {
            let (status, body) = self.get("/metrics");
            (status == 200).then_some(body)
        })
    }

    /// Asks again until there is an answer.
    pub(crate) fn until<T>(&self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        self.until_or(what, || ask().ok_or_else(String::new))
    }

    /// Asks again until there is an answer; in the end says why there is none.
    pub(crate) fn until_or<T>(&self, what: &str, mut ask: impl FnMut() -> Result<T, String>) -> T {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match ask() {
                Ok(answer) => return answer,
                Err(why) => assert!(Instant::now() < deadline, "waited in vain: {what}; {why}"),
            }
            thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Sends a signal by its number.
    pub(crate) fn signal(&self, number: &str) {
        assert!(Command::new("kill").arg(number).arg(self.child.id().to_string()).status().unwrap().success());
    }

    /// Asks it to end, and gives its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        self.signal("-TERM");
        self.exit_code()
    }

    /// Waits for its end.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end");
            thread::park_timeout(Duration::from_millis(10));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // As a crash ends it. A test that failed must not leave its process behind.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Sum of the samples of a metric.
pub(crate) fn sum(metrics: &str, name: &str) -> f64 {
    let own = metrics
        .lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{') || rest.starts_with(' ')));
    own.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

/// Whether a line of `/metrics` belongs to the process, with which it begins, and not to the state.
pub(crate) fn is_of_the_process(line: &str) -> bool {
    OF_A_PROCESS.iter().any(|name| line.starts_with(name))
}
