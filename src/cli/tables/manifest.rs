//! What an export has written into a folder, so that the next one knows what has changed without reading it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// A file as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) bytes: u64,
    /// xxh3-128 of its bytes, in hexadecimal digits.
    pub(super) hash: String,
}

/// Every file that an export of one host has written, by its path below the folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    /// The state of the sidecar that everything was written from, if a sidecar was asked.
    pub(super) tag: Option<String>,
    pub(super) files: BTreeMap<String, Written>,
}

impl Manifest {
    /// Reads a manifest. One that is missing, or is none, is empty: then everything is written again.
    pub(super) fn read(path: &Path) -> Self {
        let text = fs::read(path).unwrap_or_default();
        let told: Value = serde_json::from_slice(&text).unwrap_or_default();
        let file = |(path, file): (&String, &Value)| {
            let (bytes, hash) = (file.get("bytes")?.as_u64()?, file.get("xxh3")?.as_str()?.to_owned());
            Some((path.clone(), Written { bytes, hash }))
        };
        let files = told.get("files").and_then(Value::as_object).into_iter().flatten().filter_map(file).collect();
        Self { tag: told.get("tag").and_then(Value::as_str).map(str::to_owned), files }
    }

    /// Writes it in the place of an older one.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let files: BTreeMap<&String, Value> =
            self.files.iter().map(|(path, file)| (path, json!({"bytes": file.bytes, "xxh3": file.hash}))).collect();
        let text = serde_json::to_string_pretty(&json!({"tag": self.tag, "files": files})).map_err(io::Error::other)?;
        let unfinished: PathBuf = path.with_extension("unfinished");
        fs::write(&unfinished, text + "\n")?;
        fs::rename(&unfinished, path)
    }

    /// Whether a file is still as it was written, by its length.
    pub(super) fn has(&self, folder: &Path, path: &str, now: &Written) -> bool {
        self.files.get(path) == Some(now) && is_there(folder, path, now)
    }

    /// Whether all files are still there, by their lengths.
    pub(super) fn is_whole(&self, folder: &Path) -> bool {
        self.files.iter().all(|(path, file)| is_there(folder, path, file))
    }
}

fn is_there(folder: &Path, path: &str, file: &Written) -> bool {
    fs::metadata(folder.join(path)).is_ok_and(|found| found.is_file() && found.len() == file.bytes)
}
