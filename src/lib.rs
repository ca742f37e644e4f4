//! `tailspan` turns the session files of Claude Code into OpenTelemetry traces, Prometheus metrics and answers.
//!
//! # Three sentences
//!
//! 1. **The cursor saves work; the ledger makes it right.** The cursor is how far a file was read, so that it is not
//!    read again. But Claude Code writes one API response over several lines, copies history into forked files and
//!    rewrites files in place, so an offset is never the truth. Identity is: `message.id`, `tool_use.id`, the `uuid`
//!    of a row. The ledger counts each identity once.
//! 2. **Prefetch, fold, commit.** What new rows need is loaded from the state first. Then a pure function puts the
//!    rows into it (fold). Then everything that changed is written as one atomic batch (commit).
//! 3. **The layout is the flow.** `tail -> transcript -> ledger -> measures -> views -> store -> {export, http}`.
//!
//! # The path of a datum
//!
//! 1. [`tail`] learns from the file system that a path may have changed, and looks at all files now and then, because
//!    such events can be missing. It reads the whole lines behind the cursor. If the file is not the one that the
//!    cursor knows, it is read from its beginning: harmless, because of 3.
//! 2. [`transcript`] turns lines into records and never fails: the unreadable is a value, counted with its reason.
//!    [`engine::ahead`] does 1 and 2 on several threads while many files wait.
//! 3. [`ledger`] folds records into *units*. A unit is what one prompt, or one sub-agent, caused: its responses, tool
//!    calls, errors. Every part has an identity and a merge that is commutative, associative and idempotent, so the
//!    second line of a response, the copy in a fork, and a second reading add nothing, in whatever order they come. A
//!    unit of many parts keeps them in *sections* of bounded size: a commit writes only the sections that changed,
//!    however long the turn is. What views need of the sections that did not change stands as sums in the unit
//!    ([`ledger::gist`]).
//!    A *stream*, what a client wrote to its standard output with `--output-format stream-json`, lies in a file below the
//!    state and is read in the same way. It tells early and its session file tells fully: both become the same parts by
//!    the same ids, and a part moves to the turn of the session file once that has it (`ledger/streams.rs`). What only a
//!    stream tells is decided when its run is over ([`ledger::settle`]).
//! 4. [`measures`] says what can be counted of a unit, a turn that has ended and a session: *observations* with raw
//!    values. What a commit changes is the difference between two states, and everybody who counts takes that
//!    difference: counters, lifetime gauges, the history of `backfill`. They keep sums, the *totals*. (The sums of one
//!    session are stored with the session, because lists need them at once: [`ledger::tally`]. A test, called a law
//!    because it must hold for every input, compares them with the sums of its observations.)
//!    Beside the measures stand the rules of the user, which count the same facts in the same way ([`custom`]); what
//!    they need of a text is computed when its row is read, and goes on with the fact.
//! 5. [`views`] makes of the facts what each reader wants: [`views::metrics`], [`views::analytics`],
//!    [`views::sessions`], [`views::tables`], [`views::traces`], [`views::text`], [`views::transcripts`]. Spans get ids that
//!    are derived from the rows, and their last form in one place, [`views::traces::finish`], for the exporter and for
//!    Jaeger's API alike.
//! 6. [`engine`] decides when a turn has ended, so that its spans go into the *outbox*, where they wait to be sent
//!    ([`engine::turns`]). It writes cursor, units, sessions, totals and outbox as one batch to the [`store`], then
//!    makes it durable. Only then is a number shown, or a crash would make a counter run backwards. The space on the
//!    disk is reserved before a batch begins, and [`sidecar::watchdog`] says so if the disk never answers.
//! 7. [`export`] sends the spans in the outbox, oldest first, to each endpoint at its own pace; what has arrived
//!    everywhere is deleted.
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
//! | [`custom`] | pure: rules of the user that say what else is counted | measures, ledger, transcript |
//! | [`views`] | pure: what each reader wants; its parts know each other by span ids only, by the critical path of a turn, and by the filters of questions | custom (metrics alone), measures, ledger, transcript |
//! | [`waiting`] | pure: which session waits for a person, of all that is known of it | ledger, transcript |
//! | [`hooks`] | edge: what hooks of the client, and its list of its processes, tell of sessions | waiting, transcript |
//! | [`tail`] | edge: bytes arrive, rows are read again | transcript |
//! | [`archive`] | edge: compressed copies of quiet files; rows are read from them when a file is gone | tail, transcript |
//! | [`store`] | edge: sled, and nobody else knows it | views, ledger, transcript |
//! | [`streams`] | edge: the folder of what the client printed, run by run; lines arrive and wait there | vitals, transcript |
//! | [`export`] | edge: spans and metrics leave | store, views of traces and metrics, transcript |
//! | [`index`] | edge: what search narrows by | the store's reader, `views::text`, `tail::reread`, archive, transcript |
//! | [`http`] | edge: questions arrive, and lines of streams | store, index, streams, views, waiting, ledger, transcript, `tail::reread`, archive, vitals, counters of export |
//! | [`engine`] | rule: the only writer | store, measures, views, waiting, ledger, transcript, tail, archive, vitals |
//! | [`audit`] | rule: a clean pass, and the state beside it | the store's reader, tail, measures, views, ledger, vitals |
//! | [`sidecar`] | wiring: the clock, the start, the log | all of the above |
//! | [`config`] | wiring: settings as valid types | the types that it makes: of views, prices, money and transcript |
//! | [`cli`] | wiring: one file or folder per command | everything |
//!
//! [`text`] (errors and paths as words) and [`vitals`] (how the process is doing) stand beside the rooms. The same
//! table, in finer parts, is in `tests/house/architecture/table.rs`: the tests there read every import in every form
//! and hold it against that table. They also know which outside crate belongs to which room, and let no files import
//! each other in a circle.
//!
//! # Words of the house
//!
//! | word | means |
//! |---|---|
//! | record | one line of a session file, read |
//! | cursor | how far a session file was read, and by what the file is known again |
//! | fold | to put a record into the unit and the session that it belongs to |
//! | fact | a row that tells something by itself: a failure, a compaction, a hook, a fallback, a note |
//! | note | a fact that a person did or was told, and that counts nothing: a queued prompt, plan mode |
//! | unit | what one prompt, or one sub-agent, caused; also what is stored, loaded and counted |
//! | loose unit | rows before the first prompt of a file, as a unit of their own |
//! | part | something within a unit that has an identity: a response, a tool call, a failure, a hook |
//! | section | a bounded number of the parts of a long unit, stored in a row of its own |
//! | home | where a part is kept: in its unit, or in one of the unit's sections |
//! | share | the tokens and the cost of a response at one model; a response may have several |
//! | claim | how good the evidence is that a unit belongs to a session; of forked sessions the best claim gets the unit, whichever was read first |
//! | rank | which of several rows is believed that tell different things of one part |
//! | gist | what parts come to, as far as decisions need it: sums, what is open, when the last thing happened |
//! | tally | sums of a unit or a session for lists and summaries |
//! | observation | one amount of a measure, with raw dimensions, an identity and a time |
//! | change | what a commit changes, as two states of an item (the parts of a unit or section, an ended turn, a session); readers of measures take it |
//! | cell | what a unit or section spent at one model in one quarter hour; stored beside it, in the same batch |
//! | cube | the cells of all sessions in memory, for questions about the whole history |
//! | retired | of a session and its units: ended for its age, as `retention.facts` says; its sums stay, and the hashes of its identities, so that nothing of it is counted again |
//! | totals | the sums that metrics are made of, as they are stored and published |
//! | commit | to write everything that some rows changed, as one atomic batch |
//! | closed | of a response: a later row was read, so that no further row of it is expected |
//! | settled | of a turn: it has ended and was quiet for a moment after |
//! | leaves, left | of a turn: its spans go into the outbox, and never change after |
//! | outbox | spans that are stored until every endpoint has them |
//! | family | a unit with the turn above it and the sub-agents below it |
//! | stream | what a client wrote to its standard output, line by line, with marks between the lines |
//! | run | one process of the client whose stream was passed on; it may hold several sessions |
//! | provisional turn | a turn that a stream told of before, or without, its session file |
//! | twin | of a provisional turn: the turn of the session file that tells the same |
//! | rest | what the client's account counts of a session without a file, and no response explains |
//! | lane | turns of the past that are to be sent to one endpoint (or, in the first lane, to all), oldest first |
//! | epoch | when the sidecar was started for the first time ever; counters count from then on |
//! | run | one process of the client in a script, whose output is handed over; it may hold several sessions |
//! | stream file | the lines of a run as they came, with marks between them that say when, and what is missing |
//! | spool | a stream file that waits for a sidecar |
//! | place | file, offset and length of a row: where its text can be read again |
//! | law | a test of a rule that must hold for every order, cut and crash, tried with generated inputs |
//!
//! # What is absent, on purpose
//!
//! - No text of prompts, answers, tool inputs or results in the state: units keep ids, names, times, sizes, numbers
//!   and the place of each row. Text is read from the session file when somebody asks. Four exceptions: what is handed over
//!   of a run, as its lines came, for some days ([`streams`]); titles, without their secrets; spans on their way out, as far as `traces.content` says (`store` takes that back when it is
//!   lowered); and short words that a rule of the user takes out of a text for a label ([`custom`]).
//! - No `trait Store`, no mocks: tests use a real store in a temporary folder.
//! - No increments on disk: totals are absolute, a batch written twice is written once.
//! - No wall clock outside [`sidecar::clock`]: time is an argument. (How long a write or a wait takes is measured
//!   where it happens, and a `Retry-After` that is a date is held against the clock by [`export`].)
//! - No state that an upgrade cannot open: from layout 4 on everything is carried over (`store/layout`).

pub mod archive;
pub mod audit;
pub mod cli;
pub mod config;
pub mod custom;
pub mod engine;
pub mod export;
pub mod hooks;
pub mod http;
pub mod index;
pub mod ledger;
pub mod measures;
pub mod sidecar;
pub mod store;
pub mod streams;
pub mod tail;
pub mod text;
pub mod transcript;
pub mod views;
pub mod vitals;
pub mod waiting;
