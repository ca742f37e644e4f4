//! Links in the documents lead to files and headings that exist, and tables that are made from code are those of the code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tailspan::cli::rules;
use tailspan::http::openapi::markdown;
use tailspan::http::table::ROUTES;
use tailspan::views::analytics::patterns::{all, markdown as patterns};
use tailspan::views::metrics::document;
use tailspan::views::tables::markdown as columns;

fn documents() -> Vec<PathBuf> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let in_docs = fs::read_dir(top.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = in_docs.filter(|path| path.extension().is_some_and(|is| is == "md")).collect();
    all.extend(["README.md", "CONTRIBUTING.md", "deploy/README.md"].map(|name| top.join(name)));
    all
}

/// Names of the headings of a document, as GitHub makes them: small letters, digits, `-` and `_`, blanks as `-`.
fn headings(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(path).unwrap();
    let mut fenced = false;
    let lines = text.lines().filter(|line| {
        fenced ^= line.starts_with("```");
        !fenced && line.starts_with('#')
    });
    let name = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        title.chars().filter(|letter| letter.is_alphanumeric() || ['-', '_'].contains(letter)).collect()
    };
    lines.map(name).collect()
}

/// Targets of `[text](target)` and `![text](target)` outside of code.
fn links(text: &str) -> Vec<String> {
    let mut fenced = false;
    let lines = text.lines().filter(|line| {
        fenced ^= line.trim_start().starts_with("```");
        !fenced && !line.starts_with("    ")
    });
    let of_line = |line: &str| {
        let rests = line.split("](").skip(1);
        rests.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect::<Vec<_>>()
    };
    lines.flat_map(of_line).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut seen = 0;
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: there is no {link}", path.display());
            let known = heading.is_empty() || headings(&target).contains(heading);
            assert!(known, "{}: there is no heading {link}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 80, "only {seen} links were found");
}

#[test]
fn the_variables_of_the_guide_are_those_of_rules() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/custom-metrics.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("<!-- variables -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end of variables -->").unwrap();
    let expected = format!("{before}<!-- variables -->\n{}<!-- end of variables -->{after}", rules::markdown());
    if std::env::var("UPDATE").is_ok() {
        fs::write(&path, expected).unwrap();
        return;
    }
    assert!(text == expected, "docs/custom-metrics.md is behind the variables of rules: run the test with UPDATE=1");
}

#[test]
fn the_metrics_of_the_guide_are_the_catalogue() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("<!-- catalogue -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end of catalogue -->").unwrap();
    let expected = format!("{before}<!-- catalogue -->\n{}<!-- end of catalogue -->{after}", document::markdown());
    if std::env::var("UPDATE").is_ok() {
        fs::write(&path, expected).unwrap();
        return;
    }
    assert!(text == expected, "docs/metrics.md is behind the catalogue: run the test with UPDATE=1");
}

#[test]
fn the_columns_of_the_guide_are_those_of_exports() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/export.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("<!-- columns -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end of columns -->").unwrap();
    let expected = format!("{before}<!-- columns -->\n{}<!-- end of columns -->{after}", columns::markdown());
    if std::env::var("UPDATE").is_ok() {
        fs::write(&path, expected).unwrap();
        return;
    }
    assert!(text == expected, "docs/export.md is behind the columns of exports: run the test with UPDATE=1");
}

#[test]
fn the_patterns_of_the_guide_are_the_rules() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/patterns.md");
    let text = fs::read_to_string(&path).unwrap();
    let (mut expected, mut inside, mut told) = (String::new(), false, BTreeSet::new());
    for line in text.lines() {
        inside &= !line.starts_with("<!-- end -->");
        if !inside {
            expected.push_str(&format!("{line}\n"));
        }
        let mark = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")).unwrap_or_default();
        if mark == "rules" {
            expected.push_str(&patterns::overview());
            inside = true;
        } else if let Some(id) = mark.strip_prefix("rule ") {
            expected.push_str(&patterns::rule(id).unwrap());
            told.insert(id.to_owned());
            inside = true;
        }
    }
    assert_eq!(told, all::rules().map(|rule| rule.id.to_owned()).collect(), "each rule has a section");
    if std::env::var("UPDATE").is_ok() {
        fs::write(&path, expected).unwrap();
        return;
    }
    assert!(text == expected, "docs/patterns.md is behind the rules: run the test with UPDATE=1");
}

/// A document with what its routes say between the marks for it.
fn with_reference(text: &str) -> String {
    let (mut filled, mut inside) = (String::new(), false);
    for line in text.lines() {
        inside &= !line.starts_with("<!-- end of ");
        if !inside {
            filled.push_str(&format!("{line}\n"));
        }
        let begins = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")).unwrap_or_default();
        let tables = match begins.strip_prefix("parameters of ") {
            Some(pattern) => markdown::parameters(ROUTES, pattern),
            None if begins == "routes" => markdown::routes(ROUTES),
            None => continue,
        };
        // The head of a table has two lines.
        assert!(tables.lines().count() > 2, "there is no route for {line}, or it has no parameters");
        inside = true;
        filled.push_str(&tables);
    }
    assert!(!inside, "a mark without an end");
    filled
}

#[test]
fn the_reference_of_the_api_is_the_route_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.md");
    let text = fs::read_to_string(&path).unwrap();
    let expected = with_reference(&text);
    if std::env::var("UPDATE").is_ok() {
        fs::write(&path, expected).unwrap();
        return;
    }
    assert!(text == expected, "docs/api.md is behind the route table: run the test with UPDATE=1");
    let named = |pattern: &str| text.contains(&format!("<!-- parameters of {pattern} -->"));
    let own =
        ROUTES.iter().filter(|route| route.pattern.starts_with("/api/") && !route.description.parameters.is_empty());
    let unnamed: Vec<&str> = own
        .filter(|route| route.description.parameters.iter().any(|one| !one.about().required) && !named(route.pattern))
        .map(|route| route.pattern)
        .collect();
    assert!(unnamed.is_empty(), "docs/api.md lacks `<!-- parameters of ... -->` for {unnamed:?}");
}
