//! One question to a sidecar on this machine. HTTP/1.0, so that a body is sent as it is and ends with the connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Longest answer that is read, in bytes: a page of the API is far smaller.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A status and a body.
#[derive(Debug)]
pub(in crate::cli) struct Reply {
    pub(in crate::cli) status: u16,
    pub(in crate::cli) body: Vec<u8>,
}

/// Asks for `target`, a path with its query; with a `body` of JSON as a POST. Fails if nobody listens, if what listens does not speak HTTP, or if the
/// whole answer is not there within `patience`.
pub(in crate::cli) fn ask(
    address: SocketAddr,
    target: &str,
    body: Option<&[u8]>,
    patience: Duration,
) -> io::Result<Reply> {
    let deadline = Instant::now() + patience;
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(left(deadline)?))?;
    let (method, about) = match body {
        Some(body) => ("POST", format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())),
        None => ("GET", String::new()),
    };
    let head = format!("{method} {target} HTTP/1.0\r\nHost: {address}\r\nAccept: application/json, */*\r\n{about}\r\n");
    stream.write_all(&[head.as_bytes(), body.unwrap_or_default()].concat())?;
    let mut answer = Vec::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(piece.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if answer.len() > ANSWER_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is too long"));
        }
    }
    parsed(&answer).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is not whole, or not HTTP"))
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Status and body; `None` if the answer is not HTTP, or shorter than it says.
fn parsed(answer: &[u8]) -> Option<Reply> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let (head, body) = (std::str::from_utf8(answer.get(..end)?).ok()?, answer.get(end + 4..)?);
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let mut lengths =
        lines.filter_map(|line| line.split_once(':')).filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let is_whole = lengths.all(|(_, length)| length.trim().parse() == Ok(body.len()));
    is_whole.then(|| Reply { status, body: body.to_vec() })
}
