//! The paths of all files, stored compactly: a state may know tens of thousands of files, most of them deleted.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_64;

use crate::transcript::chunk::FileNumber;
use crate::transcript::hash::ById;

/// Path of each file by its number, and back. A folder is stored once for all files in it.
#[derive(Debug, Default)]
pub struct Paths {
    folders: Vec<Box<[u8]>>,
    /// Names of all files, one behind the other.
    names: Vec<u8>,
    /// Where the path of each file is, by file number.
    files: Vec<PathPlace>,
    /// File number by the hash of the path, and in `folder_numbers` folder by the hash of the folder. If a hash is
    /// taken, the next free number is used as the hash.
    numbers: HashMap<u64, u32, ById>,
    folder_numbers: HashMap<u64, u32, ById>,
}

/// Where the parts of a path are.
#[derive(Debug, Clone, Copy)]
struct PathPlace {
    /// Position in [`Paths::folders`]; [`NO_FOLDER`] for a number without a file.
    folder: u32,
    from: u32,
    to: u32,
}

const NO_FOLDER: u32 = u32::MAX;

impl Paths {
    /// How many numbers were given out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// True if no number was given out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Gives a path, which must not have a number yet, the next number.
    pub fn push(&mut self, path: &[u8]) -> FileNumber {
        let number = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        let (folder, name) = split(path);
        let folder = self.folder(folder);
        let from = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.extend_from_slice(name);
        let to = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.files.push(PathPlace { folder, from, to });
        let mut hash = xxh3_64(path);
        while self.numbers.contains_key(&hash) {
            hash = hash.wrapping_add(1);
        }
        self.numbers.insert(hash, number);
        FileNumber(number)
    }

    /// Skips the numbers below `number` that were not given out yet: they stay without a file.
    pub fn skip_to(&mut self, number: FileNumber) {
        let length = usize::try_from(number.0).unwrap_or(usize::MAX);
        if length > self.files.len() {
            self.files.resize(length, PathPlace { folder: NO_FOLDER, from: 0, to: 0 });
        }
    }

    fn folder(&mut self, folder: &[u8]) -> u32 {
        let mut hash = xxh3_64(folder);
        while let Some(number) = self.folder_numbers.get(&hash) {
            if self.folder_at(*number) == folder {
                return *number;
            }
            hash = hash.wrapping_add(1);
        }
        let number = u32::try_from(self.folders.len()).unwrap_or(NO_FOLDER);
        self.folders.push(folder.into());
        self.folder_numbers.insert(hash, number);
        number
    }

    /// The number of a path; `None` if it has none.
    #[must_use]
    pub fn number(&self, path: &[u8]) -> Option<FileNumber> {
        let (folder, name) = split(path);
        let mut hash = xxh3_64(path);
        while let Some(number) = self.numbers.get(&hash) {
            if self.parts(FileNumber(*number)) == (folder, name) {
                return Some(FileNumber(*number));
            }
            hash = hash.wrapping_add(1);
        }
        None
    }

    /// The path of a file; empty if the number has no file.
    #[must_use]
    pub fn path(&self, file: FileNumber) -> Vec<u8> {
        let (folder, name) = self.parts(file);
        [folder, name].concat()
    }

    /// The name of a file without its folder; bytes that are not UTF-8 become U+FFFD.
    #[must_use]
    pub fn name(&self, file: FileNumber) -> Cow<'_, str> {
        String::from_utf8_lossy(self.parts(file).1)
    }

    /// Orders two files by the bytes of their paths.
    #[must_use]
    pub fn order(&self, one: FileNumber, other: FileNumber) -> Ordering {
        let bytes = |(folder, name): (_, _)| -> std::iter::Chain<std::slice::Iter<'_, u8>, _> {
            <[u8]>::iter(folder).chain(<[u8]>::iter(name))
        };
        bytes(self.parts(one)).cmp(bytes(self.parts(other)))
    }

    /// The folder of a file, with the slash behind it, and the file's name.
    fn parts(&self, file: FileNumber) -> (&[u8], &[u8]) {
        let place = usize::try_from(file.0).ok().and_then(|number| self.files.get(number));
        let Some(place) = place.filter(|place| place.folder != NO_FOLDER) else { return (&[], &[]) };
        let at = |offset: u32| usize::try_from(offset).unwrap_or(usize::MAX);
        (self.folder_at(place.folder), self.names.get(at(place.from)..at(place.to)).unwrap_or_default())
    }

    fn folder_at(&self, number: u32) -> &[u8] {
        usize::try_from(number).ok().and_then(|number| self.folders.get(number)).map_or(&[], |folder| folder)
    }
}

/// A path as its folder, with the slash behind it, and its name.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let slash = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    path.split_at_checked(slash).unwrap_or((&[], path))
}
