//! Answers that are written while they are read.

use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use tailspan::http::ServerLimits;

use crate::support::http::{Client, DEADLINE, Reply, assert_problem, get, head};
use crate::support::serving::{BROKEN_LINES, LINE_BYTES, LINES, MOMENT, Served, line};

/// The head of a streamed answer, whose body is still to be read.
fn streamed(served: &Served, path: &str, headers: &[(&str, &str)]) -> (Client, Reply) {
    let mut client = Client::connect(served.addr);
    client.send(head("GET", path, headers, 0).as_bytes());
    let (reply, length) = client.read_head();
    assert_eq!((reply.status, length, reply.header("transfer-encoding")), (200, None, Some("chunked")), "{path}");
    (client, reply)
}

fn lines(count: usize) -> Vec<u8> {
    (0..count).flat_map(|number| line(number).into_bytes()).collect()
}

#[test]
fn a_stream_is_written_no_faster_than_it_is_read() {
    // It may take longer than an answer, as long as it goes on.
    let served = Served::with(ServerLimits { answer_timeout: MOMENT, ..ServerLimits::default() });
    let (mut client, _) = streamed(&served, "/stream", &[]);
    assert_eq!(served.writing_ended(2 * MOMENT), None);
    let written = served.app.context.written.load(Ordering::SeqCst);
    assert!(written < LINES * LINE_BYTES / 2, "{written} bytes are written, and nobody has read one");
    let (body, is_whole) = client.read_chunks();
    assert!(is_whole && body == lines(LINES));
    assert_eq!(served.writing_ended(DEADLINE), Some(Ok(())));
    client.send(head("GET", "/items/next", &[], 0).as_bytes());
    assert_eq!(client.read().text(), "next");
}

#[test]
fn a_stream_ends_when_its_client_goes_away() {
    let served = Served::new();
    let (mut client, _) = streamed(&served, "/stream", &[]);
    assert!(client.read_chunk().is_some());
    drop(client);
    assert_eq!(served.writing_ended(DEADLINE), Some(Err(ErrorKind::BrokenPipe)));
    let stalling = Served::with(ServerLimits { stall_timeout: MOMENT, ..ServerLimits::default() });
    let (_client, _) = streamed(&stalling, "/stream", &[]);
    assert_eq!(stalling.writing_ended(DEADLINE), Some(Err(ErrorKind::BrokenPipe)));
}

#[test]
fn a_stream_that_fails_has_no_end_and_is_logged_once() {
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);
    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let log = Log::default();
    let lines_of_log = log.clone();
    tracing_subscriber::fmt().with_writer(move || lines_of_log.clone()).init();
    let served = Served::new();
    for (path, name) in [("/stream/broken", "\"/stream/broken\""), ("/stream/panics", "\"/stream/panics\"")] {
        let (mut client, _) = streamed(&served, path, &[]);
        let (body, is_whole) = client.read_chunks();
        assert!(!is_whole && lines(BROKEN_LINES).starts_with(&body), "{path}: {} bytes", body.len());
        assert!(client.ends());
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches(name).count(), 1, "{text}");
    }
    assert_problem(&get(served.addr, "/stream/broken/first"), 500, "the handler failed; the log says why");
    assert_eq!(get(served.addr, "/items/a").text(), "a");
}

#[test]
fn a_stream_that_stands_still_has_no_end() {
    let served = Served::with(ServerLimits { answer_timeout: MOMENT, ..ServerLimits::default() });
    served.release.send(()).unwrap();
    let (mut client, reply) = streamed(&served, "/stream/held", &[("Accept-Encoding", "gzip")]);
    assert_eq!(reply.header("content-encoding"), None);
    // The first word is there while the second waits, which is not written in time.
    assert_eq!(client.read_chunk().unwrap(), b"one");
    assert_eq!(client.read_chunks(), (Vec::new(), false));
    served.release.send(()).unwrap();
    assert_problem(&get(served.addr, "/stream/held"), 503, "no answer within 0.5 s");
    served.release.send(()).unwrap();
}

#[test]
fn a_stream_has_a_slot_while_it_is_written() {
    let limits = ServerLimits { large_handlers_max: 1, large_waiting_max: 0, ..ServerLimits::default() };
    let served = Served::with(limits);
    served.release.send(()).unwrap();
    let (mut client, _) = streamed(&served, "/large/stream/held", &[]);
    assert_eq!(client.read_chunk().unwrap(), b"one");
    assert_problem(&get(served.addr, "/large/small"), 503, "too many requests wait for large answers");
    served.release.send(()).unwrap();
    assert_eq!(client.read_chunks(), (b"two".to_vec(), true));
    assert_eq!(get(served.addr, "/large/small").text(), "small");
}

#[test]
fn a_stream_is_compressed_and_has_a_head_of_its_own() {
    let served = Served::new();
    let (mut client, reply) = streamed(&served, "/stream", &[("Accept-Encoding", "gzip")]);
    assert_eq!(reply.header("content-encoding"), Some("gzip"));
    let (body, is_whole) = client.read_chunks();
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(body.as_slice()).read_to_end(&mut text).unwrap();
    assert!(is_whole && body.len() < text.len() / 4 && text == lines(LINES));
    served.app.context.written.store(0, Ordering::SeqCst);
    client.send(head("HEAD", "/stream", &[("Accept-Encoding", "gzip")], 0).as_bytes());
    let (of_head, _) = client.read_head();
    // How a body is sent is not told where there is none.
    let told = |reply: &Reply| {
        let mut headers = reply.headers.clone();
        headers.retain(|(name, _)| !["date", "transfer-encoding"].contains(&name.as_str()));
        (reply.status, headers)
    };
    assert_eq!(told(&of_head), told(&reply));
    client.send(head("GET", "/items/after", &[], 0).as_bytes());
    assert_eq!(client.read().text(), "after");
    assert_eq!(served.app.context.written.load(Ordering::SeqCst), 0);
}

#[test]
fn a_stream_without_a_connection_is_whole() {
    let served = Served::new();
    let ask = |target| tailspan::http::get(served.app.routes, &served.app.context, target);
    assert_eq!(ask("/stream"), (200, lines(LINES)));
    let (status, body) = ask("/stream/broken");
    assert!(status == 500 && String::from_utf8(body).unwrap().contains("broken on purpose"));
}
