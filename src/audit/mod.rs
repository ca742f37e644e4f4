//! Clean passes over session files, and comparisons of the state with them.
//!
//! ```text
//! pass       one clean pass, in memory: no state, no server
//! survey     many small passes, over any number of files
//! compare    compares sessions of the state with those of a clean pass
//! counters   compares the stored counters with the sums of what the state holds
//! held       walks through everything that the state holds, as if all of it were new
//! selfcheck  compares some sessions now and then, while the sidecar runs
//! ```

pub mod compare;
pub mod counters;
pub mod held;
pub mod pass;
pub mod selfcheck;
pub mod survey;
