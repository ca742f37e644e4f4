//! The page at `/sessions/{id}`: what happened in a session. What is in the page itself is one window of its events with their
//! texts, for people without scripts; with them, `files/replay.js` makes a timeline of it.

use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use serde_json::Value;

use super::escape::{NO_REFERRER, POLICY, escape};
use super::up::up_from;
use crate::http::api::content::ContentPage;
use crate::http::api::replay::kept::HasReplays;
use crate::http::api::sessions::{ID, find, summary_of};
use crate::http::api::state::unreadable;
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description, HTML, PROBLEM};
use crate::http::route::parameter::{Parameter, Whole};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;
use crate::views::sessions::summary::SessionSummary;
use crate::waiting::{Wait, WaitFor};

/// Events in the page itself.
const WINDOW: usize = 50;

/// Longest text of an event in the page itself, in characters; a longer one is cut, and the API tells the rest.
const TEXT_CHARS_MAX: usize = 4000;

const FROM: Parameter<Whole> =
    Parameter::query("from", Whole::from(0), "The position of the first event in the page itself.").or("0");

/// Description of [`page`].
pub static PAGE: Description = Description {
    summary: "Shows what happened in a session.",
    parameters: &[&ID, &FROM],
    answers: &[AnswerForm::of(HTML, "A page for people; `#event=17` leads to an event.")],
    refusal: PROBLEM,
};

/// The page of a session. Fails if there is no such session, or the state cannot be read.
pub fn page<C: HasReplays>(context: &C, request: &Request) -> Result<Answer, Problem> {
    let reader = context.reader();
    let session = find(context, request.value(&ID)?)?;
    let from = usize::try_from(request.value(&FROM)?).unwrap_or(usize::MAX);
    let reel = context.replays().reel(reader, &session).map_err(unreadable)?;
    let total = reel.timeline.len();
    let from = from.min(total);
    let end = total.min(from.saturating_add(WINDOW));
    let positions: Vec<usize> = (from..end).collect();
    let mut texts = ContentPage::new(reader, &context.archive()).with_piece_bytes_max(4 * TEXT_CHARS_MAX);
    let mut list = String::new();
    for (event, _) in reel.events(reader, &positions).map_err(unreadable)? {
        let content = texts.content(event.source.as_ref()).map_err(unreadable)?;
        let told = serde_json::to_value(&event).and_then(|event| Ok((event, serde_json::to_value(&content)?)));
        let (event, content) = told.map_err(|error| Problem::internal(format!("an event cannot be told: {error}")))?;
        list.push_str(&item(&event, &content));
    }
    let summary = summary_of(reader, &session)?;
    let waiting = context.waits().remove(&session.id);
    let html = document((&summary, waiting.as_ref()), &list, (from, end, total), &up_from(request));
    let answer = Answer::html(html).with_header(CONTENT_SECURITY_POLICY, POLICY);
    Ok(answer.with_header(REFERRER_POLICY, NO_REFERRER))
}

/// The whole page around the events of a window; `up` is the way to the first of the pages.
fn document(
    (summary, waiting): (&SessionSummary, Option<&Wait>),
    list: &str,
    (from, end, total): (usize, usize, usize),
    up: &str,
) -> String {
    let id = escape(&summary.id);
    let title = escape(summary.title.as_deref().unwrap_or(&summary.id));
    let mut about = Vec::new();
    about.extend(summary.project.as_deref().map(escape));
    about.extend(summary.git_branch.as_deref().map(escape));
    about.extend(summary.models.iter().map(|model| escape(model)));
    about.push(dollars(&summary.cost_usd));
    about.extend(summary.started_at.as_deref().map(time));
    let about = about.join(" · ");
    let mut around = String::new();
    if from > 0 {
        let before = from.saturating_sub(WINDOW);
        around.push_str(&format!("<a rel=\"prev\" href=\"?from={before}\">Earlier events</a> "));
    }
    if end < total {
        around.push_str(&format!("<a rel=\"next\" href=\"?from={end}\">Later events</a>"));
    }
    let (files, waiting) = (transcripts(&id, up), waits(waiting));
    let shown =
        if end == from { "no events".to_owned() } else { format!("events {from} to {}, {total} in all", end - 1) };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title} · tailspan</title>\n\
         <link rel=\"icon\" href=\"{up}pages/icon.svg\">\n<link rel=\"stylesheet\" href=\"{up}pages/style.css\">\n<script type=\"module\" src=\"{up}pages/replay.js\"></script>\n\
         <script type=\"module\" src=\"{up}pages/waits.js\"></script>\n\
         </head>\n<body class=\"session\" data-session=\"{id}\" data-total=\"{total}\">\n\
         <header>\n<a class=\"home\" href=\"{up}\">tailspan</a>\n<h1>{title}</h1>\n<p class=\"about\">{about}</p>\n{waiting}{files}</header>\n\
         <main id=\"replay\">\n<p>This page shows {shown}. With JavaScript it has a timeline, search and keys.</p>\n\
         <ol class=\"plain\" start=\"{from}\">\n{list}</ol>\n<nav aria-label=\"Events\">{around}</nav>\n</main>\n\
         </body>\n</html>\n"
    )
}

