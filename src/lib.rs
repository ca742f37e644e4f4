//! `tailspan` turns the session files of Claude Code into OpenTelemetry traces, Prometheus metrics and answers.
//!
//! # Three sentences
//!
//! 1. **The cursor saves work; the ledger makes it right.** Claude Code writes one API response over several lines,
//!    copies history into forked files and rewrites files in place, so an offset is never the truth. Identity is:
//!    `message.id`, `tool_use.id`, the `uuid` of a row.
//! 2. **Prefetch, fold, commit.** All reads before, all writes after in one atomic batch, a pure function between.
//! 3. **The layout is the flow.** `tail -> transcript -> ledger -> measures -> views -> store -> {export, http}`.
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
//! 4. [`measures`] says what can be counted of a unit, a turn that has ended and a session: *observations* with raw
//!    values. What a commit changes is the difference between two states, and everybody who counts takes that
//!    difference: counters, lifetime gauges, the history of `backfill`. (Sums of a session are kept beside it, because
//!    lists need them at once: [`ledger::tally`]. A law holds the two against each other.)
//! 5. [`views`] makes of the facts what each reader wants: [`views::metrics`], [`views::sessions`], [`views::traces`],
//!    [`views::text`]. Spans get ids that are derived from the rows, and their last form in one place,
//!    [`views::traces::finish`], for the exporter and for Jaeger's API alike.
//! 6. [`engine`] decides when a turn leaves ([`engine::turns`]) and writes cursor, units, sessions, totals and spans as
//!    one batch to the [`store`], then makes it durable. Only then is a number shown, or a crash would make a counter
//!    run backwards. The disk gives its room before a batch begins, and [`sidecar::watchdog`] says so if it never
//!    answers.
//! 7. [`export`] sends spans oldest first, to each endpoint at its own pace; what has arrived everywhere is deleted.
//!    [`http`] answers from the store and from the totals that were published last.
//!
//! A clean pass ([`audit::pass`], [`audit::survey`]) is 1 to 4 without a state: `scan`, `verify`, `backfill` and the
//! daily self-check of the sidecar read session by session, several at once, and put together only what shares rows.
//!
//! State is exactly-once; delivery is at-least-once with stable ids and bytes. The session files are the queue: while
//! the outbox is full, reading stops and cursors wait.
//!
//! # Rooms
//!
//! | room | is | imports |
//! |---|---|---|
//! | [`transcript`] | pure: what Claude Code wrote | |
//! | [`ledger`] | pure: what happened, counted once | transcript |
//! | [`measures`] | pure: everything that can be counted | ledger, transcript |
//! | [`views`] | pure: what each reader wants; its wings know each other by span ids only | measures, ledger, transcript |
//! | [`tail`] | edge: bytes arrive, rows are read again | transcript |
//! | [`store`] | edge: sled, and nobody else knows it | views, ledger, transcript |
//! | [`export`] | edge: spans and metrics leave | store, views of traces and metrics, transcript |
//! | [`http`] | edge: questions arrive | store, views, ledger, transcript, rows of tail, vitals, counters of export |
//! | [`engine`] | rule: the only writer | store, measures, views, ledger, transcript, tail, vitals |
//! | [`audit`] | rule: a clean pass, and the state beside it | the store's reader, tail, measures, views, ledger, vitals |
//! | [`sidecar`] | wiring: the clock, the start, the log | all of the above |
//! | [`config`], [`cli`] | wiring: settings as valid types; one file per command | what they set; everything |
//!
//! [`text`] (errors and paths as words) and [`vitals`] (how the process is doing) stand beside the rooms.
//! `tests/house/architecture` reads every import in every form and holds it against this table; it also knows which outside
//! crate belongs to which room, and lets no two files import each other in a circle.
//!
//! # Words of the house
//!
//! | word | means |
//! |---|---|
//! | record | one line of a session file, read |
//! | unit | what one prompt, or one sub-agent, caused; also what is stored, loaded and counted |
//! | loose unit | rows before the first prompt of a file, as a unit of their own |
//! | part | something within a unit that has an identity: a response, a tool call, a failure, a hook |
//! | section | a bounded number of the parts of a long unit, stored in a row of its own |
//! | home | what holds a part: its unit, or a section of it |
//! | share | the tokens and the cost of a response at one model; a response may have several |
//! | claim | why a session holds that a unit is its own; the best claim wins, whatever comes first |
//! | rank | which of several rows that tell the same is believed |
//! | gist | what parts come to, as far as decisions need it: sums, what is open, when the last thing happened |
//! | tally | sums of a unit or a session for lists and summaries |
//! | observation | one amount of a measure, with raw dimensions, an identity and a time |
//! | change | two states of parts, an ended turn, or a session: what readers of measures take |
//! | closed | of a response: a later row is known, so that no further row of it is expected |
//! | settled | of a turn: it has ended and was quiet for a moment after |
//! | leaves, left | of spans: they go into the outbox, and never change after |
//! | family | a unit with the turn above it and the sub-agents below it |
//! | lane | turns of the past that wait to be sent to an endpoint |
//! | epoch | when the sidecar was started for the first time ever; counters count from then on |
//! | place | file, offset and length of a row: where its text can be read again |
//!
//! # What is absent, on purpose
//!
//! - No text of prompts, answers, tool inputs or results in the state: units keep ids, names, times, sizes, numbers and
//!   the place of each row. Text is read from the session file when somebody asks. Two exceptions: titles, without their
//!   secrets, and spans on their way out, as far as `traces.content` says; `store` takes that back when it is lowered.
//! - No `trait Store`, no mocks: tests use a real store in a temporary folder.
//! - No increments on disk: totals are absolute, a batch written twice is written once.
//! - No wall clock outside [`sidecar::clock`]: time is an argument. (How long a write or a wait takes is measured where it
//!   happens, and a `Retry-After` that is a date is held against the clock by [`export`].)
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
