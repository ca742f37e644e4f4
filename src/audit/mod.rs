//! A clean pass over session files, and the state beside it.
//!
//! ```text
//! pass       one clean pass, in memory: no state, no server
//! survey     many small ones, over any number of files
//! compare    what the state says of sessions, beside what a clean pass says; counters  the same of the counters
//! held       everything that the state holds, as if all of it were new
//! selfcheck  compares some sessions now and then, beside a running sidecar
//! ```

pub mod compare;
pub mod counters;
pub mod held;
pub mod pass;
pub mod selfcheck;
pub mod survey;
