//! What tells of a session besides its file: lines that hooks of the client wrote, and the client's own list of the
//! processes that run.
//!
//! ```text
//! line      what a hook is given → one line without any text of the conversation, and back
//! folder    the files of these lines in the folder of the state: one more line, which of them are old
//! follow    the lines that are new since the last look, each once
//! register  the client's list of its processes: which session each has open, and what it waits for
//! ```
//!
//! - A hook must never hold up or stop the client: it writes with one call and says nothing, whatever is wrong.
//! - Nothing of this is counted. It says what rows do not say or say later, and only while a session is open; so it is
//!   kept in memory, and after a restart it is read again from the files of the last day.

pub mod folder;
pub mod follow;
pub mod line;
pub mod register;

pub use follow::HookLines;
pub use register::{ClientProcess, Register};
