//! Requests to the sidecar, over one connection that is kept.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use super::tape::Tape;
use crate::streams::Run;
use crate::text::percent_encoded;

/// Most bytes of lines that are handed over at once, if they are more than one.
pub(super) const BATCH_BYTES: u64 = 4 << 20;
/// How often it is asked whether to go on while the sidecar is waited for.
const BEAT: Duration = Duration::from_millis(10);
/// How long a connection may take: on the same machine it is there at once, unless nobody accepts any.
const CONNECT: Duration = Duration::from_millis(200);
/// Most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Bytes that are sent at once from a file.
const PIECE_BYTES: usize = 256 << 10;

/// A part of a body.
pub(super) enum Part<'a> {
    /// A mark.
    Text(String),
    /// Lines that were read.
    Tape(&'a Tape, Range<u64>),
    /// Lines of a spool.
    File(&'a File, Range<u64>),
}

/// Why a sidecar has not taken what was sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotTaken {
    /// Nobody listens.
    #[error("nobody answers at {address}")]
    Nobody { address: SocketAddr, source: io::Error },
    /// The answer is late.
    #[error("no answer in time")]
    Late,
    /// It was not waited for any longer.
    #[error("there is no time to wait for an answer")]
    GivenUp,
    /// The connection has broken.
    #[error("the connection has ended")]
    Broken(#[source] io::Error),
    /// What was to be sent cannot be read.
    #[error("what was to be sent cannot be read")]
    Unreadable(#[source] io::Error),
    /// It refuses.
    #[error("it refuses: {status} {reason}")]
    Refused { status: u16, reason: String },
}

impl NotTaken {
    /// Whether the sidecar took too long.
    pub(super) const fn is_slow(&self) -> bool {
        matches!(self, Self::Late | Self::GivenUp)
    }
}

/// A sidecar at an address.
#[derive(Debug)]
pub(super) struct Sidecar {
    address: SocketAddr,
    connection: Option<TcpStream>,
}

/// How long a sidecar is waited for.
pub(super) struct Waiting<'w> {
    /// How long it may take nothing and say nothing.
    pub(super) patience: Duration,
    /// Asked while it is waited for: whether to wait on.
    pub(super) goes_on: &'w mut dyn FnMut() -> bool,
}

impl Part<'_> {
    fn bytes(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Tape(_, range) | Self::File(_, range) => range.end.saturating_sub(range.start),
        }
    }

    fn each(&self, send: &mut dyn FnMut(&[u8]) -> Result<(), NotTaken>) -> Result<(), NotTaken> {
        match self {
            Self::Text(text) => send(text.as_bytes()),
            Self::Tape(tape, range) => {
                let mut place = range.start;
                while place < range.end {
                    let piece = tape.piece(place, range.end).map_err(NotTaken::Unreadable)?;
                    send(piece.as_ref())?;
                    place += piece.as_ref().len() as u64;
                }
                Ok(())
            }
            Self::File(file, range) => {
                let mut place = range.start;
                let mut buffer = vec![0; PIECE_BYTES];
                while place < range.end {
                    let length = usize::try_from(range.end - place).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
                    let piece = buffer.get_mut(..length).unwrap_or_default();
                    file.read_exact_at(piece, place).map_err(NotTaken::Unreadable)?;
                    send(piece)?;
                    place += length as u64;
                }
                Ok(())
            }
        }
    }
}

