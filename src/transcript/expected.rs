//! What a row must be when it is read again, and why it may not be there any more.

use super::ids::RowId;

/// What a row must be, since a file may have been rewritten after it was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// A user row with this `uuid`.
    Prompt(RowId),
    /// An assistant row of this message.
    Message(Box<str>),
    /// An assistant row with this call.
    Call(Box<str>),
    /// A user row with the result of this call.
    Result(Box<str>),
    /// A row with this `uuid` whose text is that of an attachment, or its own.
    Note(RowId),
}

/// Why the text of a row cannot be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The file does not exist any more.
    Gone,
    /// Something else stands at the place.
    Rewritten,
    /// The system refused.
    Unreadable,
    /// The line is longer than what is read for its text, or nested more than 128 levels deep.
    TooLarge,
    /// So much was read for one answer already that nothing more is.
    TooMuch,
}

impl Missing {
    /// The reason in words.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Gone => "file is gone",
            Self::Rewritten => "file was rewritten",
            Self::Unreadable => "file cannot be read",
            Self::TooLarge => "too large",
            Self::TooMuch => "answer is full",
        }
    }
}
