//! The process that stays: it reads and writes on one thread, sends spans on another, and answers in tokio tasks.
//!
//! ```text
//! start      starts the sidecar from a configuration, and ends it cleanly
//! settings   turns the configuration into the settings of each room
//! life       uses the opened state until the end, and opens it again after a full disk
//! tailer     the thread that reads and writes; shared  what it is given; look  how often it looks at all files
//! attending  the thread that hears hooks of the client and looks which of its processes run; news  what it tells the tailer
//! budgets    the thread that looks at the budgets, so that no scrape waits for that
//! indexing   the thread that keeps the index of search
//! keeping    the thread that keeps the archive
//! streams    the thread that ends old stream files
//! watchdog   reports that the database does not answer, and ends the process if it never does
//! local      the answers of the API without a server, for reports
//! signals    SIGTERM and SIGINT
//! told       logs at the start what is read, kept, served and sent
//! log        text or JSON on stderr, never flooded; progress  the bar of a long pass
//! clock      the only clock of the program
//! ```

mod attending;
mod begun;
mod budgets;
pub mod clock;
mod ended;
pub mod error;
mod indexing;
mod keeping;
mod life;
mod limits;
pub mod local;
pub mod log;
mod look;
pub mod news;
pub mod progress;
mod runaways;
pub mod settings;
pub mod shared;
mod signals;
pub mod start;
mod streams;
pub mod tailer;
mod told;
mod waits;
pub mod watchdog;
