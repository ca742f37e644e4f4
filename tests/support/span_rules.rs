//! Settings of spans under which laws must hold: each pair of values stands in one at least.

use std::borrow::Cow;

use tailspan::views::traces::content::ContentLevel;
use tailspan::views::traces::finish::SpanRules;
use tailspan::views::traces::ids::TraceScope;

/// All of them. The first is what an empty configuration says.
pub(crate) fn matrix() -> [SpanRules; 6] {
    use ContentLevel::{Content, Details, Off};
    use TraceScope::{Session, Turn};
    let of = |scope, content, openinference, service, idle_ms| SpanRules {
        content,
        scope,
        openinference,
        service: Cow::Borrowed(service),
        idle_ms,
    };
    [
        of(Turn, Off, false, "claude-code", 1_800_000),
        of(Turn, Content, true, "my-name", 1_000),
        of(Turn, Details, false, "my-name", 1_800_000),
        of(Session, Off, true, "my-name", 1_800_000),
        of(Session, Details, true, "claude-code", 1_000),
        of(Session, Content, false, "claude-code", 1_800_000),
    ]
}
