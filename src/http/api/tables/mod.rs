//! `/api/v1/export/{table}.{format}`: whole tables of rows, written while the client reads them.
//!
//! ```text
//! asked     what a request asks for: table, format, rows
//! read      the rows, session by session, out of the state
//! answer    the route
//! parquet   rows as Parquet
//! forms     the schema of the answer as JSON
//! ```

pub mod answer;
mod asked;
mod forms;
pub mod parquet;
mod read;
