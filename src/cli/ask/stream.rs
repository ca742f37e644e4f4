//! One GET of a sidecar on this machine, whose answer is passed on while it comes. HTTP/1.1, because only there an answer of
//! unknown length has an end that can be missing.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest line of a head, and of the length of a chunk.
const LINE_BYTES_MAX: u64 = 16 << 10;

/// Longest refusal that is read.
const REFUSAL_BYTES_MAX: u64 = 1 << 20;

/// An answer whose body was passed on, or a refusal with its body.
#[derive(Debug)]
pub(in crate::cli) struct Streamed {
    pub(in crate::cli) status: u16,
    /// The entity tag.
    pub(in crate::cli) tag: Option<String>,
    /// The body of anything but an answer.
    pub(in crate::cli) refusal: Vec<u8>,
}

/// What a head says.
#[derive(Default)]
struct Head {
    status: u16,
    tag: Option<String>,
    length: Option<u64>,
    is_chunked: bool,
}

/// Asks for `target` and passes the body of an answer on to `sink`. `known` is the tag of an answer that is there already.
/// Fails if nobody listens, if what listens does not speak HTTP, if nothing comes for as long as `patience`, or if the answer
/// breaks off.
pub(in crate::cli) fn get(
    address: SocketAddr,
    target: &str,
    known: Option<&str>,
    patience: Duration,
    sink: &mut dyn Write,
) -> io::Result<Streamed> {
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(patience))?;
    stream.set_read_timeout(Some(patience))?;
    let known = known.map_or_else(String::new, |tag| format!("If-None-Match: {tag}\r\n"));
    let head = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{known}\r\n");
    stream.write_all(head.as_bytes())?;
    let mut stream = BufReader::with_capacity(64 << 10, stream);
    let Head { status, tag, length, is_chunked } = head_of(&mut stream)?;
    let mut refusal = Vec::new();
    match status {
        200 if is_chunked => chunks(&mut stream, sink)?,
        200 => {
            let copied = io::copy(&mut stream.take(length.unwrap_or(u64::MAX)), sink)?;
            if length.is_some_and(|length| copied != length) {
                return Err(broken_off());
            }
        }
        304 => {}
        _ => {
            stream.take(length.unwrap_or(REFUSAL_BYTES_MAX)).read_to_end(&mut refusal)?;
        }
    }
    Ok(Streamed { status, tag, refusal })
}

fn head_of(stream: &mut impl BufRead) -> io::Result<Head> {
    let first = line(stream)?;
    let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.split(' ').next()?.parse().ok());
    let mut head = Head { status: status.ok_or_else(no_http)?, ..Head::default() };
    loop {
        let line = line(stream)?;
        let Some((name, value)) = line.split_once(':') else { return Ok(head) };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "etag" => head.tag = Some(value.to_owned()),
            "content-length" => head.length = Some(value.parse().map_err(|_| no_http())?),
            "transfer-encoding" => head.is_chunked = value.eq_ignore_ascii_case("chunked"),
            _ => {}
        }
    }
}

fn line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    stream.take(LINE_BYTES_MAX).read_line(&mut line)?;
    line.strip_suffix("\r\n").map(str::to_owned).ok_or_else(broken_off)
}

/// Passes on the chunks of a body up to its end.
fn chunks(stream: &mut impl BufRead, sink: &mut dyn Write) -> io::Result<()> {
    loop {
        let told = line(stream)?;
        let length = u64::from_str_radix(told.split(';').next().unwrap_or_default().trim(), 16);
        let length = length.map_err(|_| no_http())?;
        if io::copy(&mut stream.take(length), sink)? != length || !line(stream)?.is_empty() {
            return Err(broken_off());
        }
        if length == 0 {
            return Ok(());
        }
    }
}

fn broken_off() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the answer broke off")
}

fn no_http() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP")
}
