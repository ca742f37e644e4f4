//! The tables of `docs/api.md`: every route with its refusals, and the parameters of one route.

use http::Method;

use super::told::{GROUPS, Told};
use crate::http::route::parameter::{Described, ParameterPlace};
use crate::http::route::problem::{ELSEWHERE, FINE, Holds, MADE, TAKEN, UNCHANGED, refusals};
use crate::http::route::routes::Route;

/// All routes, group by group: what each does, what it answers, and with which statuses; then what the statuses of
/// refusals mean.
#[must_use]
pub fn routes<C>(routes: &[Route<C>]) -> String {
    let told: Vec<Told> = routes.iter().map(Told::of).collect();
    let mut text = String::from("| route | does | answers | statuses |\n|---|---|---|---|\n");
    for group in GROUPS {
        for one in told.iter().filter(|one| one.group() == group.name) {
            let methods: Vec<&str> = one.methods.iter().map(Method::as_str).collect();
            let forms: Vec<String> =
                one.description.answers.iter().map(|form| format!("`{}`", form.content_type)).collect();
            let path = format!("{} {}", methods.join(" "), one.pattern);
            row(&mut text, &[&format!("`{path}`"), one.description.summary, &forms.join(", "), &statuses(one)]);
        }
    }
    text.push_str("\n| status | means |\n|---|---|\n");
    row(&mut text, &[&FINE.as_u16().to_string(), "The answer."]);
    row(&mut text, &[&MADE.as_u16().to_string(), "The answer; something was made for the client."]);
    row(&mut text, &[&TAKEN.as_u16().to_string(), "What was sent is taken and durable; it is counted a moment later."]);
    row(&mut text, &[&ELSEWHERE.as_u16().to_string(), "The answer is the page that `Location` leads to."]);
    row(&mut text, &[&UNCHANGED.as_u16().to_string(), "Nothing has changed since the answer whose `ETag` was sent."]);
    let holds = Holds { keeps: told.iter().any(|one| one.keeps), takes_in: told.iter().any(|one| one.takes_in) };
    for refusal in refusals(told.iter().any(has_body), holds) {
        let header = refusal.header().map(|(name, _)| format!(" With `{name}`.")).unwrap_or_default();
        row(&mut text, &[&refusal.status().to_string(), &format!("{}{header}", refusal.meaning())]);
    }
    text
}

/// The parameters of the route with this pattern, path and query; empty if there is no such route. Of several routes it is that
/// which is asked, not that which takes something in.
#[must_use]
pub fn parameters<C>(routes: &[Route<C>], pattern: &str) -> String {
    let mut text = String::from("| parameter | takes | default | meaning |\n|---|---|---|---|\n");
    let of_pattern = routes.iter().filter(|route| route.pattern == pattern);
    let Some(route) = of_pattern.min_by_key(|route| !route.methods.contains(&Method::GET)) else {
        return String::new();
    };
    for parameter in route.description.parameters {
        let about = parameter.about();
        let names: Vec<String> = [about.name].iter().chain(about.also).map(|name| format!("`{name}`")).collect();
        let default = about.default.map(|text| format!("`{text}`")).unwrap_or_default();
        row(&mut text, &[&names.join(" "), &takes(*parameter), &default, about.meaning]);
    }
    text
}

/// What a parameter takes, and how often.
fn takes(parameter: &dyn Described) -> String {
    let about = parameter.about();
    let how = match (about.place, about.required, about.several) {
        (ParameterPlace::Path, ..) => "; in the path",
        (ParameterPlace::Query, true, _) => "; required",
        (ParameterPlace::Query, false, true) => "; may be given several times",
        (ParameterPlace::Query, false, false) => "",
    };
    format!("{}{how}", parameter.takes())
}

/// The statuses of a route, in order.
fn statuses(told: &Told) -> String {
    let mut all = vec![told.fine().as_u16()];
    all.extend(told.tagged.then(|| UNCHANGED.as_u16()));
    all.extend(told.makes.map(|_| MADE.as_u16()));
    let of_route = refusals(has_body(told), told.holds()).filter(|refusal| told.missing || !refusal.is_missing());
    all.extend(of_route.map(|refusal| refusal.status()));
    all.iter().map(u16::to_string).collect::<Vec<_>>().join(" ")
}

fn has_body(told: &Told) -> bool {
    told.methods.iter().any(|method| *method != Method::GET)
}

/// A row of a table. A `|` within a cell is escaped.
fn row(text: &mut String, cells: &[&str]) {
    for cell in cells {
        text.push_str("| ");
        text.push_str(&cell.replace('|', "\\|"));
        text.push(' ');
    }
    text.push_str("|\n");
}
