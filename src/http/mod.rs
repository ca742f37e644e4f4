//! The HTTP server: from a socket to a function that answers, and the functions.
//!
//! ```text
//! server    accepts, limits, guards, and hands a request to its function
//! route     what a route is, what its function is given and what it gives back
//! pages     for people: the page at `/`, and the probes
//! metrics   `/metrics` in its formats
//! api       sessions and their replay
//! jaeger    Jaeger's query API over the facts
//! context   what the functions read, and the table of routes
//! ```
//!
//! Plain hyper, not a framework: header timeout, header size, body size and connection count are limits that we
//! set, and a table of some twenty rows needs no router. No answer carries a CORS header, by design: what is served
//! here quotes private conversations.

pub mod api;
pub mod context;
pub mod jaeger;
pub mod metrics;
pub mod pages;
mod route;
mod server;

pub use api::state::HasReader;
pub use metrics::accept::wants_openmetrics;
pub use route::answer::Answer;
pub use route::direct::get;
pub use route::problem::{Problem, ServeError};
pub use route::query::Query;
pub use route::request::Request;
pub use route::routes::{Handler, Parameters, Route, Work};
pub use server::app::{App, Status, Waiting};
pub use server::counters::RequestCounters;
pub use server::listen::{Limits, Server};
pub use server::readers::Readers;
