//! The forms of a transcript. A further one is a file that implements [`Form`], and an arm in each function here.

use super::asciicast::Asciicast;
use super::entry::Form;
use super::html::Html;
use super::json::Json;
use super::markdown::Markdown;
use super::perfetto::Perfetto;

/// A form of a transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormKind {
    Markdown,
    Html,
    Json,
    Perfetto,
    Asciicast,
}

impl FormKind {
    /// Every form with its name.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("md", Self::Markdown),
        ("html", Self::Html),
        ("json", Self::Json),
        ("perfetto", Self::Perfetto),
        ("asciicast", Self::Asciicast),
    ];

    /// The content type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Markdown => "text/markdown; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
            Self::Perfetto => "application/x-protobuf",
            Self::Asciicast => "application/x-asciicast",
        }
    }

    /// How the names of its files end, without the dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Markdown => "md",
            Self::Html => "html",
            Self::Json => "json",
            Self::Perfetto => "perfetto-trace",
            Self::Asciicast => "cast",
        }
    }

    /// Every ending that tells a form, without the dot; the first of each form is the one that its files are given.
    pub const ENDINGS: [(&'static str, Self); 9] = [
        ("md", Self::Markdown),
        ("markdown", Self::Markdown),
        ("html", Self::Html),
        ("htm", Self::Html),
        ("json", Self::Json),
        ("perfetto-trace", Self::Perfetto),
        ("pftrace", Self::Perfetto),
        ("perfetto", Self::Perfetto),
        ("cast", Self::Asciicast),
    ];

    /// The form that files with this ending have, in capitals or not; `None` if it tells none.
    #[must_use]
    pub fn of_ending(ending: &str) -> Option<Self> {
        Self::ENDINGS.iter().find(|(known, _)| known.eq_ignore_ascii_case(ending)).map(|(_, form)| *form)
    }

    /// Whether it is bytes that a terminal should not be given.
    #[must_use]
    pub const fn is_binary(self) -> bool {
        match self {
            Self::Perfetto => true,
            Self::Markdown | Self::Html | Self::Json | Self::Asciicast => false,
        }
    }

    /// A writer of this form. `style` is the style sheet of the pages.
    #[must_use]
    pub fn writer(self, style: &'static str) -> Box<dyn Form> {
        match self {
            Self::Markdown => Box::new(Markdown::default()),
            Self::Html => Box::new(Html::new(style)),
            Self::Json => Box::new(Json::default()),
            Self::Perfetto => Box::new(Perfetto::default()),
            Self::Asciicast => Box::new(Asciicast::default()),
        }
    }
}
