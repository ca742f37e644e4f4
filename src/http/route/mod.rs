//! What a route is, what its handler is given and what it returns.
//!
//! ```text
//! routes           the rows of the route table, and how a path finds its row
//! description      what a route does, takes and answers
//! parameter        the parameters of a route, and how they are read
//! request, query   what a handler is given
//! arriving         a body that is read while it arrives
//! answer, problem  what a handler returns
//! refusal_page     a problem as a page, for people
//! stream           a body that is written while the client reads
//! feed             a body that goes on for as long as the client stays
//! page             the cursor that says where a page of a list ended
//! direct           answers a request without a connection
//! ```

pub(super) mod answer;
pub(super) mod arriving;
pub(super) mod description;
pub(super) mod direct;
pub(super) mod feed;
pub(super) mod page;
pub(super) mod parameter;
pub(super) mod problem;
pub(super) mod query;
pub(super) mod refusal_page;
pub(super) mod request;
pub(super) mod routes;
pub(super) mod stream;
