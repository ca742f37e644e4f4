//! Draws a report: what it says is in a [`Document`](document::Document), and each form of it is one file.
//!
//! ```text
//! document   what a report says, without any form
//! figures    money, tokens, durations and shares, rounded for people
//! glyphs     the signs of bars and cuts, in Unicode or ASCII; foreign text made harmless
//! width      how wide text is, and cutting it
//! layout     how wide each column of a table is
//! paint      colours and links
//! terminal   text for a terminal or a pipe
//! markdown, html    the same as one file
//! csv        exact rows, for spreadsheets
//! ```

pub(super) mod csv;
pub(in crate::cli) mod document;
pub(in crate::cli) mod glyphs;
pub(super) mod html;
mod layout;
pub(super) mod markdown;
pub(in crate::cli) mod paint;
pub(super) mod terminal;
mod width;
