//! Laws: whatever the order, the cuts, the crashes and the seed, what is counted is the same.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and says its seed"
)]

mod support;

// A line by itself: what is JSON, what is secret, and what nobody would write.
mod fuzz_corpus;
mod lines;
mod scrub;
mod scrub_session;

// What a session knows of a file.
mod known_text;

// A state that lives through orders, cuts and crashes, by the thousand.
mod archive;
mod events;
mod index;
mod intake;
mod laws;
mod retention;
mod search;
mod shapes;
mod simulation;
mod streamed_worlds;
mod streams;

// A state that lives through one thing that went wrong once, or could.
mod clock;
mod faults;
mod late_files;
mod long_runs;
mod rests;
mod silent_runs;

// What is foretold, and what is noticed while it happens, by the hundred.
mod limits;
mod runaway;

// What the API tells of itself, asked with everything that it tells.
mod table;
