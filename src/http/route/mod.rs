//! What a route is, what its function is given and what it gives back.
//!
//! ```text
//! routes           the rows of the table, and how a path finds its row
//! description      what a route does, takes and answers
//! parameter        what it takes, and how it is read
//! request, query   what a function is given
//! answer, problem  what it gives back; stream  a body that is written while it is read
//! page             where a page of a list ended
//! direct           a question without a connection
//! ```

pub(super) mod answer;
pub(super) mod description;
pub(super) mod direct;
pub(super) mod page;
pub(super) mod parameter;
pub(super) mod problem;
pub(super) mod query;
pub(super) mod request;
pub(super) mod routes;
pub(super) mod stream;
