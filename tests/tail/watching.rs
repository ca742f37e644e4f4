//! Where to look and when to look again: session roots, hints, the watcher.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tailspan::tail::hints::PATHS_MAX;
use tailspan::tail::{Hints, RootEnv, Target, Watcher, existing, resolve_scan_target, session_roots};
use tempfile::TempDir;

use crate::{SMALL, Tail, append, put, scan_all};

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
    assert_eq!(resolve_scan_target(folder.path()), Target::Root(projects.clone()));
    assert_eq!(resolve_scan_target(&projects), Target::Root(projects.clone()));
    assert_eq!(resolve_scan_target(&session), Target::File(session.clone()));
    assert_eq!(resolve_scan_target(&folder.path().join("notes.txt")), Target::NotFound);
    assert_eq!(resolve_scan_target(&folder.path().join("nowhere")), Target::NotFound);
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

#[test]
fn an_append_makes_a_hint_and_reading_makes_none() {
    let mut tail = Tail::new(SMALL, "one\n");
    let root = tail.folder.path().join("linked-root");
    symlink(tail.folder.path(), &root).unwrap();
    let hints = Hints::default();
    let watcher = Watcher::start(std::slice::from_ref(&root), hints.clone());
    assert!(!watcher.is_degraded());
    assert_eq!(hints.take(), (BTreeSet::new(), true), "the first scan is asked for");
    assert_eq!(tail.text().0, "one\n");
    append(&tail.path, "two\n");
    wait_for(&hints, &root.join("slug/session.jsonl"));
    assert_eq!(tail.text().0, "two\n");
    // Whatever reading caused comes before this.
    fs::create_dir(root.join("slug-2")).unwrap();
    let others = wait_for(&hints, &root.join("slug-2"));
    assert!(!others.contains(&root.join("slug/session.jsonl")), "{others:?}");
}

#[test]
fn a_root_may_come_and_go_and_come_again() {
    let folder = TempDir::new().unwrap();
    let roots = [folder.path().join("projects")];
    let hints = Hints::default();
    let mut watcher = Watcher::start(&roots, hints.clone());
    assert_eq!(hints.take(), (BTreeSet::new(), false), "there is nothing to watch");
    for round in 0..6 {
        fs::create_dir(&roots[0]).unwrap();
        // Written right after its folder was made, before any watch: only the scan can find it.
        let path = roots[0].join("slug/s.jsonl");
        put(&path, "{}\n");
        watch_again(&mut watcher, &roots, &hints);
        assert_eq!(scan_all(&roots[0]).len(), 1);
        append(&path, "{}\n");
        wait_for(&hints, &path);
        fs::remove_dir_all(&roots[0]).unwrap();
        if round % 2 == 0 {
            watcher.ensure(&roots);
        }
        assert!(!watcher.is_degraded());
    }
}

/// Calls `ensure` until it has set a new watch and asks for a scan.
fn watch_again(watcher: &mut Watcher, roots: &[PathBuf], hints: &Hints) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        watcher.ensure(roots);
        if hints.take().1 {
            return;
        }
        assert!(Instant::now() < deadline, "no watch on a new root");
        // The event of the deletion may have come before or come now.
        hints.wait(Duration::from_millis(20));
    }
}