/// What a session waits for; with scripts, this is kept up to date.
fn waits(waiting: Option<&Wait>) -> String {
    let told = waiting.map(|wait| {
        let what = match (wait.waits_for, wait.tool.as_deref().map(escape)) {
            (WaitFor::Permission, Some(tool)) => format!("waits for permission: {tool}"),
            (WaitFor::Permission, None) => "waits for permission".to_owned(),
            (WaitFor::Question, _) => "asks a question".to_owned(),
            (WaitFor::Idle, _) => "waits for a prompt".to_owned(),
            (WaitFor::Unknown, tool) => {
                format!("{} takes long, or waits for permission", tool.as_deref().unwrap_or("a tool"))
            }
        };
        format!("{what} since {}", time(&wait.since.to_rfc3339()))
    });
    let class = waiting.map_or("", |wait| wait.waits_for.word());
    format!("<p id=\"waiting\" class=\"waits {class}\" role=\"status\">{}</p>\n", told.unwrap_or_default())
}

/// The session as a file in each form; `id` is escaped.
fn transcripts(id: &str, up: &str) -> String {
    const FORMS: [(&str, &str); 5] =
        [("html", "HTML"), ("md", "Markdown"), ("json", "JSON"), ("perfetto", "Perfetto"), ("asciicast", "asciinema")];
    let link =
        |(form, name)| format!("<a href=\"{up}api/v1/analytics/sessions/{id}/transcript?format={form}\">{name}</a>");
    let links: Vec<String> = FORMS.into_iter().map(link).collect();
    format!("<p class=\"about\">As a file, without secrets: {}</p>\n", links.join(" · "))
}

/// An amount as the scripts of the pages show it: with two decimals, or with four below a dollar.
fn dollars(amount: &str) -> String {
    match amount.parse::<f64>() {
        Ok(usd) if usd != 0.0 && usd.abs() < 1.0 => format!("${usd:.4}"),
        Ok(usd) => format!("${usd:.2}"),
        Err(_) => format!("${}", escape(amount)),
    }
}

/// A time of RFC 3339 in UTC, which says that it is. Scripts read the attribute and show the time in the zone of the browser.
fn time(at: &str) -> String {
    let shown = at.strip_suffix('Z').map_or_else(|| at.to_owned(), |at| format!("{} UTC", at.replacen('T', " ", 1)));
    format!("<time datetime=\"{}\">{}</time>", escape(at), escape(&shown))
}

/// An event with its texts.
fn item(event: &Value, content: &Value) -> String {
    let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
    let name = ["tool", "model", "agent_type", "name", "to"].iter().map(|key| text(key)).find(|name| !name.is_empty());
    let kind = text("kind").replace('_', " ");
    let index = event.get("index").and_then(Value::as_u64).unwrap_or_default();
    let mut html = format!(
        "<li id=\"e{index}\" value=\"{index}\"><h2>{} {}</h2><p class=\"about\">{} {}</p>\n",
        escape(&kind),
        escape(name.unwrap_or_default()),
        time(text("at")),
        escape(text("outcome")),
    );
    for piece in content.get("content").and_then(Value::as_array).into_iter().flatten() {
        let kind = piece.get("type").and_then(Value::as_str).unwrap_or_default();
        match piece.get("text").and_then(Value::as_str) {
            Some(whole) => {
                let shown: String = whole.chars().take(TEXT_CHARS_MAX).collect();
                let is_cut = shown.len() < whole.len() || piece.get("truncated").and_then(Value::as_bool) == Some(true);
                let cut = if is_cut { " (cut)" } else { "" };
                html.push_str(&format!("<p class=\"part\">{}{cut}</p><pre>{}</pre>\n", escape(kind), escape(&shown)));
            }
            None => {
                html.push_str(&format!("<p class=\"part\">{} (not text)</p>\n", escape(kind)));
            }
        }
    }
    if let Some(reason) = content.get("content_unavailable").and_then(Value::as_str) {
        html.push_str(&format!("<p class=\"part\">no text: {}</p>\n", escape(reason)));
    }
    html + "</li>\n"
}
