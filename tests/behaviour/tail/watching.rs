//! Where to look and when to look again: session roots, hints, the watcher.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tailspan::tail::hints::PATHS_MAX;
use tailspan::tail::{
    Folder, FolderProblem, FoundFile, Hints, Observer, RootEnv, ScanTarget, Watcher, existing, resolve_scan_target,
    scan, scan_under, session_roots,
};
use tempfile::TempDir;

use super::{SMALL, Tail, append, put};

const DEADLINE: Duration = Duration::from_secs(20);

#[test]
fn roots_come_from_the_first_place_that_names_any() {
    type Names = &'static [&'static str];
    let paths = |list: Names| list.iter().map(PathBuf::from).collect::<Vec<_>>();
    let env = |list: Option<&str>, home: Option<&str>| RootEnv {
        claude_config_dir: list.map(Into::into),
        home: home.map(Into::into),
    };
    const HOME: Names = &["/h/.claude/projects", "/h/.config/claude/projects"];
    let cases: [(Names, Names, RootEnv, Names); 8] = [
        (&["/f", "/g", "/f"], &["/c"], env(Some("/e"), Some("/h")), &["/f", "/g"]),
        (&[], &["/c"], env(Some("/e"), Some("/h")), &["/c"]),
        (&[], &[], env(Some("/e"), Some("/h")), &["/e/projects"]),
        (&[], &[], env(Some("/e, /d/,,/e"), None), &["/e/projects", "/d/projects"]),
        (&[], &[], env(Some(""), Some("/h")), HOME),
        (&[], &[], env(Some(" , "), Some("/h")), HOME),
        (&[], &[], env(None, Some("/h")), HOME),
        (&[], &[], env(None, None), &[]),
    ];
    for (flags, configured, env, expected) in cases {
        assert_eq!(session_roots(&paths(flags), &paths(configured), &env), paths(expected), "{env:?}");
    }
}

#[test]
fn a_scan_target_is_a_projects_folder_a_configuration_folder_or_a_session() {
    let folder = TempDir::new().unwrap();
    let (projects, session) = (folder.path().join("projects"), folder.path().join("projects/slug/s.jsonl"));
    put(&session, "{}\n");
    put(&folder.path().join("notes.txt"), "x");
    assert_eq!(resolve_scan_target(folder.path()), ScanTarget::Root(projects.clone()));
    assert_eq!(resolve_scan_target(&projects), ScanTarget::Root(projects.clone()));
    assert_eq!(resolve_scan_target(&session), ScanTarget::File(session.clone()));
    assert_eq!(resolve_scan_target(&folder.path().join("notes.txt")), ScanTarget::NotFound);
    assert_eq!(resolve_scan_target(&folder.path().join("nowhere")), ScanTarget::NotFound);
    symlink(&projects, folder.path().join("same")).unwrap();
    let roots = ["same", "projects", "nowhere", "notes.txt"].map(|name| folder.path().join(name));
    assert_eq!(existing(&roots), [fs::canonicalize(&projects).unwrap()]);
}

#[test]
fn hints_are_coalesced_and_bounded() {
    let hints = Hints::default();
    assert!(!hints.wait(Duration::ZERO));
    hints.wake();
    assert!(hints.wait(DEADLINE) && !hints.wait(Duration::ZERO), "one call ends one wait");
    hints.add("/a".into());
    hints.add("/a".into());
    assert!(hints.wait(DEADLINE));
    assert_eq!(hints.take(), (BTreeSet::from(["/a".into()]), false));
    hints.flag_rescan();
    assert_eq!(hints.take(), (BTreeSet::new(), true));
    for number in 0..=PATHS_MAX {
        hints.add(format!("/{number}").into());
    }
    assert_eq!(hints.take(), (BTreeSet::new(), true));
    assert_eq!(hints.take(), (BTreeSet::new(), false));
}

/// Waits until a hint names `path`; all paths that were named.
fn wait_for(hints: &Hints, path: &Path) -> BTreeSet<PathBuf> {
    let deadline = Instant::now() + DEADLINE;
    let mut named = BTreeSet::new();
    loop {
        named.extend(hints.take().0);
        if named.contains(path) {
            return named;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(hints.wait(left), "no event for {}", path.display());
    }
}

/// A look at a root that sets watches on the way.
struct Look<'a>(&'a mut Watcher);

impl Observer for Look<'_> {
    fn problem(&mut self, problem: FolderProblem) {
        panic!("{problem}");
    }

    fn folders(&mut self, folders: &[Folder]) {
        self.0.watch(folders);
    }
}

fn look(watcher: &mut Watcher, root: &Path) -> Vec<FoundFile> {
    watcher.refresh(&existing(&[root.to_path_buf()]));
    scan(root, &mut Look(watcher))
}

#[test]
fn an_append_makes_a_hint_and_reading_makes_none() {
    let mut tail = Tail::new(SMALL, "one\n");
    let root = tail.folder.path().join("linked-root");
    symlink(tail.folder.path(), &root).unwrap();
    let hints = Hints::default();
    let mut watcher = Watcher::new(hints.clone());
    look(&mut watcher, &root);
    assert!(!watcher.is_degraded());
    assert_eq!(hints.take(), (BTreeSet::new(), false), "nothing has changed");
    assert_eq!(tail.text().0, "one\n");
    append(&tail.path, "two\n");
    wait_for(&hints, &root.join("slug/session.jsonl"));
    assert_eq!(tail.text().0, "two\n");
    look(&mut watcher, &root);
    // Whatever reading and looking caused comes before this.
    fs::create_dir(root.join("slug-2")).unwrap();
    let others = wait_for(&hints, &root.join("slug-2"));
    assert_eq!(others, BTreeSet::from([root.join("slug-2")]));
}

