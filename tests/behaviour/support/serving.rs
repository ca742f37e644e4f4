//! A server on loopback with routes of its own.

use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tailspan::http::metrics::descriptions::METRICS;
use tailspan::http::pages::{health, landing};
use tailspan::http::{
    Answer, AnswerForm, App, Boolean, Description, Number, OneOf, PROBLEM, Parameter, Problem, Readers, Request,
    RequestCounters, Route, Server, ServerLimits, Status, Text, Time, Waiting, Whole,
};
use tokio::sync::watch;

use super::http::DEADLINE;

/// A short limit: far above what a prompt answer takes on a busy machine, far below the deadline of a read.
pub(crate) const MOMENT: Duration = Duration::from_millis(500);

/// What the test routes are given: a gate that holds `/wait` and `/large/wait`, a bell that says one is held.
pub(crate) struct Bench {
    pub(crate) ready: AtomicBool,
    bell: Sender<()>,
    gate: Arc<Mutex<Receiver<()>>>,
    /// Bytes that streams have written, and how each of them ended.
    pub(crate) written: Arc<AtomicUsize>,
    ended: Sender<Result<(), ErrorKind>>,
    /// How many large answers are being made, and how many were at once.
    pub(crate) large: Mutex<(usize, usize)>,
}

impl Bench {
    fn hold(&self) -> Answer {
        self.bell.send(()).unwrap();
        self.gate.lock().unwrap().recv_timeout(DEADLINE).unwrap();
        Answer::text("waited")
    }

    /// A stream of [`line`]s, as many as `lines`, then `end`.
    fn lines(&self, lines: usize, end: fn() -> io::Result<()>) -> Result<Answer, Problem> {
        let (written, ended) = (Arc::clone(&self.written), self.ended.clone());
        let write = move |sink: &mut dyn Write| {
            for number in 0..lines {
                sink.write_all(line(number).as_bytes())?;
                written.fetch_add(LINE_BYTES, Ordering::SeqCst);
            }
            end()
        };
        Answer::stream("text/plain", move |sink| {
            let result = write(sink);
            ended.send(result.as_ref().copied().map_err(io::Error::kind)).unwrap();
            result
        })
    }

    /// A stream of two words, each of which waits at the gate.
    fn held_words(&self, _: &Request) -> Result<Answer, Problem> {
        let (bell, gate) = (self.bell.clone(), Arc::clone(&self.gate));
        let answer = Answer::stream("text/plain", move |sink| {
            for word in ["one", "two"] {
                bell.send(()).unwrap();
                gate.lock().unwrap().recv_timeout(DEADLINE).unwrap();
                sink.write_all(word.as_bytes())?;
                sink.flush()?;
            }
            Ok(())
        });
        answer.map(Answer::as_it_is)
    }
}

pub(crate) const LINE_BYTES: usize = 64;

/// Lines of a stream that is larger than all buffers between its function and a client.
pub(crate) const LINES: usize = 500_000;

/// Lines of one that breaks off.
pub(crate) const BROKEN_LINES: usize = 10_000;

pub(crate) fn line(number: usize) -> String {
    format!("{number:>63}\n")
}

impl Status for Bench {
    fn ready(&self) -> Result<(), Waiting> {
        if self.ready.load(Ordering::SeqCst) { Ok(()) } else { Err(Waiting { files_done: 3, files_total: 7 }) }
    }

    fn metrics(&self, accept: &str) -> Result<(String, Vec<u8>), Problem> {
        Ok(("text/plain; version=0.0.4".to_owned(), format!("# {accept}\nup 1\n").into_bytes()))
    }

    fn version(&self) -> &str {
        "1.2.3<&"
    }
}

const ID: Parameter<Text> = Parameter::path("id", Text, "Which item.");
const PART: Parameter<Text> = Parameter::path("part", Text, "Which part of it.");
const TEXT: Parameter<Text> = Parameter::query("text", Text, "Any text.");
const NUMBER: Parameter<Whole> = Parameter::query("number", Whole::within(1, 1000), "A number.");
const CHOICE: Parameter<OneOf<i32>> = Parameter::query("choice", OneOf(&[("up", 1), ("down", -1)]), "A direction.");
const TIME: Parameter<Time> = Parameter::query("time", Time, "A time.");
const SIZE: Parameter<Number> = Parameter::query("size", Number, "A number.").or("1.5");
const SURE: Parameter<Boolean> = Parameter::query("sure", Boolean, "Yes or no.").required();
const LABEL: Parameter<Text> = Parameter::query("label", Text, "Some texts.").also(&["tag"]).several();

const CONTENTS: &[AnswerForm] = &[
    AnswerForm::text("Text."),
    AnswerForm::json::<serde_json::Value>("Any", "Any JSON."),
    AnswerForm::of("application/octet-stream", "The body."),
];
const PLAIN: Description = Description { summary: "Answers.", parameters: &[], answers: CONTENTS, refusal: PROBLEM };
static ANY: Description = PLAIN;
static ITEM: Description = Description { parameters: &[&ID], ..PLAIN };
static ITEM_PART: Description = Description { parameters: &[&ID, &PART], ..PLAIN };
static QUERY: Description = Description { parameters: &[&TEXT, &NUMBER, &CHOICE, &TIME], ..PLAIN };
static KINDS: Description = Description { parameters: &[&SIZE, &SURE, &LABEL], ..PLAIN };

