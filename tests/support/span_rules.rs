//! Settings of spans under which laws must hold: each pair of values stands in one at least.

use std::borrow::Cow;

use tailspan::views::traces::content::ContentLevel;
use tailspan::views::traces::finish::SpanRules;
use tailspan::views::traces::ids::TraceScope;

/// All of them. The first is what an empty configuration says.
pub(crate) fn matrix() -> [SpanRules; 9] {
    use ContentLevel::{Content, Details, Off};
    use TraceScope::{Session, Turn};
    let of = |scope, content, openinference, service, idle_ms| SpanRules {
        content,
        scope,
        openinference,
        service: Cow::Borrowed(service),
        idle_ms,
        pages: (service == "my-name").then(|| "http://127.0.0.1:9719".to_owned()),
    };
    let (long, short) = (1_800_000, 1_000);
    [
        of(Turn, Off, false, "claude-code", long),
        of(Session, Off, true, "my-name", long),
        of(Turn, Off, false, "claude-code", short),
        of(Turn, Details, true, "my-name", short),
        of(Session, Details, false, "claude-code", long),
        of(Turn, Details, true, "claude-code", long),
        of(Session, Content, false, "my-name", long),
        of(Turn, Content, true, "claude-code", short),
        of(Session, Content, false, "my-name", short),
    ]
}
