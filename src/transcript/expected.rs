//! What a row must be when it is read again, and why its text may be missing.

use super::ids::RowId;

/// What a row must be when it is read again: the file may have been rewritten since the row was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// A user row with this `uuid`.
    Prompt(RowId),
    /// A user row, if the stream repeats the prompt of a turn that no session file tells of.
    StreamPrompt,
    /// An assistant row of this message.
    Message(Box<str>),
    /// An assistant row with this call.
    Call(Box<str>),
    /// A user row with the result of this call.
    Result(Box<str>),
    /// A row with this `uuid` that is read as a note.
    Note(RowId),
}

/// Why the text of a row cannot be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The file does not exist any more.
    Gone,
    /// Something else stands at the place.
    Rewritten,
    /// Only a stream tells of the turn, and that does not repeat its prompt.
    Untold,
    /// The operating system refused to open or read the file.
    Unreadable,
    /// The line is longer than the 8 MiB that are read for one text, or its JSON is nested more than 128 levels deep.
    TooLarge,
    /// The limit of bytes that are read for one answer is reached.
    TooMuch,
}

impl Missing {
    /// The reason in words.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Gone => "file is gone",
            Self::Rewritten => "file was rewritten",
            Self::Untold => "not told by the stream",
            Self::Unreadable => "file cannot be read",
            Self::TooLarge => "too large",
            Self::TooMuch => "answer is full",
        }
    }
}
