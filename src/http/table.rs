//! The route table: one line for each path that is answered. Only the wiring imports it.

use crate::http::api::analytics::runs::{list, one, workflows};
use crate::http::api::analytics::{bottlenecks, costs, patterns, tools};
use crate::http::api::events;
use crate::http::api::replay::{cursor, files, outline, text};
use crate::http::api::tables::answer as tables;
use crate::http::api::{intake, limits, replay, search, session_detail, sessions, transcript};
use crate::http::context::Context;
use crate::http::jaeger::{v1, v3};
use crate::http::metrics::claude_code;
use crate::http::metrics::descriptions::{CLAUDE_CODE, METRICS};
use crate::http::openapi::serve;
use crate::http::pages::{assets, health, image, landing, session, span};
use crate::http::route::routes::Route;
use crate::views::traces::content::ContentLevel;

/// Every path that is answered.
pub static ROUTES: &[Route<Context>] = &[
    Route::fixed("/", &landing::PAGE, landing::page),
    Route::get("/sessions/{id}", &session::PAGE, session::page).large().or_not_found().quoting(),
    Route::get("/sessions/{id}/images/{event}/{part}", &image::IMAGE, image::image).large().or_not_found().quoting(),
    Route::get("/spans/{trace}/{span}", &span::SPAN, span::span).large().or_not_found().leading(),
    Route::get("/spans/{trace}", &span::TRACE, span::trace).large().or_not_found().leading(),
    Route::fixed("/pages/style.css", &assets::CSS, |_, request| assets::STYLE.answer(request)).tagged(),
    Route::fixed("/pages/icon.svg", &assets::SVG, |_, request| assets::ICON.answer(request)).tagged(),
    Route::fixed("/pages/replay.js", &assets::JS, |_, request| assets::REPLAY.answer(request)).tagged(),
    Route::fixed("/pages/text.js", &assets::JS, |_, request| assets::TEXT.answer(request)).tagged(),
    Route::fixed("/pages/detail.js", &assets::JS, |_, request| assets::DETAIL.answer(request)).tagged(),
    Route::fixed("/pages/draw.js", &assets::JS, |_, request| assets::DRAW.answer(request)).tagged(),
    Route::fixed("/pages/mark.js", &assets::JS, |_, request| assets::MARK.answer(request)).tagged(),
    Route::fixed("/pages/sessions.js", &assets::JS, |_, request| assets::SESSIONS.answer(request)).tagged(),
    Route::fixed("/pages/waits.js", &assets::JS, |_, request| assets::WAITS.answer(request)).tagged(),
    Route::fixed("/metrics", &METRICS, health::metrics),
    Route::fixed("/metrics/claude-code", &CLAUDE_CODE, claude_code::metrics).or_not_found(),
    Route::fixed("/-/healthy", &health::HEALTHY, health::healthy),
    Route::fixed("/healthz", &health::HEALTHY, health::healthy),
    Route::fixed("/-/ready", &health::READY, health::ready),
    Route::fixed("/readyz", &health::READY, health::ready),
    Route::fixed("/ready", &health::READY, health::ready),
    Route::fixed("/api/v1/openapi.json", &serve::OPENAPI, serve::openapi),
    Route::get("/api/v1/analytics/costs", &costs::COSTS, costs::answer).tagged(),
    Route::get("/api/v1/analytics/bottlenecks", &bottlenecks::BOTTLENECKS, bottlenecks::answer).tagged(),
    Route::get("/api/v1/analytics/patterns", &patterns::PATTERNS, patterns::answer).tagged(),
    Route::get("/api/v1/analytics/tools/usage", &tools::TOOLS, tools::answer).tagged(),
    Route::get("/api/v1/analytics/limits", &limits::LIMITS, limits::answer).tagged(),
    // Whoever is on the machine may say what is used: to ask who it is would cost a status line ten milliseconds where there are
    // thousands of sockets.
    Route::post("/api/v1/limits", &limits::TAKE, &limits::TOLD, limits::take),
    Route::get("/api/v1/analytics/workflows", &workflows::WORKFLOWS, workflows::answer).tagged(),
    Route::get("/api/v1/analytics/workflows/{name}", &list::WORKFLOW_RUNS, list::of_workflow).or_not_found().tagged(),
    Route::get("/api/v1/analytics/runs", &list::RUNS, list::all).tagged(),
    Route::get("/api/v1/analytics/runs/{id}", &one::RUN, one::answer).large().or_not_found().tagged(),
    Route::get("/api/v1/analytics/search", &search::SEARCH, search::search).large().quoting(),
    Route::get("/api/v1/analytics/sessions", &sessions::LIST, sessions::list).tagged(),
    Route::get("/api/v1/analytics/sessions/{id}", &session_detail::ONE, session_detail::one).large().or_not_found(),
    Route::get("/api/v1/analytics/sessions/{id}/replay", &replay::REPLAY, replay::replay)
        .large()
        .or_not_found()
        .quoting(),
    Route::post("/api/v1/analytics/sessions/{id}/replay", &cursor::CURSOR, &cursor::MOVE, cursor::step)
        .large()
        .or_not_found()
        .quoting()
        .keeping(cursor::OPENED),
    Route::get("/api/v1/analytics/sessions/{id}/replay/files", &files::FILES, files::files)
        .large()
        .or_not_found()
        .quoting(),
    Route::get("/api/v1/analytics/sessions/{id}/replay/file", &files::FILE, files::file)
        .large()
        .or_not_found()
        .quoting(),
    Route::get("/api/v1/analytics/sessions/{id}/replay/outline", &outline::OUTLINE, outline::outline)
        .large()
        .or_not_found()
        .tagged(),
    Route::get("/api/v1/analytics/sessions/{id}/replay/turns/{turn}", &outline::ONE_TURN, outline::turn)
        .large()
        .or_not_found(),
    Route::get("/api/v1/analytics/sessions/{id}/replay/{event}/text", &text::TEXT, text::text)
        .large()
        .or_not_found()
        .quoting(),
    Route::get("/api/v1/analytics/sessions/{id}/transcript", &transcript::TRANSCRIPT, transcript::transcript)
        .large()
        .or_not_found()
        .quoting(),
    Route::intake("/api/v1/events", &intake::EVENTS, &intake::LINES, intake::HEADERS, intake::take),
    Route::get("/api/v1/events", &events::EVENTS, events::events).feeding().quoting(),
    Route::get("/api/v1/export/{file}", &tables::EXPORT, tables::answer).large().tagged(),
    Route::foreign("/jaeger/api/services", &v1::SERVICES, v1::services),
    Route::foreign("/jaeger/api/services/{service}/operations", &v1::OPERATION_NAMES, v1::operation_names).large(),
    Route::foreign("/jaeger/api/operations", &v1::OPERATIONS, v1::operations_with_kinds).large(),
    Route::foreign("/jaeger/api/traces", &v1::TRACES, v1::traces).large().quoting_if(spans_quote),
    Route::foreign("/jaeger/api/traces/{id}", &v1::TRACE, v1::trace).large().or_not_found().quoting_if(spans_quote),
    Route::foreign("/jaeger/api/dependencies", &v1::DEPENDENCIES, v1::dependencies),
    Route::foreign("/jaeger/api/v3/services", &v3::SERVICES, v3::services),
    Route::foreign("/jaeger/api/v3/operations", &v3::OPERATIONS, v3::operations_with_kinds).large(),
    Route::foreign("/jaeger/api/v3/traces", &v3::TRACES, v3::traces).large().or_not_found().quoting_if(spans_quote),
    Route::foreign("/jaeger/api/v3/traces/{id}", &v3::TRACE, v3::trace).large().or_not_found().quoting_if(spans_quote),
    Route::foreign("/jaeger/api/v3/trace-summaries", &v3::SUMMARIES, v3::summaries).large().quoting_if(spans_quote),
];

/// Spans hold text of the conversation only if `traces.content` lets it out.
fn spans_quote(context: &Context) -> bool {
    context.spans.content != ContentLevel::Off
}
