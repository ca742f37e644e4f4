//! What search narrows by: which lines of a session file may have what is looked for.
//!
//! ```text
//! scan  reads a file and tells the places of such lines
//! ```

pub mod scan;
