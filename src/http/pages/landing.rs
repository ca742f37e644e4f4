//! The page at `/`: how the sidecar is, its sessions, and links to its other paths.
//!
//! Probes ask for it too, so it is made of memory alone. `files/sessions.js` asks the API for the sessions.

use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};

use super::escape::{NO_REFERRER, POLICY, escape};
use crate::http::pages::status::{Status, Waiting};
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description, HTML, PROBLEM};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;

const LINKS: [(&str, &str); 6] = [
    ("/metrics", "metrics for Prometheus"),
    ("/-/healthy", "whether the sidecar works: 503 with the reason while its state cannot be written"),
    ("/-/ready", "whether the first scan is complete"),
    ("/api/v1/analytics/sessions", "sessions as JSON; add an id, and /replay, for one of them"),
    ("/api/v1/openapi.json", "every route, parameter and answer, as OpenAPI for programs"),
    ("/jaeger/api/services", "the Jaeger query API: point a Grafana Jaeger data source at /jaeger"),
];

const HEAD: &str = "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<meta name=\"color-scheme\" content=\"light dark\">
<title>tailspan</title>
<link rel=\"icon\" href=\"./pages/icon.svg\">
<link rel=\"stylesheet\" href=\"./pages/style.css\">
<script type=\"module\" src=\"./pages/sessions.js\"></script>
</head>
<body class=\"landing\">
<main>
<h1>tailspan</h1>
<p>Follows the session files of Claude Code and serves what happened in them as metrics, traces and JSON.</p>
";

/// Where the script puts the sessions.
const SESSIONS: &str = "<section id=\"sessions\" aria-labelledby=\"sessions-title\">
<h2 id=\"sessions-title\">Sessions</h2>
<noscript><p>The list of sessions needs JavaScript; \
<a href=\"./api/v1/analytics/sessions\">/api/v1/analytics/sessions</a> has it as JSON, and the page of a session, \
<code>/sessions/ID</code>, is readable without.</p></noscript>
</section>
";

/// Description of [`page`].
pub static PAGE: Description = Description {
    summary: "Shows what this is, how it is, its sessions, and where to go.",
    parameters: &[],
    answers: &[AnswerForm::of(HTML, "A page for people.")],
    refusal: PROBLEM,
};

/// The landing page.
pub fn page<C: Status>(context: &C, _: &Request) -> Result<Answer, Problem> {
    let state = match context.ready() {
        Ok(()) => "ready".to_owned(),
        Err(Waiting { files_done, files_total }) => {
            format!("first scan running: {files_done} of {files_total} files")
        }
    };
    let links: String =
        LINKS.iter().map(|(path, what)| format!("<dt><a href=\".{path}\">{path}</a></dt><dd>{what}</dd>\n")).collect();
    let version = escape(context.version());
    let html = format!(
        "{HEAD}<p role=\"status\">State: <strong>{state}</strong></p>\n{SESSIONS}<nav aria-label=\"Endpoints\">\n\
         <h2>For programs</h2>\n<dl>\n{links}</dl>\n</nav>\n</main>\n<footer>Version {version}</footer>\n</body>\n</html>\n"
    );
    let answer = Answer::html(html).with_header(CONTENT_SECURITY_POLICY, POLICY);
    Ok(answer.with_header(REFERRER_POLICY, NO_REFERRER))
}
