//! What is kept of the path of a file that a tool call names: a hash and the extension, nothing else that can be read.

use xxhash_rust::xxh3::xxh3_64;

/// Longest extension that is kept, in bytes. Endings of files that people write are shorter (`markdown` has 8), and one
/// that is longer may be a part of a name.
const EXTENSION_BYTES_MAX: usize = 8;

/// A file by its path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct NamedFile {
    /// xxh3-64 of the path as text; 0 without one.
    pub(super) hash: u64,
    /// The extension, filled up with zeros.
    extension: [u8; EXTENSION_BYTES_MAX],
}

impl NamedFile {
    /// The file of a path, which is written as any system writes it.
    pub(super) fn of(path: &str) -> Self {
        if path.is_empty() {
            return Self::default();
        }
        let mut file = Self { hash: xxh3_64(path.as_bytes()), extension: [0; EXTENSION_BYTES_MAX] };
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
        // What begins with its only dot, as `.gitignore`, has no extension.
        let told = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, extension)| extension);
        let is_plain =
            |told: &&str| told.len() <= EXTENSION_BYTES_MAX && told.bytes().all(|byte| byte.is_ascii_alphanumeric());
        for (to, from) in file.extension.iter_mut().zip(told.filter(is_plain).unwrap_or_default().bytes()) {
            *to = from.to_ascii_lowercase();
        }
        file
    }

    /// The extension: 1 to 8 lower-case letters or digits of ASCII; `None` if it has none, or another one.
    pub(super) fn extension(&self) -> Option<&str> {
        let end = self.extension.iter().position(|byte| *byte == 0).unwrap_or(EXTENSION_BYTES_MAX);
        let told = std::str::from_utf8(self.extension.get(..end)?).ok()?;
        Some(told).filter(|told| !told.is_empty())
    }
}