static ROUTES: &[Route<Bench>] = &[
    Route::fixed("/", &landing::PAGE, landing::page),
    Route::fixed("/-/healthy", &health::HEALTHY, health::healthy),
    Route::fixed("/healthz", &health::HEALTHY, health::healthy),
    Route::fixed("/-/ready", &health::READY, health::ready),
    Route::fixed("/metrics", &METRICS, health::metrics),
    Route::get("/items/first", &ANY, |_, _| Ok(Answer::text("the first"))),
    Route::get("/items/{id}", &ITEM, |_, request| Ok(Answer::text(request.value(&ID)?))),
    Route::get("/items/{id}/parts/{part}", &ITEM_PART, |_, request| {
        Answer::json(&[request.value(&ID)?, request.value(&PART)?])
    }),
    Route::get("/query", &QUERY, show_query),
    Route::get("/kinds", &KINDS, |_, request| {
        Answer::json(&(request.value(&SIZE)?, request.value(&SURE)?, request.all(&LABEL)?))
    }),
    Route::get("/large", &ANY, |_, _| Ok(Answer::text("tail ".repeat(20_000)))),
    Route::get("/flood", &ANY, |_, _| Ok(Answer::text("x".repeat(64 * 1024 * 1024)))),
    Route::get("/wait", &ANY, |bench, _| Ok(bench.hold())),
    Route::get("/feed/wait", &ANY, |bench: &Bench, _| Ok(bench.hold())).feeding(),
    Route::get("/large/wait", &ANY, hold_large).large(),
    Route::get("/large/flood", &ANY, |_, _| Ok(Answer::text("x".repeat(64 * 1024 * 1024)))).large(),
    Route::get("/large/small", &ANY, |_, _| Ok(Answer::text("small"))).large(),
    Route::get("/stream", &ANY, |bench, _| bench.lines(LINES, || Ok(()))),
    Route::get("/stream/broken", &ANY, |bench, _| {
        bench.lines(BROKEN_LINES, || Err(io::Error::other("broken on purpose")))
    }),
    Route::get("/stream/panics", &ANY, |bench, _| bench.lines(BROKEN_LINES, || panic!("broken on purpose"))),
    Route::get("/stream/broken/first", &ANY, |bench, _| bench.lines(1, || Err(io::Error::other("broken early")))),
    Route::get("/stream/held", &ANY, Bench::held_words),
    Route::get("/large/stream/held", &ANY, Bench::held_words).large(),
    Route::get("/private", &ANY, |_, _| Ok(Answer::text("a conversation"))).quoting(),
    Route::get("/broken", &ANY, |_, _| panic!("broken on purpose")),
    Route::get("/items/{id}", &ITEM, |_, request| Answer::bytes("application/octet-stream", request.body.to_vec()))
        .by(&[http::Method::POST, http::Method::DELETE]),
];

fn hold_large(bench: &Bench, _: &Request) -> Result<Answer, Problem> {
    {
        let mut large = bench.large.lock().unwrap();
        large.0 += 1;
        large.1 = large.1.max(large.0);
    }
    let answer = bench.hold();
    bench.large.lock().unwrap().0 -= 1;
    Ok(answer)
}

fn show_query(_: &Bench, request: &Request) -> Result<Answer, Problem> {
    let choice = request.given(&CHOICE)?;
    Answer::json(&(request.given(&TEXT)?, request.given(&NUMBER)?, choice, request.given(&TIME)?))
}

/// A server on a free port; stops when dropped.
pub(crate) struct Served {
    pub(crate) addr: SocketAddr,
    pub(crate) app: Arc<App<Bench>>,
    held: Receiver<()>,
    ended: Receiver<Result<(), ErrorKind>>,
    pub(crate) release: Sender<()>,
    pub(crate) stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub(crate) fn new() -> Self {
        Self::with(ServerLimits::default())
    }

    pub(crate) fn with(limits: ServerLimits) -> Self {
        let (bell, held) = channel();
        let (release, gate) = channel();
        let (ending, ended) = channel();
        let context = Bench {
            ready: AtomicBool::new(true),
            bell,
            gate: Arc::new(Mutex::new(gate)),
            written: Arc::default(),
            ended: ending,
            large: Mutex::default(),
        };
        let allowed_hosts = vec!["Tail.Example.com".to_owned(), "proxy:8443".to_owned()];
        let counters = Arc::new(RequestCounters::default());
        let app = Arc::new(App { context, counters, routes: ROUTES, allowed_hosts, readers: Readers::default() });
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), limits).unwrap();
        let addr = server.local_addr();
        let (stop, stopped) = watch::channel(false);
        let served_app = Arc::clone(&app);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(server.run(served_app, stopped)).unwrap();
            runtime.shutdown_background();
        });
        Self { addr, app, held, ended, release, stop, thread: Some(thread) }
    }

    pub(crate) fn wait_until_held(&self) {
        self.held.recv_timeout(DEADLINE).unwrap();
    }

    /// How the writing of a stream ended; `None` if it has not within `patience`.
    pub(crate) fn writing_ended(&self, patience: Duration) -> Option<Result<(), ErrorKind>> {
        self.ended.recv_timeout(patience).ok()
    }

    pub(crate) fn finish(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // In case a failed test leaves a handler at the gate.
        self.release.send(()).ok();
        self.finish();
    }
}
