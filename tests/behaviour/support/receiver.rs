//! Takes whatever is posted to it on loopback and keeps it; for what the real program sends.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use prost::Message;

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) path: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let request = self.pushed();
        let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
        scopes.flat_map(|scope| scope.metrics.clone()).collect()
    }

    fn pushed(&self) -> ExportMetricsServiceRequest {
        ExportMetricsServiceRequest::decode(self.body.as_slice()).unwrap()
    }

    /// Trace and span ids of the spans in it.
    pub(crate) fn span_ids(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let request = ExportTraceServiceRequest::decode(self.body.as_slice()).unwrap();
        let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.iter().map(|span| (span.trace_id.clone(), span.span_id.clone()))).collect()
    }

    pub(crate) fn resource(&self) -> BTreeMap<String, String> {
        let request = self.pushed();
        let resources = request.resource_metrics.iter().filter_map(|metrics| metrics.resource.as_ref());
        let attributes = resources.flat_map(|resource| &resource.attributes);
        attributes
            .map(|attribute| match attribute.value.as_ref().unwrap().value.as_ref().unwrap() {
                any_value::Value::StringValue(text) => (attribute.key.clone(), text.clone()),
                other => panic!("{other:?}"),
            })
            .collect()
    }
}

/// The receiver; its thread ends with the test.
pub(crate) struct Receiver {
    port: u16,
    received: Arc<Mutex<Vec<Received>>>,
    answers: Arc<Mutex<VecDeque<(u16, &'static str)>>>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let receiver = Self { port, received: Arc::default(), answers: Arc::default() };
        let (received, answers) = (Arc::clone(&receiver.received), Arc::clone(&receiver.answers));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (received, answers) = (Arc::clone(&received), Arc::clone(&answers));
                thread::spawn(move || serve(&stream.unwrap(), &received, &answers));
            }
        });
        receiver
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Statuses of the next answers; all others are 200.
    pub(crate) fn answer(&self, statuses: impl IntoIterator<Item = u16>) {
        self.answers.lock().unwrap().extend(statuses.into_iter().map(|status| (status, "")));
    }

    /// The next answer is 200 with this page.
    pub(crate) fn answer_page(&self, page: &'static str) {
        self.answers.lock().unwrap().push_back((200, page));
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

/// Serves one connection until the other side leaves.
fn serve(stream: &TcpStream, received: &Mutex<Vec<Received>>, answers: &Mutex<VecDeque<(u16, &'static str)>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let path = line.split(' ').nth(1).unwrap().to_owned();
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let Some((name, value)) = line.trim().split_once(": ") else { break };
            headers.insert(name.to_lowercase(), value.to_owned());
        }
        let mut body = vec![0; headers["content-length"].parse().unwrap()];
        if reader.read_exact(&mut body).is_err() {
            // The other side died.
            return;
        }
        if headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip") {
            let mut plain = Vec::new();
            GzDecoder::new(body.as_slice()).read_to_end(&mut plain).unwrap();
            body = plain;
        }
        received.lock().unwrap().push(Received { path, headers, body });
        let (status, page) = answers.lock().unwrap().pop_front().unwrap_or((200, ""));
        let mut stream = stream;
        let head = format!("HTTP/1.1 {status} Told\r\nContent-Type: text/html\r\nContent-Length: {}", page.len());
        if write!(stream, "{head}\r\n\r\n{page}").is_err() {
            return;
        }
    }
}
