//! An OTLP collector on loopback that answers as told and keeps every request it read.
//!
//! It answers 200 unless [`Sink::script`] says otherwise for the next requests, or a request holds a poisoned span.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// What the sink does with one request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// 200.
    Accept,
    /// 200, with a partial success.
    Partial { rejected: i64, message: &'static str },
    /// What something else than a collector says: a status, a type if not empty, and a body.
    Foreign(u16, &'static str, &'static [u8]),
    /// An error status, with `Retry-After` if given.
    Refuse { status: u16, retry_after: Option<&'static str> },
    /// Closes the connection before it has read the body.
    DropBeforeReading,
    /// Closes the connection instead of answering.
    DropAfterReading,
    /// Reads the request and never answers.
    Hang,
    /// Reads the request and accepts it when [`Sink::tell`] says so.
    WhenTold,
}

impl Answer {
    pub(crate) fn status(status: u16) -> Self {
        Self::Refuse { status, retry_after: None }
    }
}

/// How a connection is lost halfway.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cut {
    /// After this many bytes of the request's body.
    Body(usize),
    /// After the whole request and these bytes of an answer.
    Answer(&'static str),
}

/// One request whose body was read.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// What the sink answered.
    pub(crate) answer: Answer,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    /// The body as it came, compressed or not.
    pub(crate) raw: Bytes,
    /// The body after decompression.
    pub(crate) plain: Vec<u8>,
    pub(crate) request: ExportTraceServiceRequest,
}

impl Received {
    /// All spans of the request in order.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let scopes = self.request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// Attributes of the resource as `key=value`, in order.
    pub(crate) fn resource(&self) -> Vec<String> {
        let attributes = self.request.resource_spans.iter().filter_map(|spans| spans.resource.as_ref());
        attributes
            .flat_map(|resource| &resource.attributes)
            .map(|attribute| {
                use opentelemetry_proto::tonic::common::v1::any_value::Value;
                match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
                    Some(Value::StringValue(text)) => format!("{}={text}", attribute.key),
                    other => panic!("a resource attribute that is no text: {other:?}"),
                }
            })
            .collect()
    }
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Answer>,
    /// A name, and the status for requests with a span of this name.
    poison: Option<(String, u16)>,
    received: Vec<Received>,
    /// For the next connections.
    cuts: VecDeque<Cut>,
    cut_bodies: Vec<Vec<u8>>,
}

/// The collector; it stops with the runtime of the test.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    /// Number of requests so far, those dropped unread and handshakes that failed included.
    requests: watch::Sender<usize>,
    told: watch::Sender<bool>,
}

impl Sink {
    /// Listens on a free port of loopback.
    pub(crate) async fn start() -> Self {
        Self::serving(TcpListener::bind("127.0.0.1:0").await.unwrap(), None)
    }

    /// [`Sink::start`], with TLS.
    pub(crate) async fn start_tls(config: ServerConfig) -> Self {
        Self::serving(TcpListener::bind("127.0.0.1:0").await.unwrap(), Some(TlsAcceptor::from(Arc::new(config))))
    }

