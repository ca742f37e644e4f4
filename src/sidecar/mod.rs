//! The process that stays: it reads and writes on one thread, sends spans on another, and answers in tokio tasks.
//!
//! ```text
//! start      from a configuration to a running sidecar, and to its clean end
//! settings   the configuration in the words of those who use it
//! life       from an opened state to its end, and again after a full disk
//! tailer     the thread that reads and writes
//! watchdog   says that the database does not answer, and ends the process if it never does
//! signals    SIGTERM and SIGINT
//! told       what the start says
//! log        text or JSON on stderr, never flooded; progress  the bar of a long pass
//! clock      the only clock of the program
//! ```

pub mod clock;
pub mod error;
mod life;
pub mod log;
pub mod progress;
pub mod settings;
mod signals;
pub mod start;
pub mod tailer;
mod told;
pub mod watchdog;
