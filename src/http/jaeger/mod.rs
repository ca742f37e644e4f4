//! Jaeger's query API, read-only, over the facts: `/jaeger/api/...` and `/jaeger/api/v3/...`.
//!
//! ```text
//! v1, v3       the routes of both versions
//! search       what both versions answer: traces of a search, one trace, names of operations
//! parameters   the parameters of a search, in v1 and in v3
//! kinds        how the texts of these parameters are read
//! traces       makes traces from stored units: by id, by session, newest first
//! runs         the spans of runs
//! roots        finds what a trace id names: the unit at the root, or the session
//! cut          the first spans of a trace that has too many
//! texts        reads rows of the session files for the text of spans
//! lookup       what one request reads of the state
//! trace_id     reads trace ids in the forms in which clients write them
//! ```
//!
//! - Traces are made when somebody asks, by the same code and with the same settings as exported ones; nothing is
//!   stored for them. The session files are read only if `traces.content` allows text.
//! - Traces that are in progress are answered too: they last until now and carry `claude_code.in_progress`.
//! - Names of parameters and the forms of answers and refusals are Jaeger's. Unknown parameters are ignored, since
//!   Grafana adds its own.

mod cut;
mod kinds;
mod lookup;
mod parameters;
pub(in crate::http) mod roots;
mod runs;
mod search;
mod texts;
pub(in crate::http) mod trace_id;
mod traces;
pub mod v1;
pub mod v3;
