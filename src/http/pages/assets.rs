//! The scripts and the style of the pages. They are part of the program as they stand in `files/`, so a change needs no step
//! but to build it.

use std::hash::{DefaultHasher, Hash, Hasher};

use http::header::{CACHE_CONTROL, ETAG, HeaderValue, IF_NONE_MATCH};

use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description, PROBLEM};
use crate::http::route::problem::{Problem, UNCHANGED};
use crate::http::route::request::Request;

const SCRIPT: &str = "text/javascript; charset=utf-8";
const PICTURE: &str = "image/svg+xml";
const SHEET: &str = "text/css; charset=utf-8";

/// Description of the scripts.
pub static JS: Description = Description {
    summary: "A script of the pages.",
    parameters: &[],
    answers: &[AnswerForm::of(SCRIPT, "A module of JavaScript.")],
    refusal: PROBLEM,
};

/// Description of the icon.
pub static SVG: Description = Description {
    summary: "The icon of the pages.",
    parameters: &[],
    answers: &[AnswerForm::of(PICTURE, "A picture.")],
    refusal: PROBLEM,
};

/// Description of the style.
pub static CSS: Description = Description {
    summary: "The style of the pages.",
    parameters: &[],
    answers: &[AnswerForm::of(SHEET, "A style sheet.")],
    refusal: PROBLEM,
};

/// A file of the pages.
#[derive(Debug)]
pub struct Asset {
    content_type: &'static str,
    text: &'static str,
}

/// What tabs of browsers show.
pub static ICON: Asset = Asset { content_type: PICTURE, text: include_str!("files/icon.svg") };
/// Style of all pages.
pub static STYLE: Asset = Asset { content_type: SHEET, text: include_str!("files/style.css") };
/// The page of a session.
pub static REPLAY: Asset = Asset { content_type: SCRIPT, text: include_str!("files/replay.js") };
/// One event.
pub static DETAIL: Asset = Asset { content_type: SCRIPT, text: include_str!("files/detail.js") };
/// Texts as elements: colours of terminals, differences.
pub static TEXT: Asset = Asset { content_type: SCRIPT, text: include_str!("files/text.js") };
/// What was searched for, marked.
pub static MARK: Asset = Asset { content_type: SCRIPT, text: include_str!("files/mark.js") };
/// Drawings: what a session cost, and what a turn waited for.
pub static DRAW: Asset = Asset { content_type: SCRIPT, text: include_str!("files/draw.js") };
/// Which sessions wait for a person.
pub static WAITS: Asset = Asset { content_type: SCRIPT, text: include_str!("files/waits.js") };
/// The list of sessions.
pub static SESSIONS: Asset = Asset { content_type: SCRIPT, text: include_str!("files/sessions.js") };

impl Asset {
    /// The file; or that it is as it was, to a client that has it. Fails if the answer cannot be written.
    pub fn answer(&self, request: &Request) -> Result<Answer, Problem> {
        let mut hasher = DefaultHasher::new();
        self.text.hash(&mut hasher);
        let tag = format!("W/\"{:016x}\"", hasher.finish());
        let known = request.header(&IF_NONE_MATCH).unwrap_or_default();
        let answer = if known.split(',').any(|known| known.trim() == tag) {
            Answer::new(UNCHANGED, HeaderValue::from_static(self.content_type), Vec::new())
        } else {
            Answer::bytes(self.content_type, self.text.as_bytes().to_vec())?
        };
        // A browser keeps it, and asks each time whether it is still the same.
        let answer = answer.with_header(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Ok(match HeaderValue::from_str(&tag) {
            Ok(tag) => answer.with_header(ETAG, tag),
            Err(_) => answer,
        })
    }
}
