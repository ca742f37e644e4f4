//! A row of the route table, without its handler and what that is given.

use http::{Method, StatusCode};

use crate::http::route::description::{BodyForm, Description};
use crate::http::route::problem::{ELSEWHERE, FINE, Holds, TAKEN};
use crate::http::route::routes::{Route, Work};

/// What a row of the route table tells.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Told {
    pub(super) pattern: &'static str,
    pub(super) methods: &'static [Method],
    pub(super) description: &'static Description,
    /// Whether answers carry an entity tag.
    pub(super) tagged: bool,
    /// Whether the handler may answer "not found".
    pub(super) missing: bool,
    /// The body that it takes.
    pub(super) body: Option<&'static BodyForm>,
    /// What the status "created" means, if the handler answers with it.
    pub(super) makes: Option<&'static str>,
    /// Whether it answers with the address of another page.
    pub(super) leads: bool,
    /// Whether it keeps something for its clients, which may be gone when they come back.
    pub(super) keeps: bool,
    /// Whether it keeps what its clients send, and answers that it is taken.
    pub(super) takes_in: bool,
    /// The headers that it reads, each with its meaning.
    pub(super) headers: &'static [(&'static str, &'static str)],
}

/// A group of routes: its name, what it is, and how the paths of its routes begin.
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    begins: &'static [&'static str],
}

/// All groups. A route belongs to the first that fits.
pub(super) const GROUPS: [Group; 7] = [
    Group {
        name: "analytics",
        meaning: "Sums over all sessions, the list of sessions, and each of them.",
        begins: &["/api/v1/analytics"],
    },
    Group { name: "export", meaning: "Whole tables of rows, as files.", begins: &["/api/v1/export"] },
    Group { name: "api", meaning: "What there is to ask.", begins: &["/api/v1"] },
    Group {
        name: "jaeger",
        meaning: "Jaeger's query API, read-only: names, answers and refusals are Jaeger's.",
        begins: &["/jaeger"],
    },
    Group { name: "metrics", meaning: "Metrics for Prometheus.", begins: &["/metrics"] },
    Group { name: "probes", meaning: "Whether the sidecar works.", begins: &["/-/", "/healthz", "/ready"] },
    Group { name: "pages", meaning: "Pages for people.", begins: &["/"] },
];

impl Told {
    pub(in crate::http) const fn of<C>(route: &Route<C>) -> Self {
        let Route { pattern, methods, description, tagged, missing, body, makes, leads, keeps, headers, .. } = *route;
        let takes_in = matches!(route.work, Work::Intake);
        Self { pattern, methods, description, tagged, missing, body, makes, leads, keeps, takes_in, headers }
    }

    /// The status of an answer that is no refusal.
    pub(super) fn fine(&self) -> StatusCode {
        match (self.leads, self.takes_in) {
            (true, _) => ELSEWHERE,
            (false, true) => TAKEN,
            (false, false) => FINE,
        }
    }

    /// What it has of its clients.
    pub(super) fn holds(&self) -> Holds {
        Holds { keeps: self.keeps, takes_in: self.takes_in }
    }

    /// The name of the operation: the method and the path in one word, without what many paths have in common.
    pub(super) fn operation_id(&self, method: &Method) -> String {
        let mut id = method.as_str().to_ascii_lowercase();
        for segment in self.pattern.split('/').filter(|segment| !matches!(*segment, "" | "api" | "v1")) {
            let (by, name) = match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                Some(name) => ("By", name),
                None if segment == "-" => ("", "probe"),
                None => ("", segment),
            };
            id.push_str(by);
            for word in name.split(|letter: char| !letter.is_ascii_alphanumeric()) {
                let mut letters = word.chars();
                id.extend(letters.next().map(|first| first.to_ascii_uppercase()));
                id.push_str(letters.as_str());
            }
        }
        if self.pattern == "/" { id + "Page" } else { id }
    }

    /// The name of the group that it belongs to.
    pub(super) fn group(&self) -> &'static str {
        let fits = |group: &&Group| group.begins.iter().any(|start| self.pattern.starts_with(start));
        GROUPS.iter().find(fits).map_or("", |group| group.name)
    }
}
