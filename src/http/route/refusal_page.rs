//! A problem as a page, for people whose browser followed an address that leads nowhere.
//!
//! Programs get every problem as JSON, and so do browsers from the routes that are for programs.

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, VARY};

use crate::http::route::answer::Answer;
use crate::http::route::description::HTML;
use crate::http::route::problem::Problem;
use crate::views::transcripts::escape::html as escape;

/// The first segments of the paths that programs ask for.
const FOR_PROGRAMS: [&str; 9] = ["api", "jaeger", "metrics", "-", "healthz", "readyz", "ready", "pages", "favicon.ico"];

/// What the page may load: its style and its icon.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// Whether who asked for a path is told of problems by a page: the client says that it reads HTML, and the path is one for
/// people.
pub(in crate::http) fn is_wanted(path: &str, headers: &HeaderMap) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let mut accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    !FOR_PROGRAMS.contains(&first) && accepted.any(|value| value.split(',').any(is_html))
}

/// Whether one of the types that a client accepts is HTML, with a weight above 0.
fn is_html(accepted: &str) -> bool {
    let mut parts = accepted.split(';').map(str::trim);
    let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("text/html"));
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    is_named && weight.is_none_or(|weight| weight.trim().parse::<f32>().is_ok_and(|weight| weight > 0.0))
}

/// The page that tells of a problem with the request for `path`, with the status and the headers of the problem.
pub(in crate::http) fn page(problem: &Problem, path: &str) -> Answer {
    // The way to the first page is relative, so that it holds behind any proxy and below any path.
    let up = format!("./{}", "../".repeat(path.matches('/').count().saturating_sub(1)));
    let (title, detail) = (escape(problem.title()), escape(problem.detail()));
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title} · tailspan</title>\n\
         <link rel=\"icon\" href=\"{up}pages/icon.svg\">\n<link rel=\"stylesheet\" href=\"{up}pages/style.css\">\n\
         </head>\n<body class=\"landing\">\n<main>\n<h1>{title}</h1>\n<p>{detail}</p>\n\
         <p><a href=\"{up}\">All sessions</a></p>\n</main>\n</body>\n</html>\n"
    );
    let answer = Answer::new(problem.status(), HeaderValue::from_static(HTML), html.into_bytes())
        .with_header(CONTENT_SECURITY_POLICY, POLICY)
        .with_header(REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
        .with_header(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    match problem.header() {
        Some((name, value)) => answer.with_header(name, value),
        None => answer,
    }
}
