//! What a file names of the rest of the house and of other crates: every form of `use`, and paths in the code.

use std::collections::{BTreeMap, BTreeSet};

use super::words::{Word, words};

/// Names that every crate knows without a line in `Cargo.toml`.
pub(crate) const STANDARD: &[&str] = &["std", "core", "alloc"];

/// The library, as the program names it.
const OWN: &str = "tailspan";

/// A path as seen from the root: `crate::store::StoreReader`, `std::fs::read`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Naming {
    pub(crate) path: Vec<String>,
    pub(crate) is_glob: bool,
    /// It stands in the unit tests of the file, which may look at everything.
    pub(crate) is_of_tests: bool,
    pub(crate) line: usize,
}

#[derive(Default, Debug)]
pub(crate) struct Names {
    pub(crate) namings: Vec<Naming>,
    /// What the file hands on with `pub use`: the name, and where it is from.
    pub(crate) handed_on: BTreeMap<String, Vec<String>>,
    /// Macros that are called by a bare name.
    pub(crate) macros: Vec<(String, usize)>,
    /// Macros that the file makes.
    pub(crate) own_macros: BTreeSet<String>,
    pub(crate) has_static_mut: bool,
}

/// A branch of a `use` tree as it is written, in the module that holds it.
struct Written {
    module: Vec<String>,
    path: Vec<String>,
    bound: Option<String>,
    is_public: bool,
    is_of_tests: bool,
    line: usize,
}

/// What a file is read with.
pub(crate) struct Known<'a> {
    /// Every module of the house: `views::traces::ids`.
    pub(crate) modules: &'a BTreeSet<String>,
    /// The crates of `Cargo.toml`, as code writes them.
    pub(crate) crates: &'a BTreeSet<String>,
}

pub(crate) fn names_of(text: &str, module: &[String], known: &Known<'_>) -> Names {
    let words = words(text);
    let mut reading =
        Reading { words: &words, module: module.to_vec(), inner: Vec::new(), written: Vec::new(), inline: Vec::new() };
    let mut names = Names::default();
    reading.read(&mut names);
    let bound: BTreeMap<&str, &Written> =
        reading.written.iter().filter_map(|written| Some((written.bound.as_deref()?, written))).collect();
    for (written, is_use) in
        reading.written.iter().map(|one| (one, true)).chain(reading.inline.iter().map(|one| (one, false)))
    {
        if names.own_macros.contains(&written.path[0]) {
            continue;
        }
        let Some(path) = rooted(&written.path, &written.module, known, &bound, is_use, 0) else { continue };
        if written.is_public
            && let Some(bound) = &written.bound
        {
            names.handed_on.insert(bound.clone(), path.clone());
        }
        names.namings.push(Naming {
            path,
            is_glob: is_use && written.bound.is_none(),
            is_of_tests: written.is_of_tests,
            line: written.line,
        });
    }
    names
}

struct Reading<'a> {
    words: &'a [Word<'a>],
    module: Vec<String>,
    /// The modules that are written inside the file, with the depth of the braces around them, and whether they are tests.
    inner: Vec<(usize, bool)>,
    written: Vec<Written>,
    inline: Vec<Written>,
}

