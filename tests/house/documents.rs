//! Links in the documents lead to files and headings that exist, and tables that are made from code are those of the code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tailspan::views::metrics::document;

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
