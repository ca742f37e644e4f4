pub mod args;
pub mod log;
pub mod progress;
