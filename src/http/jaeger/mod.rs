//! Jaeger's query API, read-only, over the facts: `/jaeger/api/...` and `/jaeger/api/v3/...`.
//!
//! ```text
//! v1, v3       the routes
//! search       what both answer: traces of a search, one trace, names of operations
//! parameters   what a search asks for, in v1's words and in v3's; kinds  how their texts are read
//! traces       from stored units to traces: by id, by session, newest first
//! cut          the first spans of a trace that has too many
//! texts        rows of the session files, if text is let out
//! lookup       what traces and their cuts read of the state, for one request
//! trace_id     the ways in which clients write a trace id
//! ```
//!
//! - Traces are made when somebody asks, by the same code and with the same settings as those that are exported; nothing
//!   is stored for them. The session files are read only if `traces.content` lets text out.
//! - What goes on is there too: it lasts until now and carries `claude_code.in_progress`.
//! - Names of parameters, forms of answers and of refusals are Jaeger's, not ours; parameters that we do not know are
//!   passed over, since Grafana adds its own.

mod cut;
mod kinds;
mod lookup;
mod parameters;
mod search;
mod texts;
mod trace_id;
mod traces;
pub mod v1;
pub mod v3;
