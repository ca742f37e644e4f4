//! Tells the program which commit it is built from: the first of
//!
//! ```text
//! TAILSPAN_REVISION   of the environment, if it is not empty: a build without the repository, as in an image
//! git                 of a release build, if the repository is that of this package
//! unknown
//! ```
//!
//! A debug build asks nobody: after each commit it would be made anew.
#![allow(clippy::print_stdout, reason = "so a build script answers")]

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    // Named, so that a change of any other file does not run this again.
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=TAILSPAN_REVISION");
    let given = std::env::var("TAILSPAN_REVISION").ok().filter(|given| !given.trim().is_empty());
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let revision = given.or_else(|| if is_release { of_git() } else { None });
    println!("cargo:rustc-env=TAILSPAN_REVISION={}", revision.as_deref().map_or("unknown", str::trim));
}

/// The commit of the repository whose top this package is; `None` without git or without such a repository.
fn of_git() -> Option<String> {
    let package = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR")?);
    // A copy of the sources within somebody else's repository has that one's commits.
    let top = git(&package, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != package.canonicalize().ok()? {
        return None;
    }
    // A commit changes the second, a checkout both.
    for name in ["HEAD", "logs/HEAD"] {
        let path = package.join(git(&package, &["rev-parse", "--git-path", name])?);
        if path.is_file() {
            println!("cargo:rerun-if-changed={}", path.display());
        }
    }
    git(&package, &["rev-parse", "--short=12", "HEAD"])
}

/// What git prints; `None` if it is not there or refuses.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").current_dir(folder).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
