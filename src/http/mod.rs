//! The HTTP server, and the handlers that answer requests.
//!
//! ```text
//! server    accepts connections, enforces limits, refuses forged requests, and hands a request to its handler
//! route     what a route is, what its handler is given and what it returns
//! pages     the page at `/` for people, and the probes
//! metrics   `/metrics` in its formats
//! api       sessions and their replay
//! jaeger    Jaeger's query API over the facts
//! openapi   the description of the API, made of the table
//! context   what handlers are given
//! table     one line for each path
//! ```
//!
//! Plain hyper, not a framework: header timeout, header size, body size and connection count are limits that we
//! set, and a table of some twenty rows needs no router. No answer carries a CORS header, by design: what is served
//! here quotes private conversations.

pub mod api;
pub mod context;
pub mod jaeger;
pub mod metrics;
pub mod openapi;
pub mod pages;
mod route;
mod server;
pub mod table;

pub use api::state::HasReader;
pub use metrics::accept::wants_openmetrics;
pub use pages::status::{Status, Waiting};
pub use route::answer::Answer;
pub use route::description::{AnswerForm, AnswerSchema, BodyForm, Description, PROBLEM};
pub use route::direct::{get, post, write};
pub use route::parameter::{
    About, Boolean, Described, Name, Number, OneOf, Parameter, ParameterKind, ParameterPlace, Schema, Text, Time, Whole,
};
pub use route::problem::Problem;
pub use route::query::Others;
pub use route::request::Request;
pub use route::routes::{Handler, Route, Work};
pub use server::app::App;
pub use server::counters::RequestCounters;
pub use server::error::ServeError;
pub use server::limits::ServerLimits;
pub use server::listen::Server;
pub use server::readers::Readers;
