//! Runs of the client whose streams were passed on, and the workflows that they belong to.
//!
//! ```text
//! forms      a run, as every answer tells it
//! asked      the parameters of lists of runs
//! list       `/api/v1/analytics/runs`, `/api/v1/analytics/workflows/{name}`
//! one        `/api/v1/analytics/runs/{id}`
//! workflows  `/api/v1/analytics/workflows`
//! ```

pub(in crate::http::api::analytics) mod asked;
mod forms;
pub mod list;
pub mod one;
pub mod workflows;
