//! The program with arguments and an input, and what it prints; and something that answers like a sidecar.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// What a process printed, and how it ended.
pub(crate) struct Printed {
    pub(crate) text: String,
    pub(crate) said: String,
    pub(crate) code: Option<i32>,
}

/// Runs the program in a zone and locale that are always the same, without anything of the developer's.
pub(crate) fn tailspan(arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Printed {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tailspan"))
        .env_clear()
        .envs([("TZ", "UTC"), ("LANG", "C.UTF-8")])
        .envs(variables.iter().copied())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read its input may have ended already.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Printed { text: text(output.stdout), said: text(output.stderr), code: output.status.code() }
}

type Answering = fn(&str) -> Option<&'static str>;

/// Something that answers GETs like a sidecar.
pub(crate) struct Fake {
    address: String,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

fn of_fixtures(target: &str) -> Option<&'static str> {
    let path = target.split('?').next().unwrap();
    match path.strip_prefix("/api/v1/analytics/")? {
        "costs" if target.contains("group_by=block") => {
            Some(include_str!("../../../fixtures/reports/answers/block.json"))
        }
        "costs" if target.contains("group_by=") && !target.contains("group_by=day") => {
            Some("{\"rows\":[],\"total\":{},\"next_cursor\":null,\"currency\":\"USD\"}")
        }
        "costs" => Some(include_str!("../../../fixtures/reports/answers/costs.json")),
        "sessions" => Some("{\"sessions\":[],\"total\":0,\"next_cursor\":null,\"currency\":\"USD\"}"),
        "tools/usage" => Some(include_str!("../../../fixtures/reports/answers/tools.json")),
        "bottlenecks" => Some(include_str!("../../../fixtures/reports/answers/bottlenecks.json")),
        "patterns" => Some(include_str!("../../../fixtures/reports/answers/patterns.json")),
        _ => None,
    }
}

impl Fake {
    /// A sidecar with the answers of `fixtures/reports/answers`.
    pub(crate) fn start() -> Self {
        Self::with("tailspan is ready.\n", of_fixtures)
    }

    /// A sidecar that knows no route of the API.
    pub(crate) fn older() -> Self {
        Self::with("tailspan is ready.\n", |_| None)
    }

    /// Something else that speaks HTTP.
    pub(crate) fn stranger() -> Self {
        Self::with("hello\n", |_| Some("<html>"))
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    fn with(ready: &'static str, answering: Answering) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        let thread = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if is_over.load(Ordering::Acquire) {
                    return;
                }
                thread::spawn(move || answer(stream, ready, answering));
            }
        });
        Self { address, over, thread: Some(thread) }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        drop(TcpStream::connect(&self.address));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn answer(mut stream: TcpStream, ready: &str, answering: Answering) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(target) = lines.next().and_then(|line| line.split(' ').nth(1).map(str::to_owned)) else { return };
    // The head is read to its end, or closing would reset the connection.
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let (status, body) = match answering(&target) {
        _ if target == "/-/ready" => ("200 OK", ready.to_owned()),
        Some(body) => ("200 OK", body.to_owned()),
        None => (
            "404 Not Found",
            "{\"title\":\"Not found\",\"status\":404,\"detail\":\"there is no such page\"}".to_owned(),
        ),
    };
    // The other side may have had enough.
    drop(write!(stream, "HTTP/1.0 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
}
