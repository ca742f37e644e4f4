//! Which session waits for a person, and for what. Pure: what is known is given, and so is the time.
//!
//! ```text
//! rows     what the session file shows: open calls, and turns that are over
//! told     what hooks of the client, or a program that has the client ask it, told
//! process  what the client's list of its processes says
//! wait     all three → what the session waits for
//! known    what is known of all sessions from outside their files
//! changes  two states → which waits began and ended
//! ```
//!
//! - **A question** (`AskUserQuestion`, `ExitPlanMode` without a result) and **idle** (the turn is over, and a person can
//!   write the next prompt) stand in the rows.
//! - **A permission** does not: a call that waits for one and a call that runs look the same. It is said only if a hook,
//!   the client's list or the asking program tells of it. Otherwise a call that has been open for longer than its tool
//!   usually takes is *unknown*: it may wait, or run.
//! - A process that has ended waits for nothing. If nobody tells whether it runs, a session that has been quiet for as
//!   long as a turn may be silent counts as ended.

pub mod changes;
pub mod known;
pub mod process;
pub mod rows;
pub mod told;
pub mod wait;

pub use changes::{WaitChange, changes};
pub use known::Outside;
pub use process::{ProcessSigns, ProcessStatus};
pub use rows::{OpenCall, RowSigns, RowState, ThreadSigns};
pub use told::{HostCall, Told, ToldKind, ToldSigns};
pub use wait::{ASKING, Signs, Wait, WaitFor, Waits, wait};
