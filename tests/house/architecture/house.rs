//! The files of `src/`, what each names, and which file defines what another one names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::names::{Known, Names, names_of};

/// A file of `src/`.
pub(crate) struct File {
    /// `views/traces/ids.rs`.
    pub(crate) path: String,
    /// `views::traces::ids`; the two files at the root that are no modules are `main` and `lib`.
    pub(crate) module: String,
    pub(crate) names: Names,
}

pub(crate) struct House {
    pub(crate) files: Vec<File>,
    /// Module to file, for what can be imported.
    modules: BTreeMap<String, usize>,
}

impl House {
    /// The house in a folder `src`.
    pub(crate) fn read(src: &Path, crates: &BTreeSet<String>) -> Self {
        let texts = sources(src).into_iter().map(|path| {
            let inside = path.strip_prefix(src).unwrap().to_str().unwrap().to_owned();
            (inside, fs::read_to_string(&path).unwrap())
        });
        Self::of(texts.collect(), crates)
    }

    /// A house of files that are given with their texts.
    pub(crate) fn of(texts: Vec<(String, String)>, crates: &BTreeSet<String>) -> Self {
        let modules: BTreeMap<String, usize> =
            texts.iter().enumerate().map(|(number, (path, _))| (module_of(path).join("::"), number)).collect();
        let every = modules.keys().filter(|module| !module.is_empty()).cloned().collect();
        let known = Known { modules: &every, crates };
        let files = texts.iter().map(|(path, text)| {
            let module = module_of(path);
            let names = names_of(text, &module, &known);
            let module = if module.is_empty() { path.trim_end_matches(".rs").to_owned() } else { module.join("::") };
            File { path: path.clone(), module, names }
        });
        Self { files: files.collect(), modules }
    }

    /// The numbers of the files that each file imports, itself and its unit tests left out.
    pub(crate) fn edges(&self) -> Vec<BTreeSet<usize>> {
        let imported = |(number, file): (usize, &File)| {
            let namings = file.names.namings.iter().filter(|naming| !naming.is_of_tests);
            let inside = namings.filter(|naming| naming.path[0] == "crate");
            let mut found: BTreeSet<usize> = inside.filter_map(|naming| self.definer(&naming.path[1..], 0)).collect();
            found.remove(&number);
            found
        };
        self.files.iter().enumerate().map(imported).collect()
    }

    /// The file that defines what a path names. A `mod.rs` that only hands the name on is passed.
    fn definer(&self, path: &[String], depth: usize) -> Option<usize> {
        let (length, number) = (0..=path.len())
            .rev()
            .find_map(|length| Some((length, *self.modules.get(&path[..length].join("::"))?)))
            .filter(|(length, _)| *length > 0)?;
        let file = &self.files[number];
        let from = path.get(length).and_then(|name| file.names.handed_on.get(name));
        match from.filter(|from| file.path.ends_with("mod.rs") && from[0] == "crate" && depth < 8) {
            Some(from) => {
                let whole: Vec<String> = from[1..].iter().chain(&path[length + 1..]).cloned().collect();
                self.definer(&whole, depth + 1)
            }
            None => Some(number),
        }
    }
}

/// Every file of Rust below a folder.
pub(crate) fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn module_of(path: &str) -> Vec<String> {
    let inside = path.trim_end_matches(".rs").trim_end_matches("/mod");
    if matches!(inside, "main" | "lib") { Vec::new() } else { inside.split('/').map(str::to_owned).collect() }
}

/// Files that import each other in a loop, each loop in order.
pub(crate) fn circles(edges: &[BTreeSet<usize>]) -> Vec<BTreeSet<usize>> {
    let reached: Vec<BTreeSet<usize>> = (0..edges.len()).map(|start| reach(edges, start)).collect();
    let mut found: Vec<BTreeSet<usize>> = Vec::new();
    for (start, far) in reached.iter().enumerate() {
        let circle: BTreeSet<usize> = far.iter().copied().filter(|other| reached[*other].contains(&start)).collect();
        if circle.len() > 1 && !found.contains(&circle) {
            found.push(circle);
        }
    }
    found
}

fn reach(edges: &[BTreeSet<usize>], start: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut next: Vec<usize> = edges[start].iter().copied().collect();
    while let Some(number) = next.pop() {
        if found.insert(number) {
            next.extend(&edges[number]);
        }
    }
    found
}