impl Sidecar {
    pub(super) fn at(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends lines of a run. Returns which folder the sidecar keeps them in, if it says so; they are durable then.
    pub(super) fn post(
        &mut self,
        run: &Run,
        parts: &[Part<'_>],
        waiting: &mut Waiting<'_>,
    ) -> Result<Option<String>, NotTaken> {
        let kept = self.connection.take();
        let was_kept = kept.is_some();
        let result = self.exchange(kept, run, parts, waiting);
        match result {
            // The sidecar closes a connection that was idle: what was sent over it may not have been seen.
            Err(NotTaken::Broken(_)) if was_kept => self.exchange(None, run, parts, waiting),
            result => result,
        }
    }

    fn exchange(
        &mut self,
        kept: Option<TcpStream>,
        run: &Run,
        parts: &[Part<'_>],
        waiting: &mut Waiting<'_>,
    ) -> Result<Option<String>, NotTaken> {
        let mut stream = match kept {
            Some(stream) => stream,
            None => self.connect(waiting.patience)?,
        };
        let length = parts.iter().map(Part::bytes).sum();
        let head = head(self.address, run, length);
        send(&mut stream, head.as_bytes(), waiting)?;
        for part in parts {
            part.each(&mut |bytes| send(&mut stream, bytes, waiting))?;
        }
        let answer = received(&mut stream, waiting)?;
        if answer.status != 202 {
            let told = String::from_utf8_lossy(&answer.body);
            let reason = told.chars().filter(|letter| !letter.is_control()).take(300).collect();
            return Err(NotTaken::Refused { status: answer.status, reason });
        }
        if answer.stays {
            self.connection = Some(stream);
        }
        Ok(answer.folder)
    }

    fn connect(&self, patience: Duration) -> Result<TcpStream, NotTaken> {
        let nobody = |source| NotTaken::Nobody { address: self.address, source };
        let stream = TcpStream::connect_timeout(&self.address, patience.min(CONNECT)).map_err(nobody)?;
        stream.set_nodelay(true).map_err(NotTaken::Broken)?;
        stream.set_write_timeout(Some(BEAT)).map_err(NotTaken::Broken)?;
        stream.set_read_timeout(Some(BEAT)).map_err(NotTaken::Broken)?;
        Ok(stream)
    }
}

fn head(address: SocketAddr, run: &Run, length: u64) -> String {
    let caller = &run.caller;
    let mut head = format!(
        "POST /api/v1/events HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-ndjson\r\nContent-Length: {length}\r\n\
         Tailspan-Run: {}\r\n",
        run.id.as_str()
    );
    let mut add = |name: &str, value: &str| head.push_str(&format!("{name}: {value}\r\n"));
    if let Some(workflow) = &caller.workflow {
        add("Tailspan-Workflow", &percent_encoded(workflow));
    }
    if !caller.labels.is_empty() {
        add("Tailspan-Labels", &caller.labels_header());
    }
    if let Some(traceparent) = &caller.traceparent {
        add("traceparent", traceparent);
    }
    head + "\r\n"
}

/// Waits for one beat, or says why not any longer.
fn beat(since: Instant, waiting: &mut Waiting<'_>) -> Result<(), NotTaken> {
    if !(waiting.goes_on)() {
        return Err(NotTaken::GivenUp);
    }
    if since.elapsed() >= waiting.patience { Err(NotTaken::Late) } else { Ok(()) }
}

fn send(stream: &mut TcpStream, mut bytes: &[u8], waiting: &mut Waiting<'_>) -> Result<(), NotTaken> {
    let mut since = Instant::now();
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(0) => return Err(NotTaken::Broken(io::ErrorKind::WriteZero.into())),
            Ok(count) => {
                bytes = bytes.get(count..).unwrap_or_default();
                since = Instant::now();
            }
            Err(error) if is_late(&error) => beat(since, waiting)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(NotTaken::Broken(error)),
        }
    }
    Ok(())
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Where a piece of a file ends that begins at a line and holds whole lines.
pub(super) fn piece_end(file: &File, range: Range<u64>) -> io::Result<u64> {
    let mut buffer = vec![0; 64 << 10];
    let mut from = range.start + BATCH_BYTES;
    while from < range.end {
        let length = usize::try_from(range.end - from).unwrap_or(buffer.len()).min(buffer.len());
        let Some(piece) = buffer.get_mut(..length) else { break };
        file.read_exact_at(piece, from)?;
        if let Some(newline) = memchr::memchr(b'\n', piece) {
            return Ok(from + newline as u64 + 1);
        }
        from += length as u64;
    }
    Ok(range.end)
}

struct Reply {
    status: u16,
    folder: Option<String>,
    stays: bool,
    body: Vec<u8>,
}

/// Reads one answer, which says how long it is.
fn received(stream: &mut TcpStream, waiting: &mut Waiting<'_>) -> Result<Reply, NotTaken> {
    let broken = |what: &str| NotTaken::Broken(io::Error::new(io::ErrorKind::InvalidData, what.to_owned()));
    let since = Instant::now();
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    loop {
        if let Some(reply) = parsed(&text) {
            return Ok(reply);
        }
        if text.len() > ANSWER_BYTES_MAX {
            return Err(broken("the answer is too long"));
        }
        match stream.read(&mut piece) {
            Ok(0) => return Err(broken("the answer is not whole, or not HTTP")),
            Ok(count) => text.extend_from_slice(piece.get(..count).unwrap_or_default()),
            Err(error) if is_late(&error) => beat(since, waiting)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(NotTaken::Broken(error)),
        }
    }
}

/// The answer; `None` if it is not there as a whole.
fn parsed(text: &[u8]) -> Option<Reply> {
    let end = text.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let (head, body) = (std::str::from_utf8(text.get(..end)?).ok()?, text.get(end + 4..)?);
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let mut reply = Reply { status, folder: None, stays: true, body: Vec::new() };
    let mut length = 0;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "connection" => reply.stays = !value.eq_ignore_ascii_case("close"),
            "tailspan-folder" => reply.folder = Some(value.to_owned()),
            _ => {}
        }
    }
    reply.body = body.get(..length)?.to_vec();
    Some(reply)
}