#[test]
fn folders_without_session_files_are_not_watched() {
    let folder = TempDir::new().unwrap();
    let (root, elsewhere) = (folder.path().join("projects"), folder.path().join("elsewhere"));
    let notes = root.join("slug/0/tool-results/one.txt");
    for path in [&notes, &root.join("slug/memory/notes.md"), &root.join("slug/s.jsonl"), &elsewhere.join("s.jsonl")] {
        put(path, "{}\n");
    }
    symlink(&elsewhere, root.join("linked")).unwrap();
    let hints = Hints::default();
    let mut watcher = Watcher::new(hints.clone());
    assert_eq!(look(&mut watcher, &root).len(), 2);
    // The second look finds the link by the name that an event has.
    assert_eq!(scan_under(&root, &root.join("linked"), &mut Look(&mut watcher)).len(), 1);
    for path in [&notes, &root.join("slug/memory/notes.md"), &elsewhere.join("s.jsonl"), &root.join("slug/s.jsonl")] {
        append(path, "{}\n");
    }
    let path = root.join("slug/s.jsonl");
    assert_eq!(wait_for(&hints, &path), BTreeSet::from([path]));
}

#[test]
fn a_root_may_come_and_go_and_come_again() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("projects");
    let hints = Hints::default();
    let mut watcher = Watcher::new(hints.clone());
    assert!(look(&mut watcher, &root).is_empty());
    assert_eq!(hints.take(), (BTreeSet::new(), false), "there is nothing to watch");
    for round in 0..6 {
        fs::create_dir(&root).unwrap();
        let path = root.join("slug/s.jsonl");
        put(&path, "{}\n");
        append_until_hinted(&mut watcher, &hints, &root, &path);
        fs::remove_dir_all(&root).unwrap();
        if round % 2 == 0 {
            look(&mut watcher, &root);
        }
        assert!(!watcher.is_degraded());
    }
}

#[test]
fn a_folder_that_is_moved_is_watched_under_its_new_name_and_so_is_one_that_takes_its_place() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    let agent = |slug: &str| root.join(slug).join("0/subagents/agent-a.jsonl");
    let hints = Hints::default();
    let mut watcher = Watcher::new(hints.clone());
    put(&agent("slug-0"), "{}\n");
    append_until_hinted(&mut watcher, &hints, root, &agent("slug-0"));
    for round in 0..4 {
        let (old, new) = (format!("slug-{round}"), format!("slug-{}", round + 1));
        fs::rename(root.join(&old), root.join(&new)).unwrap();
        wait_for(&hints, &root.join(&new));
        put(&agent(&old), "{}\n");
        append_until_hinted(&mut watcher, &hints, root, &agent(&new));
        append_until_hinted(&mut watcher, &hints, root, &agent(&old));
        assert!(!watcher.is_degraded());
        fs::remove_dir_all(root.join(&old)).unwrap();
    }
}

#[test]
fn a_root_that_is_replaced_with_the_folder_above_it_is_watched() {
    let folder = TempDir::new().unwrap();
    let (above, root) = (folder.path().join("above"), folder.path().join("above/projects"));
    let path = root.join("slug/s.jsonl");
    put(&path, "{}\n");
    let hints = Hints::default();
    let mut watcher = Watcher::new(hints.clone());
    append_until_hinted(&mut watcher, &hints, &root, &path);
    for round in 0..4 {
        // Nobody is told: what is moved is not watched itself.
        fs::rename(&above, folder.path().join(format!("aside-{round}"))).unwrap();
        if round % 2 == 0 {
            look(&mut watcher, &root);
        }
        put(&path, "{}\n");
        look(&mut watcher, &root);
        append(&path, "{}\n");
        wait_for(&hints, &path);
        assert!(!watcher.is_degraded());
    }
}

#[test]
fn a_file_that_is_written_beside_and_renamed_asks_for_no_look_at_everything() {
    let folder = TempDir::new().unwrap();
    let (root, path) = (folder.path(), folder.path().join("slug/s.jsonl"));
    put(&path, "{}\n");
    let hints = Hints::default();
    let mut watcher = Watcher::new(hints.clone());
    look(&mut watcher, root);
    let beside = root.join("slug/s.jsonl.compact.tmp.1");
    put(&beside, "{}\n");
    for named in wait_for(&hints, &beside) {
        assert!(scan_under(root, &named, &mut Look(&mut watcher)).is_empty(), "{}", named.display());
    }
    fs::rename(&beside, &path).unwrap();
    let deadline = Instant::now() + DEADLINE;
    loop {
        let (named, is_look_asked_for) = hints.take();
        assert!(!is_look_asked_for);
        if named.contains(&path) {
            break;
        }
        assert!(hints.wait(deadline.saturating_duration_since(Instant::now())));
    }
}

/// Looks and appends until an event names the file. More than once only if the event of a deletion has not come yet.
fn append_until_hinted(watcher: &mut Watcher, hints: &Hints, root: &Path, path: &Path) {
    let deadline = Instant::now() + DEADLINE;
    while !hints.take().0.contains(path) {
        assert!(Instant::now() < deadline, "no event for {}", path.display());
        look(watcher, root);
        append(path, "{}\n");
        hints.wait(Duration::from_millis(20));
    }
}
