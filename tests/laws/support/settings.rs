//! Settings under which laws must hold: each pair of values stands in one at least.

use std::path::Path;

use tailspan::engine::turns::{Policy, WHOLE_SPANS_MAX};
use tailspan::views::metrics::labels::{LabelRules, ProjectLabel};
use tailspan::views::traces::finish::SpanRules;
use tailspan::views::traces::ids::TraceScope;

use super::span_rules;
use super::world::{EVERYTHING, World};

/// What a configuration may say that changes what leaves, and must not change what is counted.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    spans: SpanRules,
    labels: LabelRules,
    /// Spans up to which a turn leaves whole.
    whole_spans_max: u64,
}

/// All of them. The first is what an empty configuration says.
pub(crate) fn matrix() -> [Settings; 9] {
    let few = |project| LabelRules { project, series_max: 2, projects_max: 1, ..LabelRules::default() };
    let many = |project| LabelRules { project, ..LabelRules::default() };
    let others = [
        (many(ProjectLabel::Name), WHOLE_SPANS_MAX),
        (few(ProjectLabel::Hash), WHOLE_SPANS_MAX),
        (many(ProjectLabel::Off), 1),
        (few(ProjectLabel::Name), 1),
        (many(ProjectLabel::Hash), 1),
        (few(ProjectLabel::Off), WHOLE_SPANS_MAX),
        (many(ProjectLabel::Name), WHOLE_SPANS_MAX),
        (many(ProjectLabel::Hash), WHOLE_SPANS_MAX),
        (few(ProjectLabel::Off), 1),
    ];
    let mut others = others.into_iter();
    span_rules::matrix().map(|spans| {
        let (labels, whole_spans_max) = others.next().unwrap();
        Settings { spans, labels, whole_spans_max }
    })
}

impl Settings {
    /// The value of each setting as a word.
    pub(crate) fn values(&self) -> Vec<String> {
        let Self { spans, labels, whole_spans_max } = self;
        let SpanRules { content, scope, openinference, service, idle_ms, pages: _ } = spans;
        vec![
            format!("content {content:?}"),
            format!("scope {scope:?}"),
            format!("openinference {openinference}"),
            format!("service {service}"),
            format!("idle {idle_ms}"),
            format!("project {:?}", labels.project),
            format!("series {}", labels.series_max),
            format!("whole {whole_spans_max}"),
        ]
    }
}

/// What shares a trace under some of the settings.
pub(crate) fn shares_a_trace(settings: usize) -> TraceScope {
    matrix()[settings].spans.scope
}

impl World {
    /// A new state in `folder`, under some of the settings.
    pub(crate) fn under(folder: &Path, settings: usize) -> Self {
        let Settings { spans, labels, whole_spans_max } = matrix()[settings].clone();
        let mut world = Self::shaped(folder, Policy { whole_spans_max, ..EVERYTHING }, spans);
        world.labels = labels;
        world.restart();
        world
    }
}
