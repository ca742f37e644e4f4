//! What is wrong with a house: each function answers in lines that a person can act on.

use std::collections::BTreeSet;

use super::house::{File, House, circles};
use super::names::STANDARD;
use super::table::{CIRCLES, CRATES, EXCEPTIONS, IMPURE, IMPURE_MACROS, PURE, ROOMS};

/// True for `a::b` and `a::b::c` inside `a::b`, not for `a::bc`.
fn is_inside(path: &str, room: &str) -> bool {
    path.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The row of the table for a module: the one with the longest name.
fn row(module: &str) -> Option<&'static (&'static str, &'static [&'static str])> {
    ROOMS.iter().filter(|(room, _)| is_inside(module, room)).max_by_key(|(room, _)| room.len())
}

/// What a file names in this crate: the path below `crate`, and the line.
fn inside(file: &File) -> impl Iterator<Item = (String, usize)> + '_ {
    file.names
        .namings
        .iter()
        .filter(|naming| naming.path[0] == "crate")
        .map(|naming| (naming.path[1..].join("::"), naming.line))
}

/// Files in rooms that the table does not know.
pub(crate) fn unknown_rooms(house: &House) -> Vec<String> {
    // `views` is its wings: a file that stands beside them belongs to none.
    let unknown = house
        .files
        .iter()
        .filter(|file| row(&file.module).is_none_or(|(room, _)| *room == "views" && file.module != "views"));
    unknown.map(|file| format!("{} is in a room that the table does not know", file.path)).collect()
}

/// Imports that the table forbids, but for the exceptions that were asked for.
pub(crate) fn forbidden_imports(house: &House) -> Vec<String> {
    violations(house)
        .into_iter()
        .filter(|wrong| !EXCEPTIONS.iter().any(|exception| wrong.is_of(exception)))
        .map(|wrong| {
            let target = if wrong.target.is_empty() { "the whole house" } else { &wrong.target };
            format!("{}:{} imports {target}", wrong.path, wrong.line)
        })
        .collect()
}

/// Exceptions that nobody needs any more.
pub(crate) fn idle_exceptions(house: &House) -> Vec<String> {
    let wrong = violations(house);
    let idle = EXCEPTIONS.iter().filter(|exception| !wrong.iter().any(|wrong| wrong.is_of(exception)));
    idle.map(|(from, to, _)| format!("{from} does not import {to} any more: strike the exception")).collect()
}

struct Violation {
    path: String,
    module: String,
    target: String,
    line: usize,
}

impl Violation {
    fn is_of(&self, (from, to, _): &(&str, &str, &str)) -> bool {
        is_inside(&self.module, from) && is_inside(&self.target, to)
    }
}

fn violations(house: &House) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in &house.files {
        let Some((room, allowed)) = row(&file.module) else { continue };
        for (target, line) in inside(file) {
            if !is_inside(&target, room) && !allowed.iter().any(|allowed| is_inside(&target, allowed)) {
                found.push(Violation { path: file.path.clone(), module: file.module.clone(), target, line });
            }
        }
    }
    found
}

/// Foreign crates that are named where the table does not say so, or that it does not know.
pub(crate) fn forbidden_crates(house: &House) -> Vec<String> {
    let mut found = Vec::new();
    for file in &house.files {
        for naming in file.names.namings.iter().filter(|naming| naming.path[0] != "crate") {
            let name = naming.path[0].as_str();
            let is_allowed = STANDARD.contains(&name)
                || CRATES
                    .iter()
                    .any(|(known, rooms)| *known == name && rooms.iter().any(|room| is_inside(&file.module, room)));
            if !is_allowed {
                found.push(format!("{}:{} names {name}", file.path, naming.line));
            }
        }
    }
    found
}

/// Dependencies without a row, rows without a dependency, and rooms that do not name what their row allows.
pub(crate) fn idle_crates(house: &House, dependencies: &BTreeSet<String>) -> Vec<String> {
    let mut found: Vec<String> = dependencies
        .iter()
        .filter(|name| !CRATES.iter().any(|(known, _)| known == name))
        .map(|name| format!("{name} has no row"))
        .collect();
    for (name, rooms) in CRATES {
        if !dependencies.contains(*name) {
            found.push(format!("{name} is no dependency"));
        }
        for room in *rooms {
            let mut files = house.files.iter().filter(|file| is_inside(&file.module, room)).peekable();
            let is_built = files.peek().is_some();
            if is_built && !files.any(|file| file.names.namings.iter().any(|naming| naming.path[0] == *name)) {
                found.push(format!("{room} does not name {name}: strike it from the row"));
            }
        }
    }
    found
}

/// What pure rooms name of the world outside the program.
pub(crate) fn effects(house: &House) -> Vec<String> {
    let mut found = Vec::new();
    for file in house.files.iter().filter(|file| PURE.iter().any(|room| is_inside(&file.module, room))) {
        for naming in &file.names.namings {
            let name = naming.path.join("::");
            let is_impure = |impure: &&str| is_inside(&name, impure) || (naming.is_glob && is_inside(impure, &name));
            if IMPURE.iter().any(is_impure) {
                found.push(format!("{}:{} names {name}", file.path, naming.line));
            }
        }
        for (name, line) in &file.names.macros {
            if IMPURE_MACROS.contains(&name.as_str()) {
                found.push(format!("{}:{line} calls {name}!", file.path));
            }
        }
        if file.names.has_static_mut {
            found.push(format!("{} has a static mut", file.path));
        }
    }
    found
}

/// The circles of a house, each as the paths of its files.
fn circles_of(house: &House) -> Vec<Vec<&str>> {
    let named = |circle: BTreeSet<usize>| circle.into_iter().map(|number| house.files[number].path.as_str()).collect();
    circles(&house.edges()).into_iter().map(named).collect()
}

/// Circles of files that no list names, each with the imports that tie it.
pub(crate) fn new_circles(house: &House) -> Vec<String> {
    let edges = house.edges();
    let ties = |circle: &[&str]| {
        let is_in = |number: usize| circle.contains(&house.files[number].path.as_str());
        let from = (0..edges.len()).filter(|number| is_in(*number));
        let ties = from.flat_map(|from| edges[from].iter().filter(|to| is_in(**to)).map(move |to| (from, *to)));
        let lines = ties.map(|(from, to)| format!("{} -> {}", house.files[from].path, house.files[to].path));
        lines.collect::<Vec<_>>().join(", ")
    };
    let all = circles_of(house);
    let new = all.iter().filter(|circle| !CIRCLES.iter().any(|(known, _)| known == circle));
    new.map(|circle| format!("a circle: {}", ties(circle))).collect()
}

/// Listed circles that are not there as they were.
pub(crate) fn idle_circles(house: &House) -> Vec<String> {
    let all = circles_of(house);
    let idle = CIRCLES.iter().filter(|(known, _)| !all.iter().any(|circle| circle == known));
    idle.map(|(known, _)| format!("no circle of exactly {}: shorten the list", known.join(", "))).collect()
}
