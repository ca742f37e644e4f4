//! A server on loopback with routes of its own.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test file uses a part of this; a failed expectation is a failed test"
)]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tailspan::http::pages::{health, landing};
use tailspan::http::{
    Answer, App, Limits, Parameters, Problem, Readers, Request, RequestCounters, Route, Server, Status, Waiting, Work,
};
use tokio::sync::watch;

use super::http::DEADLINE;

/// A short limit: far above what a prompt answer takes on a busy machine, far below the deadline of a read.
pub(crate) const MOMENT: Duration = Duration::from_millis(500);

/// What the test routes are given: a gate that holds `/wait` and `/large/wait`, a bell that says one is held.
pub(crate) struct Bench {
    pub(crate) ready: AtomicBool,
    bell: Sender<()>,
    gate: Mutex<Receiver<()>>,
    /// How many large answers are being made, and how many were at once.
    pub(crate) large: Mutex<(usize, usize)>,
}

impl Bench {
    fn hold(&self) -> Answer {
        self.bell.send(()).unwrap();
        self.gate.lock().unwrap().recv_timeout(DEADLINE).unwrap();
        Answer::text("waited")
    }
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

static ROUTES: &[Route<Bench>] = &[
    Route::fixed("/", landing::page),
    Route::fixed("/-/healthy", health::healthy),
    Route::fixed("/healthz", health::healthy),
    Route::fixed("/-/ready", health::ready),
    Route::fixed("/metrics", health::metrics),
    Route::get("/items/first", &[], |_, _| Ok(Answer::text("the first"))),
    Route::get("/items/{id}", &[], |_, request| Ok(Answer::text(request.param("id")))),
    Route::get("/items/{id}/parts/{part}", &[], |_, request| {
        Answer::json(&[request.param("id"), request.param("part")])
    }),
    Route::get("/query", &["text", "number", "choice", "time"], show_query),
    Route::get("/large", &[], |_, _| Ok(Answer::text("tail ".repeat(20_000)))),
    Route::get("/flood", &[], |_, _| Ok(Answer::text("x".repeat(64 * 1024 * 1024)))),
    Route::get("/wait", &[], |bench, _| Ok(bench.hold())),
    Route::get("/large/wait", &[], hold_large).large(),
    Route::get("/large/flood", &[], |_, _| Ok(Answer::text("x".repeat(64 * 1024 * 1024)))).large(),
    Route::get("/large/small", &[], |_, _| Ok(Answer::text("small"))).large(),
    Route::get("/private", &[], |_, _| Ok(Answer::text("a conversation"))).quoting(),
    Route::get("/broken", &[], |_, _| panic!("broken on purpose")),
    Route {
        pattern: "/items/{id}",
        methods: &[http::Method::POST, http::Method::DELETE],
        query: Parameters::Only(&[]),
        work: Work::Store,
        quotes: false,
        handler: |_, request| Answer::bytes("application/octet-stream", request.body.to_vec()),
    },
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
    let query = &request.query;
    let choice = query.choice("choice", &[("up", 1), ("down", -1)])?;
    Answer::json(&(query.text("text"), query.number("number", 1..=1000)?, choice, query.time("time")?))
}

/// A server on a free port; stops when dropped.
pub(crate) struct Served {
    pub(crate) addr: SocketAddr,
    pub(crate) app: Arc<App<Bench>>,
    held: Receiver<()>,
    pub(crate) release: Sender<()>,
    pub(crate) stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let (bell, held) = channel();
        let (release, gate) = channel();
        let context = Bench { ready: AtomicBool::new(true), bell, gate: Mutex::new(gate), large: Mutex::default() };
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
        Self { addr, app, held, release, stop, thread: Some(thread) }
    }

    pub(crate) fn wait_until_held(&self) {
        self.held.recv_timeout(DEADLINE).unwrap();
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
