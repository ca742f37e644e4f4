//! Follows the stream of a sidecar: reads its events, and comes back with the last id when the connection ends.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::error::WatchError;
use super::line::{Look, line};
use crate::cli::ask::question::Question;
use crate::cli::ask::source::AskError;
use crate::cli::ask::stream;
use crate::config::Config;
use crate::sidecar::log;

/// The first and the longest pause between two tries to come back.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(5)];

/// A connection on which nothing comes for so many heartbeats is dead.
const HEARTBEATS: u32 = 3;

/// Shortest patience, for a sidecar that was started with other settings.
const PATIENCE: Duration = Duration::from_secs(50);

/// Most bytes of one event; a server that sends more is none of ours.
const EVENT_BYTES_MAX: usize = 8 << 20;

/// Prints the events of a stream as they come.
#[derive(Debug)]
pub(super) struct Printer {
    look: Look,
    /// What came of the next event.
    rest: Vec<u8>,
    /// The id that came last.
    last: Option<String>,
    /// True if an event was told, other than that of a stream itself.
    has_told: bool,
    /// True if the connection was lost, and that was said.
    is_lost: bool,
    /// Why standard output cannot be written.
    failed: Option<io::Error>,
}

impl Printer {
    pub(super) const fn new(look: Look) -> Self {
        Self { look, rest: Vec::new(), last: None, has_told: false, is_lost: false, failed: None }
    }

    pub(super) const fn has_told(&self) -> bool {
        self.has_told
    }

    fn event(&mut self, event: &str) -> String {
        let (mut name, mut data) = ("message", String::new());
        for field in event.lines() {
            let (key, value) = field.split_once(':').unwrap_or((field, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match key {
                "id" => self.last = Some(value.to_owned()),
                "event" => name = value,
                "data" => data.push_str(value),
                _ => {}
            }
        }
        match name {
            "heartbeat" => String::new(),
            "resync" => {
                log::say("tailspan: some events are not kept any more; what is there follows");
                String::new()
            }
            _ if data.is_empty() => String::new(),
            _ if self.look.json => data + "\n",
            _ => serde_json::from_str::<Value>(&data).map_or_else(|_| String::new(), |data| line(&data, self.look)),
        }
    }
}

impl Write for Printer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if std::mem::take(&mut self.is_lost) {
            log::say("tailspan: the sidecar is there again");
        }
        self.rest.extend_from_slice(bytes);
        let mut printed = String::new();
        while let Some(end) = self.rest.windows(2).position(|two| two == b"\n\n") {
            let event: Vec<u8> = self.rest.drain(..end + 2).collect();
            printed.push_str(&self.event(&String::from_utf8_lossy(&event)));
        }
        self.has_told |= !printed.is_empty();
        if self.rest.len() > EVENT_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut out = io::stdout().lock();
        if let Err(error) = out.write_all(printed.as_bytes()).and_then(|()| out.flush()) {
            let kind = error.kind();
            self.failed = Some(error);
            return Err(kind.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Prints what the question asks for. Fails if nobody answers at the beginning, or if the question is refused.
pub(super) fn follow(
    config: &Config,
    question: &Question,
    printer: &mut Printer,
    comes_back: bool,
) -> Result<(), WatchError> {
    let (listen, mut pause, mut is_first) = (config.listen, PAUSES[0], true);
    let patience = (config.events.heartbeat * HEARTBEATS).max(PATIENCE);
    loop {
        let asked = question.clone().with_some("last_event_id", printer.last.as_deref());
        printer.rest.clear();
        let before = printer.last.clone();
        let answered = stream::get(listen, asked.target(), None, patience, printer);
        match printer.failed.take() {
            // It is no error if the reader closes the pipe early, as `head` does.
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Some(error) => return Err(WatchError::Output(error)),
            None => {}
        }
        match answered {
            Ok(stream::Streamed { status: 200, .. }) if !comes_back => return Ok(()),
            // It ended.
            Ok(stream::Streamed { status: 200, .. }) => {}
            // A sidecar that has just started may have no room or no state yet.
            Ok(stream::Streamed { status: 503, .. }) if !is_first => {}
            Ok(stream::Streamed { status, refusal, .. }) => return Err(refused(status, &refusal, listen).into()),
            Err(source) if is_first && printer.last.is_none() => return Err(WatchError::Nobody { listen, source }),
            Err(_) => {}
        }
        is_first = false;
        if printer.last != before {
            pause = PAUSES[0];
        }
        if !std::mem::replace(&mut printer.is_lost, true) {
            log::say(&format!("tailspan: the connection to the sidecar at {listen} ended; trying again"));
        }
        thread::sleep(pause);
        pause = pause.saturating_mul(2).min(PAUSES[1]);
    }
}

fn refused(status: u16, body: &[u8], listen: std::net::SocketAddr) -> AskError {
    let told: Value = serde_json::from_slice(body).unwrap_or_default();
    match told.get("detail").and_then(Value::as_str) {
        Some(reason) if status != 404 => AskError::Refused { status, reason: reason.to_owned() },
        _ => AskError::Older { who: format!("the sidecar at {listen}"), path: "/api/v1/events".to_owned() },
    }
}
