//! A configuration file and environment variables. Shared with `fuzz/`.
//!
//! Lines of an input that begin with `$` are variables (`$NAME=value`); all others are the file.

use std::error::Error;
use std::fs;
use std::sync::OnceLock;

use tailspan::config::{Config, Env, Flags};
use tempfile::TempDir;

/// A name that nobody has.
const STRANGE: &str = "zz_strange";

/// Panics if a configuration is neither valid nor refused in words, or if a key that nobody knows is not named.
pub(crate) fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (variables, lines): (Vec<&str>, Vec<&str>) = text.split('\n').partition(|line| line.starts_with('$'));
    let variables: Vec<(&str, &str)> = variables.iter().filter_map(|line| line[1..].split_once('=')).collect();
    // The system cannot hold other ones.
    let variables: Vec<(&str, &str)> = variables.into_iter().filter(|(name, _)| !name.is_empty()).collect();
    let file = lines.join("\n");
    let first = resolve(&file, &variables);
    assert!(first == resolve(&file, &variables), "not the same twice");
    if first.is_ok() {
        let error = resolve(&format!("{STRANGE} = 1\n{file}"), &variables).unwrap_err();
        assert!(error.contains(STRANGE) && error.contains("line 1"), "the unknown key is not named: {error}");
        let strange = [&variables[..], &[("TAILSPAN_ZZ_STRANGE", "1")]].concat();
        let error = resolve(&file, &strange).unwrap_err();
        assert!(error.contains("TAILSPAN_ZZ_STRANGE"), "the unknown variable is not named: {error}");
    }
}

/// What is set, or the chain of causes.
fn resolve(file: &str, variables: &[(&str, &str)]) -> Result<String, String> {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let memory = std::path::Path::new("/dev/shm");
    let folder = FOLDER.get_or_init(|| if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap());
    let path = folder.path().join(format!("{:?}.toml", std::thread::current().id()));
    fs::write(&path, file).unwrap();
    let flags = Flags { config: Some(path), ..Flags::default() };
    let env: Env = variables.iter().copied().collect();
    match Config::resolve(&flags, &env) {
        Ok(config) => Ok(format!("{config:?}")),
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(source) = cause {
                text += &format!(": {source}");
                cause = source.source();
            }
            assert!(!text.is_empty() && !text.contains('\n'), "an error of several lines: {text:?}");
            Err(text)
        }
    }
}
