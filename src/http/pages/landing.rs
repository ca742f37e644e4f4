//! The page at `/`: what this program is, whether it is ready, and links to its other paths.

use http::header::{CONTENT_SECURITY_POLICY, HeaderValue};

use crate::http::pages::status::{Status, Waiting};
use crate::http::route::answer::Answer;
use crate::http::route::description::{AnswerForm, Description, HTML, PROBLEM};
use crate::http::route::problem::Problem;
use crate::http::route::request::Request;

/// The page may load nothing; only the style in the page itself is allowed, and no frame around it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

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
<style>
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; }
dt { margin-top: .5rem; }
dd { margin: 0; opacity: .75; }
footer { margin-top: 2rem; font-size: .85rem; opacity: .75; }
</style>
</head>
<body>
<main>
<h1>tailspan</h1>
<p>Follows the session files of Claude Code and serves what happened in them as metrics, traces and JSON.</p>
";

/// Description of [`page`].
pub static PAGE: Description = Description {
    summary: "Shows what this is, how it is and where to go.",
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
        LINKS.iter().map(|(path, what)| format!("<dt><a href=\"{path}\">{path}</a></dt><dd>{what}</dd>\n")).collect();
    let version = escape(context.version());
    let html = format!(
        "{HEAD}<p role=\"status\">State: <strong>{state}</strong></p>\n<nav aria-label=\"Endpoints\">\n<dl>\n{links}</dl>\n\
         </nav>\n</main>\n<footer>Version {version}</footer>\n</body>\n</html>\n"
    );
    Ok(Answer::html(html).with_header(CONTENT_SECURITY_POLICY, POLICY))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
