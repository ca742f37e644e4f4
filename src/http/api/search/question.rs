//! What is asked for, and the order of what is found.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ledger::unit::UnitId;
use crate::transcript::ids::SessionId;
use crate::transcript::time::Timestamp;
use crate::views::analytics::cells::Window;
use crate::views::analytics::index::WantedTexts;
use crate::views::sessions::events::EventKey;
use crate::views::text::find::hint::Hint;
use crate::views::text::find::query::Query;
use crate::views::text::find::texts::TextKind;

/// What is asked for.
#[derive(Debug)]
pub(super) struct SearchQuestion {
    pub(super) query: Query,
    /// What lines must have.
    pub(super) hint: Hint,
    /// Kinds of which texts are wanted; all if there is none.
    pub(super) kinds: Vec<TextKind>,
    /// Models of which answers and thoughts are wanted, and nothing else; everything if there is none.
    pub(super) models: Vec<String>,
    /// Tools of which inputs and results are wanted, and nothing else; everything if there is none.
    pub(super) tools: Vec<String>,
    pub(super) window: Window,
    /// Whether the newest comes first.
    pub(super) newest: bool,
    pub(super) limit: usize,
    /// Where the page before ended.
    pub(super) after: Option<Place>,
    /// How long the search goes on.
    pub(super) patience: Duration,
}

/// The place of something in the order that is asked for: the least comes first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Milliseconds, negative where the newest comes first.
    pub(super) time: i64,
    pub(super) session: Arc<str>,
    /// The event.
    pub(super) event: InOrder,
    /// 0 for the event itself, and a number for each kind of its texts.
    pub(super) kind: u8,
}

/// An event in the order that is asked for; `None` is the title, which is older than every event. No number, because the
/// numbers of events change when one is found that happened earlier.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum InOrder {
    /// The oldest first.
    Forth(Option<EventKey>),
    /// The newest first.
    Back(Reverse<Option<EventKey>>),
}

impl Place {
    /// As a key and an id for a cursor.
    pub(super) fn told(&self) -> (i128, String) {
        (self.time.into(), serde_json::to_string(&(&*self.session, &self.event, self.kind)).unwrap_or_default())
    }

    /// Reads what [`Place::told`] wrote; `None` if it did not.
    pub(super) fn read(key: i128, id: &str) -> Option<Self> {
        let (session, event, kind) = serde_json::from_str::<(String, InOrder, u8)>(id).ok()?;
        Some(Self { time: key.try_into().ok()?, session: session.into(), event, kind })
    }
}

impl SearchQuestion {
    /// A time as the order has it.
    pub(super) const fn towards(&self, time: Timestamp) -> i64 {
        if self.newest { time.0.saturating_neg() } else { time.0 }
    }

    /// The place of an event of a session; `None` for the title.
    pub(super) fn place(&self, listed: &Listed, at: Timestamp, event: Option<&EventKey>) -> Place {
        // No event lies outside of its session, or a page could begin behind it.
        let time = self.towards(at.clamp(listed.first, listed.last.max(listed.first)));
        let event = event.cloned();
        let event = if self.newest { InOrder::Back(Reverse(event)) } else { InOrder::Forth(event) };
        Place { time, session: Arc::clone(&listed.id.0), event, kind: 0 }
    }

    /// Whether texts of a kind, a model and a tool are wanted.
    pub(super) fn takes(&self, kind: TextKind, model: Option<&str>, tool: Option<&str>) -> bool {
        let any = |wanted: &[String], own: Option<&str>| {
            wanted.is_empty() || own.is_some_and(|own| wanted.iter().any(|wanted| wanted == own))
        };
        (self.kinds.is_empty() || self.kinds.contains(&kind)) && any(&self.models, model) && any(&self.tools, tool)
    }

    /// Whether a time lies in the window.
    pub(super) fn is_within(&self, at: Timestamp) -> bool {
        let Window { since, until } = self.window;
        since.is_none_or(|since| at >= since) && until.is_none_or(|until| at < until)
    }
}

/// A session that may have what is asked for.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) id: SessionId,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    pub(super) title: Option<Arc<str>>,
    pub(super) project: Option<Arc<str>>,
    pub(super) wanted: WantedTexts,
}

impl Listed {
    pub(super) fn takes(&self, unit: UnitId) -> bool {
        self.wanted.units.as_ref().is_none_or(|units| units.contains(&unit))
    }
}
