//! The commit that a build names: `build.rs`, run as cargo runs it, in repositories made for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs git as nobody in particular.
fn git(folder: &Path, arguments: &[&str]) -> Option<Output> {
    let settings = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false"];
    Command::new("git").current_dir(folder).args(settings).args(arguments).output().ok()
}

/// `build.rs` as a program; `None` where git or rustc is missing.
fn build_script(folder: &Path) -> Option<PathBuf> {
    let program = folder.join("build-script");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let made = Command::new(rustc).args(["--edition=2024", "-o"]).args([&program, &source]).output();
    let (Ok(made), Some(_)) = (made, git(folder, &["--version"])) else {
        assert!(std::env::var_os("CI").is_none(), "CI needs git and rustc");
        println!("skipped: git or rustc is not installed");
        return None;
    };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Some(program)
}

/// What it says of a package in `folder`: the revision, and whether a commit runs it again.
fn said(program: &Path, folder: &Path, profile: &str, more: &[(&str, &str)]) -> (String, bool) {
    let mut command = Command::new(program);
    command.env_remove("TAILSPAN_REVISION").env("PROFILE", profile).env("CARGO_MANIFEST_DIR", folder);
    let output = command.envs(more.iter().copied()).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "a build never fails for want of a revision: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let revision = text.lines().find_map(|line| line.strip_prefix("cargo:rustc-env=TAILSPAN_REVISION="));
    (revision.unwrap().to_owned(), text.contains("logs/HEAD"))
}

#[test]
fn a_release_names_the_commit_that_it_is_built_from() {
    let world = tempfile::tempdir().unwrap();
    let Some(program) = build_script(world.path()) else { return };
    let clone = world.path().join("clone");
    fs::create_dir(&clone).unwrap();
    let unknown = ("unknown".to_owned(), false);
    assert_eq!(said(&program, &clone, "release", &[]), unknown, "no repository");
    git(&clone, &["init", "--quiet"]).unwrap();
    assert_eq!(said(&program, &clone, "release", &[]).0, "unknown", "no commit");
    assert!(git(&clone, &["commit", "--quiet", "--allow-empty", "-m", "First."]).unwrap().status.success());
    let head = String::from_utf8(git(&clone, &["rev-parse", "HEAD"]).unwrap().stdout).unwrap();
    let (revision, again) = said(&program, &clone, "release", &[]);
    assert!(revision.len() >= 12 && head.starts_with(&revision), "{revision} of {head}");
    assert!(again, "the next commit is another revision");
    // An argument of a Dockerfile that nobody gave is an empty variable.
    assert_eq!(said(&program, &clone, "release", &[("TAILSPAN_REVISION", "")]).0, revision);
    assert_eq!(said(&program, &clone, "release", &[("TAILSPAN_REVISION", "v1\n")]).0, "v1", "what is given counts");
    assert_eq!(said(&program, &clone, "debug", &[]), unknown, "a debug build is not made anew after a commit");
    assert_eq!(said(&program, &clone, "release", &[("PATH", "")]), unknown, "without git");
    let inside = clone.join("vendor");
    fs::create_dir(&inside).unwrap();
    assert_eq!(said(&program, &inside, "release", &[]), unknown, "the commit of another repository");
}
