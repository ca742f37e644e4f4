//! The text of a conversation, as answers show it.

pub mod pieces;
