//! `tailspan` turns the session files of Claude Code into OpenTelemetry traces, Prometheus metrics and answers.
//!
//! # Three sentences
//!
//! 1. **The cursor saves work; the ledger makes it right.** Claude Code writes one API response over several lines,
//!    copies history into forked files and rewrites files in place, so an offset is never the truth. Identity is:
//!    `message.id`, `tool_use.id`, the `uuid` of a row.
//! 2. **Prefetch, fold, commit.** All reads before, all writes after in one atomic batch, a pure function between.
//! 3. **The layout is the flow.** `tail -> transcript -> ledger -> views -> store -> {export, http}`.
//!
//! # The path of a datum
//!
//! 1. [`tail`] learns that a path may have changed (an event is a hint, the rescan the truth) and reads the whole lines
//!    behind the cursor. If the file is not the one that the cursor knows, it is read from its beginning: harmless,
//!    because of 3.
//! 2. [`transcript`] turns lines into records and never fails: the unreadable is a value, counted with its reason.
//!    [`engine::ahead`] does 1 and 2 on several threads while many files wait.
//! 3. [`ledger`] folds records into *units*. A unit is what one prompt, or one sub-agent, caused: its responses, tool
//!    calls, errors. Every part has an identity and a merge that is commutative, associative and idempotent, so the
//!    second line of a response, the copy in a fork, and a second reading add nothing, in whatever order they come. A
//!    unit of many parts keeps them in *sections* of bounded size: a commit writes the sections that changed, however
//!    long the turn is, and the sums that views need of the others stand in the unit ([`ledger::gist`]).
//! 4. Everything counted is a *function of units* ([`ledger::tally`]): sessions and totals are sums over units, and what
//!    a commit changes is the difference between a unit's state before and after it ([`views::metrics::totals`]).
//! 5. [`engine::turns`] decides when a turn has ended; [`views::traces::tree`] makes its spans, with ids derived from the rows.
//! 6. [`engine`] writes cursor, units, sessions, totals and spans as one batch, then makes it durable. Only then is a
//!    number shown, or a crash would make a counter run backwards. The disk gives its room before a batch begins, and
//!    [`sidecar::watchdog`] says so if it never answers.
//! 7. [`export`] sends spans oldest first, to each endpoint at its own pace; what has arrived everywhere is deleted.
//!    [`http`] answers from the store and from the totals that were published last.
//!
//! A clean pass ([`audit::pass`], [`audit::survey`]) is 1 to 4 without a state: `scan`, `verify`, `backfill` and the daily self-check of
//! the sidecar read session by session, several at once, and put together only what shares rows.
//!
//! State is exactly-once; delivery is at-least-once with stable ids and bytes. The session files are the queue: while
//! the outbox is full, reading stops and cursors wait.
//!
//! # Who may import whom
//!
//! | room | is | imports |
//! |---|---|---|
//! | [`transcript`] | pure | |
//! | [`ledger`] | pure | transcript |
//! | [`views`] | pure | ledger, transcript |
//! | [`tail`] | edge | transcript, and notify |
//! | [`store`] | edge | views, ledger, transcript, the queue's trait of export, and sled |
//! | [`export`] | edge | views, transcript, and opentelemetry-otlp and rustls |
//! | [`http`] | edge | store, views, ledger, transcript, rows, vitals, counters of export, and hyper |
//! | [`engine`], [`engine::turns`], [`engine::live`], [`audit::pass`], [`audit::survey`], [`engine::ahead`] | rule | the rooms above; [`engine`] owns the writer |
//! | [`sidecar`], [`cli`] | wiring | everything; [`sidecar`] holds the only clock |
//!
//! Everybody but the pure rooms may import [`text`], errors and paths as text. [`tail::reread`] reads session rows again for
//! their text: [`http`] for replays, [`engine`] for spans, if `traces.content` lets text out.
//! `tests/architecture.rs` holds the `use` lines against this table.
//!
//! # What is absent, on purpose
//!
//! - No text of prompts, answers, tool inputs or results in the state: units keep ids, names, times, sizes, numbers and
//!   the place of each row. Text is read from the session file when somebody asks. Two exceptions: titles, without their
//!   secrets, and spans on their way out, as far as `traces.content` says; `store` takes that back when it is lowered.
//! - No `trait Store`, no mocks: tests use a real store in a temporary folder.
//! - No increments on disk: totals are absolute, a batch written twice is written once.
//! - No wall clock outside [`sidecar`]: time is an argument. (How long a write has taken is measured where it is made.)
//! - No layout of the state that is given up: from layout 4 on an upgrade carries everything over (`store/layout`).

pub mod audit;
pub mod cli;
pub mod config;
pub mod engine;
pub mod export;
pub mod http;
pub mod ledger;
pub mod measures;
pub mod sidecar;
pub mod store;
pub mod tail;
pub mod text;
pub mod transcript;
pub mod views;
pub mod vitals;