    /// Listens on a port that is free because nobody was there before.
    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        Self::serving(TcpListener::bind(address).await.unwrap(), None)
    }

    fn serving(listener: TcpListener, tls: Option<TlsAcceptor>) -> Self {
        let address = listener.local_addr().unwrap();
        let sink =
            Self { address, state: Arc::default(), requests: watch::Sender::new(0), told: watch::Sender::new(false) };
        let server = sink.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (sink, tls) = (server.clone(), tls.clone());
                tokio::spawn(async move {
                    let cut = sink.state.lock().unwrap().cuts.pop_front();
                    match tls {
                        None if cut.is_some() => sink.lose(stream, cut.unwrap()).await.unwrap(),
                        None => sink.connection(TokioIo::new(stream)).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => sink.connection(TokioIo::new(stream)).await,
                            // Whoever does not trust us says so and leaves.
                            Err(_) => sink.requests.send_modify(|seen| *seen += 1),
                        },
                    }
                });
            }
        });
        sink
    }

    async fn connection<S: hyper::rt::Read + hyper::rt::Write + Unpin>(self, stream: S) {
        let service = service_fn(move |request| self.clone().serve(request));
        // An error is a connection that the script dropped, or that the client left.
        drop(hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await);
    }

    /// Reads a request by hand as far as the cut says, and leaves.
    async fn lose(self, mut stream: TcpStream, cut: Cut) -> io::Result<()> {
        let mut read = Vec::new();
        let (head, length) = loop {
            read.push(stream.read_u8().await?);
            if read.ends_with(b"\r\n\r\n") {
                let text = String::from_utf8(read.clone()).unwrap().to_lowercase();
                let (_, length) = text.split_once("content-length: ").unwrap();
                break (read.len(), length.split_once('\r').unwrap().0.parse::<usize>().unwrap());
            }
        };
        read.resize(head + if let Cut::Body(bytes) = cut { bytes.min(length) } else { length }, 0);
        stream.read_exact(&mut read[head..]).await?;
        if let Cut::Answer(answer) = cut {
            stream.write_all(answer.as_bytes()).await?;
        }
        self.state.lock().unwrap().cut_bodies.push(read.split_off(head));
        self.requests.send_modify(|seen| *seen += 1);
        Ok(())
    }

    /// The next connections are lost like this.
    pub(crate) fn cut(&self, cuts: impl IntoIterator<Item = Cut>) {
        self.state.lock().unwrap().cuts.extend(cuts);
    }

    /// What was read of the bodies of requests that were cut.
    pub(crate) fn cut_bodies(&self) -> Vec<Vec<u8>> {
        self.state.lock().unwrap().cut_bodies.clone()
    }

    /// Lets the requests that are [`Answer::WhenTold`] have their answer.
    pub(crate) fn tell(&self) {
        self.told.send_replace(true);
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers of the next requests, in order.
    pub(crate) fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state.lock().unwrap().script.extend(answers);
    }

    /// From now on everything is accepted.
    pub(crate) fn forget_script(&self) {
        self.state.lock().unwrap().script.clear();
    }

    /// From now on answers 400 to each request with a span of this name.
    pub(crate) fn poison(&self, name: &str) {
        self.poison_with(name, 400);
    }

    /// From now on answers with `status` to each request with a span of this name.
    pub(crate) fn poison_with(&self, name: &str, status: u16) {
        self.state.lock().unwrap().poison = Some((name.to_owned(), status));
    }

    /// Every request that was read, oldest first.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.state.lock().unwrap().received.clone()
    }

    /// Spans of the requests that were answered with 200, in order of arrival.
    pub(crate) fn accepted_spans(&self) -> Vec<Span> {
        let accepted =
            |request: &Received| matches!(request.answer, Answer::Accept | Answer::WhenTold | Answer::Partial { .. });
        self.received().iter().filter(|request| accepted(request)).flat_map(Received::spans).collect()
    }

    /// Ends when this many requests have come, those dropped unread included.
    pub(crate) async fn requests_reach(&self, requests: usize) {
        self.requests.subscribe().wait_for(|seen| *seen >= requests).await.unwrap();
    }

    /// Ends when this many spans have been taken.
    pub(crate) async fn spans_reach(&self, spans: usize) {
        let mut requests = self.requests.subscribe();
        requests.wait_for(|_| self.accepted_spans().len() >= spans).await.unwrap();
    }

    /// Ends when this many more requests have come.
    pub(crate) async fn another(&self, requests: usize) {
        let before = *self.requests.borrow();
        self.requests_reach(before + requests).await;
    }

    async fn serve(self, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
        let scripted = self.state.lock().unwrap().script.pop_front();
        if scripted == Some(Answer::DropBeforeReading) {
            self.requests.send_modify(|seen| *seen += 1);
            return Err(io::Error::other("dropped before reading"));
        }
        let (parts, body) = request.into_parts();
        let raw = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let plain = match parts.headers.get("content-encoding").map(|value| value.to_str().unwrap()) {
            Some("gzip") => {
                let mut plain = Vec::new();
                GzDecoder::new(raw.as_ref()).read_to_end(&mut plain)?;
                plain
            }
            None => raw.to_vec(),
            Some(other) => panic!("a content encoding that nobody asked for: {other}"),
        };
        let mut received = Received {
            answer: Answer::Accept,
            path: parts.uri.to_string(),
            headers: parts.headers,
            raw,
            request: ExportTraceServiceRequest::decode(plain.as_slice()).unwrap(),
            plain,
        };
        received.answer = scripted.unwrap_or_else(|| self.unscripted(&received));
        let answer = received.answer.clone();
        self.state.lock().unwrap().received.push(received);
        self.requests.send_modify(|seen| *seen += 1);
        if answer == Answer::WhenTold {
            self.told.subscribe().wait_for(|told| *told).await.unwrap();
        }
        respond(answer).await
    }

    fn unscripted(&self, received: &Received) -> Answer {
        let state = self.state.lock().unwrap();
        let poison = state.poison.as_ref();
        let poisoned = poison.filter(|(name, _)| received.spans().iter().any(|span| span.name == *name));
        poisoned.map_or(Answer::Accept, |(_, status)| Answer::status(*status))
    }
}

/// `google.rpc.Status` with its message alone.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(string, tag = "2")]
    message: String,
}

async fn respond(answer: Answer) -> io::Result<Response<Full<Bytes>>> {
    let protobuf = Response::builder().header("content-type", "application/x-protobuf");
    let (builder, body) = match answer {
        Answer::Accept | Answer::WhenTold => (protobuf, ExportTraceServiceResponse::default().encode_to_vec()),
        Answer::Partial { rejected, message } => {
            let partial = ExportTracePartialSuccess { rejected_spans: rejected, error_message: message.to_owned() };
            (protobuf, ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec())
        }
        Answer::Foreign(status, kind, body) => {
            let builder = Response::builder().status(status);
            let builder = if kind.is_empty() { builder } else { builder.header("content-type", kind) };
            (builder, body.to_vec())
        }
        Answer::Refuse { status, retry_after } => {
            let builder = protobuf.status(status);
            let builder = match retry_after {
                Some(value) => builder.header("retry-after", value),
                None => builder,
            };
            (builder, RpcStatus { message: format!("sink says {status}") }.encode_to_vec())
        }
        Answer::DropBeforeReading | Answer::DropAfterReading => return Err(io::Error::other("dropped after reading")),
        Answer::Hang => {
            let never: Infallible = std::future::pending().await;
            match never {}
        }
    };
    Ok(builder.body(Full::from(body)).unwrap())
}
