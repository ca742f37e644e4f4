//! The forms of a transcript. A further one is a file that implements [`Form`], and an arm in each function here.

use super::entry::Form;
use super::html::Html;
use super::json::Json;
use super::markdown::Markdown;

/// A form of a transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormKind {
    Markdown,
    Html,
    Json,
}

impl FormKind {
    /// Every form with its name, which is also how names of files end.
    pub const NAMES: [(&'static str, Self); 3] = [("md", Self::Markdown), ("html", Self::Html), ("json", Self::Json)];

    /// The content type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Markdown => "text/markdown; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
        }
    }

    /// How the names of its files end, without the dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Markdown => "md",
            Self::Html => "html",
            Self::Json => "json",
        }
    }

    /// Whether it is bytes that a terminal should not be given.
    #[must_use]
    pub const fn is_binary(self) -> bool {
        match self {
            Self::Markdown | Self::Html | Self::Json => false,
        }
    }

    /// A writer of this form. `style` is the style sheet of the pages.
    #[must_use]
    pub fn writer(self, style: &'static str) -> Box<dyn Form> {
        match self {
            Self::Markdown => Box::new(Markdown),
            Self::Html => Box::new(Html::new(style)),
            Self::Json => Box::new(Json::default()),
        }
    }
}
