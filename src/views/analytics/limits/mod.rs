//! The limits of the account: how much of each window is used, as the client tells it for its status line, and when a
//! window will be full.
//!
//! ```text
//! sample    one look at a window, read from what the client tells
//! history   what is kept of the looks, and which of them is the present one
//! demand    what was used since the first look, whichever window it was counted in
//! forecast  when a window will be full, from the pace of the past
//! ```

mod demand;
pub mod forecast;
pub mod history;
pub mod sample;
