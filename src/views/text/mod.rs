//! The text of a conversation, as answers show it and as search compares it.

pub mod find;
pub mod pictures;
pub mod pieces;
