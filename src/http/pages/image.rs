//! A picture of an event, for its page alone.

use http::header::{CONTENT_SECURITY_POLICY, HeaderValue};

use crate::http::api::content::ContentPage;
use crate::http::api::replay::kept::HasReplays;
use crate::http::api::sessions::{ID, find};
use crate::http::api::state::unreadable;
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description, PROBLEM};
use crate::http::route::parameter::{Parameter, Whole};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::views::text::pictures::{FORMS, picture};

const EVENT: Parameter<Whole> = Parameter::path("event", Whole::from(0), "The position of the event in the session.");
const PART: Parameter<Whole> = Parameter::path("part", Whole::from(0), "Which piece of the event's `content`, from 0.");

/// Opened by itself, a picture may do nothing.
const ALONE: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox; frame-ancestors 'none'");

const MEANING: &str = "The picture as it stands in the session file.";

/// Description of [`image`].
pub static IMAGE: Description = Description {
    summary: "Shows a picture of an event: PNG, JPEG, GIF or WebP.",
    parameters: &[&ID, &EVENT, &PART],
    answers: &{
        let [png, jpeg, gif, webp] = FORMS;
        [
            AnswerForm::of(png, MEANING),
            AnswerForm::of(jpeg, MEANING),
            AnswerForm::of(gif, MEANING),
            AnswerForm::of(webp, MEANING),
        ]
    },
    refusal: PROBLEM,
};

/// The picture. Fails if there is no such session, event or picture, or the state cannot be read.
pub fn image<C: HasReplays>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let number = |number| usize::try_from(number).unwrap_or(usize::MAX);
    let (position, part) = (number(request.value(&EVENT)?), number(request.value(&PART)?));
    let reader = context.reader();
    let session = find(context, request.value(&ID)?)?;
    let reel = context.replays().reel(reader, &session).map_err(unreadable)?;
    let missing = || Problem::not_found(&format!("picture {part} of event {position}"));
    let events = reel.placed_events(reader, &[position]).map_err(unreadable)?;
    let source = events.into_iter().next().and_then(|placed| placed.event.source).ok_or_else(missing)?;
    let rows =
        ContentPage::new(reader, &context.archive()).rows(&source).map_err(unreadable)?.map_err(|_| missing())?;
    let picture = picture(&rows, &source.expected, part).ok_or_else(missing)?;
    let answer = Answer::bytes(picture.content_type, picture.bytes)?;
    Ok(answer.as_it_is().with_header(CONTENT_SECURITY_POLICY, ALONE))
}
