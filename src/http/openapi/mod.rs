//! The description of the API, made of the route table: as OpenAPI 3.1 for programs, and as tables for the guide.
//!
//! ```text
//! told         a row of the route table without its handler
//! document     the whole description: paths, tags, and what they share
//! operation    one route of it: parameters, answers, refusals
//! parameters   the JSON Schemas of parameters
//! schemas      the JSON Schemas of answers, from the types that are written
//! markdown     the tables of `docs/api.md`
//! serve        `/api/v1/openapi.json`
//! ```
//!
//! - Nothing is said here that a route does not say itself: a parameter is described by the value that reads it, an
//!   answer by the type that is written. What the server refuses before it asks a route is the same for all.
//! - Objects are open: a later version may add fields. That no field is forgotten today is what a test sees to, which
//!   closes them.

mod document;
pub mod markdown;
mod operation;
mod parameters;
mod schemas;
pub mod serve;
mod told;

pub use document::ApiDocument;
pub use serve::HasDocument;