impl<'a> Reading<'a> {
    fn text(&self, at: usize) -> &'a str {
        self.words.get(at).map_or("", |word| word.text)
    }

    fn before(&self, at: usize, back: usize) -> &'a str {
        at.checked_sub(back).map_or("", |at| self.text(at))
    }

    fn is_of_tests(&self) -> bool {
        self.inner.last().is_some_and(|(_, is_of_tests)| *is_of_tests)
    }

    fn read(&mut self, names: &mut Names) {
        let mut depth = 0;
        let mut at = 0;
        while at < self.words.len() {
            let word = self.words[at];
            match word.text {
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    if self.inner.last().is_some_and(|(around, _)| *around == depth) {
                        self.inner.pop();
                        self.module.pop();
                    }
                }
                "mod" if self.text(at + 2) == "{" => {
                    self.module.push(self.text(at + 1).to_owned());
                    let is_of_tests =
                        self.before(at, 1) == "]" && self.before(at, 3) == "test" && self.before(at, 5) == "cfg";
                    self.inner.push((depth, is_of_tests || self.is_of_tests()));
                }
                // `use<'a>` says what an opaque type borrows.
                "use" if self.text(at + 1) != "<" => {
                    let is_public = matches!(self.before(at, 1), "pub" | ")");
                    at = self.tree(at + 1, &[], is_public);
                    continue;
                }
                "crate" if self.before(at, 1) == "extern" => {
                    let path = vec![self.text(at + 1).to_owned()];
                    self.push(path, None, false, word.line);
                }
                "static" if self.text(at + 1) == "mut" => names.has_static_mut = true,
                "macro_rules" => {
                    names.own_macros.insert(self.text(at + 2).to_owned());
                }
                _ if word.is_name() && self.text(at + 1) == "!" => {
                    names.macros.push((word.text.to_owned(), word.line));
                }
                _ if word.is_name() || word.text == "::" => {
                    at = self.path(at);
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
    }

    /// A path in the code; the next word behind it.
    fn path(&mut self, start: usize) -> usize {
        let mut at = start;
        let mut path = Vec::new();
        if self.text(at) == "::" {
            // `<Type>::function` goes on from a type, `::name` begins at the crates.
            let goes_on = self.before(at, 1) == ">";
            path.push(if goes_on { "Self" } else { "" }.to_owned());
            at += 1;
        }
        while self.words.get(at).is_some_and(Word::is_name) {
            path.push(self.text(at).to_owned());
            at += 1;
            if self.text(at) != "::" || !self.words.get(at + 1).is_some_and(Word::is_name) {
                break;
            }
            at += 1;
        }
        // `pub(in crate::http)` says who sees a thing, not what the thing needs.
        let is_visibility = self.before(start, 1) == "in" && self.before(start, 2) == "(";
        if path.len() > 1 && !is_visibility {
            self.inline.push(Written {
                module: self.module.clone(),
                path,
                bound: None,
                is_public: false,
                is_of_tests: self.is_of_tests(),
                line: self.words[start].line,
            });
        }
        at.max(start + 1)
    }

    /// One tree of a `use`, from behind `above`; the word behind it.
    fn tree(&mut self, start: usize, above: &[String], is_public: bool) -> usize {
        let mut at = start;
        let mut path = above.to_vec();
        let line = self.words.get(start).map_or(0, |word| word.line);
        if self.text(at) == "::" {
            path.push(String::new());
            at += 1;
        }
        loop {
            match self.text(at) {
                "{" => {
                    at += 1;
                    while !matches!(self.text(at), "}" | "") {
                        at = self.tree(at, &path, is_public);
                        if self.text(at) == "," {
                            at += 1;
                        }
                    }
                    return at + 1;
                }
                "*" => {
                    self.push(path, None, is_public, line);
                    return at + 1;
                }
                name => path.push(name.to_owned()),
            }
            at += 1;
            if self.text(at) != "::" {
                break;
            }
            at += 1;
        }
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let mut bound = path.last().cloned();
        if self.text(at) == "as" {
            bound = Some(self.text(at + 1).to_owned());
            at += 2;
        }
        self.push(path, bound, is_public, line);
        at
    }

    fn push(&mut self, path: Vec<String>, bound: Option<String>, is_public: bool, line: usize) {
        self.written.push(Written {
            module: self.module.clone(),
            path,
            bound,
            is_public,
            is_of_tests: self.is_of_tests(),
            line,
        });
    }
}

/// The path from the root of this crate or of another one; `None` for what the file made itself.
fn rooted(
    path: &[String],
    module: &[String],
    known: &Known<'_>,
    bound: &BTreeMap<&str, &Written>,
    is_use: bool,
    depth: usize,
) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    let from = |root: &[String], rest: &[String]| {
        let mut whole = vec!["crate".to_owned()];
        whole.extend(root.iter().cloned());
        whole.extend(rest.iter().cloned());
        whole
    };
    match first.as_str() {
        "crate" | OWN => return Some(from(&[], rest)),
        "self" | "super" => {
            let mut above = module.to_vec();
            let mut rest = path;
            while let Some((step, behind)) =
                rest.split_first().filter(|(step, _)| matches!(step.as_str(), "self" | "super"))
            {
                if step == "super" {
                    above.pop();
                }
                rest = behind;
            }
            return Some(from(&above, rest));
        }
        "" => return Some(rest.to_vec()),
        _ => {}
    }
    // A name that a `use` of this file bound; two that name each other in turn end here.
    if let Some(written) = bound.get(first.as_str()).filter(|written| depth < 4 && written.path != path) {
        let mut whole = written.path.clone();
        whole.extend(rest.iter().cloned());
        return rooted(&whole, &written.module, known, bound, true, depth + 1);
    }
    let child = module.iter().chain([first]).cloned().collect::<Vec<_>>().join("::");
    if known.modules.contains(&child) {
        return Some(from(module, path));
    }
    let is_type = first.starts_with(|c: char| c.is_uppercase());
    let is_crate = STANDARD.contains(&first.as_str()) || known.crates.contains(first) || (is_use && !is_type);
    is_crate.then(|| {
        let standard = STANDARD.contains(&first.as_str());
        let first = if standard { "std".to_owned() } else { first.clone() };
        [first].into_iter().chain(rest.iter().cloned()).collect()
    })
}
