//! A small HTTP/1.1 client that sends exactly the bytes it is told to and waits no longer than [`DEADLINE`].

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than any answer of a working server; a test that reaches it has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub(crate) fn get(addr: SocketAddr, path: &str) -> Reply {
    request(addr, "GET", path, &[], b"")
}

pub(crate) fn post(addr: SocketAddr, path: &str, body: &[u8]) -> Reply {
    request(addr, "POST", path, &[], body)
}

/// One request on a connection of its own, with `Host: 127.0.0.1` unless `headers` has a host.
pub(crate) fn request(addr: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let mut client = Client::connect(addr);
    client.send(head(method, path, headers, body.len()).as_bytes());
    client.send(body);
    if method == "HEAD" { client.read_head().0 } else { client.read() }
}

/// Checks status, form and detail of a refusal.
pub(crate) fn assert_problem(reply: &Reply, status: u16, detail: &str) {
    let body = reply.text();
    assert_eq!(reply.status, status, "{body}");
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{body}");
    let problem = reply.json();
    assert_eq!(problem["type"], "about:blank");
    assert_eq!(problem["status"], status);
    assert!(problem["title"].is_string());
    assert!(problem["detail"].as_str().unwrap().contains(detail), "{body}");
}

/// Sends `bytes` and reads one answer.
pub(crate) fn raw(addr: SocketAddr, bytes: &[u8]) -> Reply {
    let mut client = Client::connect(addr);
    client.send(bytes);
    client.read()
}

/// The head of a request whose body has `length` bytes.
pub(crate) fn head(method: &str, path: &str, headers: &[(&str, &str)], length: usize) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        text.push_str("Host: 127.0.0.1\r\n");
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if length > 0 {
        text.push_str(&format!("Content-Length: {length}\r\n"));
    }
    text + "\r\n"
}

/// A connection that stays open until it is dropped.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&addr, DEADLINE).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    /// The port of this end.
    pub(crate) fn local_port(&self) -> u16 {
        self.stream.get_ref().local_addr().unwrap().port()
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    /// Says that nothing more will be sent, like `nc -N`.
    pub(crate) fn shut_down(&mut self) {
        self.stream.get_ref().shutdown(Shutdown::Write).unwrap();
    }

    pub(crate) fn read(&mut self) -> Reply {
        let (mut reply, length) = self.read_head();
        reply.body = match length {
            // "Not modified" has no body and no length. Source: RFC 9110, section 15.4.5.
            None if reply.status == 304 => Vec::new(),
            Some(length) => self.read_body(length),
            None if reply.header("transfer-encoding") == Some("chunked") => {
                let (body, is_whole) = self.read_chunks();
                assert!(is_whole, "the answer broke off");
                body
            }
            None => {
                let mut body = Vec::new();
                self.stream.read_to_end(&mut body).unwrap();
                body
            }
        };
        reply
    }

    /// What stands behind a head, `length` bytes of it.
    pub(crate) fn read_body(&mut self, length: usize) -> Vec<u8> {
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        body
    }

    /// The next chunk of a body without a length, empty at its end; `None` if the connection ends before.
    pub(crate) fn read_chunk(&mut self) -> Option<Vec<u8>> {
        let length = usize::from_str_radix(&self.line(), 16).ok()?;
        let mut chunk = vec![0; length + 2];
        self.stream.read_exact(&mut chunk).ok()?;
        assert!(chunk.ends_with(b"\r\n"));
        chunk.truncate(length);
        Some(chunk)
    }

    /// All chunks of a body, and whether its end came.
    pub(crate) fn read_chunks(&mut self) -> (Vec<u8>, bool) {
        let mut body = Vec::new();
        loop {
            match self.read_chunk() {
                Some(chunk) if chunk.is_empty() => return (body, true),
                Some(chunk) => body.extend(chunk),
                None => return (body, false),
            }
        }
    }

    /// Status and headers, and the body's length if it is stated; the body stays unread.
    pub(crate) fn read_head(&mut self) -> (Reply, Option<usize>) {
        let status_line = self.line();
        let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not a status line: {status_line:?}"));
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let reply = Reply { status, headers, body: Vec::new() };
        let length = reply.header("content-length").map(|length| length.parse().unwrap());
        (reply, length)
    }

    /// Waits until the server closes the connection; `false` if it sends something instead.
    pub(crate) fn ends(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => true,
            Err(error) => panic!("still open after {DEADLINE:?}: {error}"),
        }
    }

    /// Whether nothing arrives within `patience`.
    pub(crate) fn is_silent_for(&mut self, patience: Duration) -> bool {
        self.stream.get_ref().set_read_timeout(Some(patience)).unwrap();
        let silent = matches!(self.stream.fill_buf(), Err(error) if error.kind() == ErrorKind::WouldBlock);
        self.stream.get_ref().set_read_timeout(Some(DEADLINE)).unwrap();
        silent
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}
