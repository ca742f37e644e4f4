//! Encodes values as bytes: a format byte, the number of further parts, and the value in postcard.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sled::Tree;
use xxhash_rust::xxh3::xxh3_64;

use super::batch::Writes;
use super::error::StoreError;
use super::keys::{self, PART_BYTES_MAX};

/// The form of the header of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowFormat {
    /// Up to layout 4: one byte for the number of further parts.
    Narrow,
    /// Two bytes for the number of further parts.
    Wide,
}

/// The format byte of values that are written.
const FORMAT: u8 = 2;

/// Length of the header of values that are written, in bytes.
const HEADER: usize = 3;

/// Length in bytes of the hash that follows the header of a value with further parts.
const HASH: usize = 8;

/// How often a value is read again if its parts do not belong together, because a commit came between reading them.
const TRIES: usize = 100;

/// Adds a value to a batch, in as many parts as it needs. Returns the length of the encoded value in bytes.
pub(super) fn put<T: Serialize>(batch: &mut Writes, tree: &Tree, key: Vec<u8>, value: &T) -> Result<usize, StoreError> {
    put_with(batch, tree, key, value, &mut Vec::new())
}

/// [`put`] for many values: `scratch` is memory for encoding, which is used again for each value.
pub(super) fn put_with<T: Serialize>(
    batch: &mut Writes,
    tree: &Tree,
    key: Vec<u8>,
    value: &T,
    scratch: &mut Vec<u8>,
) -> Result<usize, StoreError> {
    put_beside(batch, tree, key, (value, None), scratch)
}

/// [`put_with`] for a value that mostly grows at the end of a list in it: if it is long, those of its parts that are stored as
/// they are now are not written again. Nothing else in the batch may write or remove the key.
pub(super) fn put_grown<T: Serialize>(
    batch: &mut Writes,
    tree: &Tree,
    key: Vec<u8>,
    value: &T,
    scratch: &mut Vec<u8>,
) -> Result<usize, StoreError> {
    put_beside(batch, tree, key, (value, Some(tree)), scratch)
}

/// Adds a value to a batch. If it is long, those of its parts that `stored` has already are left out.
fn put_beside<T: Serialize>(
    batch: &mut Writes,
    tree: &Tree,
    key: Vec<u8>,
    (value, stored): (&T, Option<&Tree>),
    scratch: &mut Vec<u8>,
) -> Result<usize, StoreError> {
    let mut encoded = std::mem::take(scratch);
    encoded.clear();
    encoded.extend_from_slice(&[FORMAT, 0, 0]);
    let encoded = postcard::to_extend(value, encoded).map_err(StoreError::Encode)?;
    let payload = encoded.get(HEADER..).unwrap_or_default();
    let bytes = payload.len();
    // Further parts that the new value does not need are removed. The old value is looked at only if the new one is
    // longer than half a part: a value is expected not to shrink by more than that at once.
    let had = if bytes > PART_BYTES_MAX / 2 { further_parts(tree, &key)? } else { 0 };
    if bytes <= PART_BYTES_MAX {
        for number in 0..had {
            batch.remove(keys::part(&key, number));
        }
        batch.insert(key, encoded.as_slice());
    } else {
        put_parts(batch, key, payload, (had, stored))?;
    }
    *scratch = encoded;
    Ok(bytes)
}

/// Adds an encoded value that needs further parts; `had` is how many the old value had. Those that `stored` has already are
/// left out.
fn put_parts(
    batch: &mut Writes,
    key: Vec<u8>,
    payload: &[u8],
    (had, stored): (u16, Option<&Tree>),
) -> Result<(), StoreError> {
    let mut parts = payload.chunks(PART_BYTES_MAX);
    let first = parts.next().unwrap_or_default();
    let further = u16::try_from(parts.len()).map_err(|_| StoreError::TooLarge { bytes: payload.len() })?;
    for number in further..had {
        batch.remove(keys::part(&key, number));
    }
    let is_stored = |key: &[u8], value: &[u8]| match stored.filter(|_| had > 0) {
        Some(stored) => Ok::<_, StoreError>(stored.get(key)?.is_some_and(|known| known == *value)),
        None => Ok(false),
    };
    for (number, part) in (0..further).zip(parts) {
        let key = keys::part(&key, number);
        if !is_stored(&key, part)? {
            batch.insert(key, part);
        }
    }
    // The hash tells a reader whether all parts are of one commit: it reads them one by one, and a commit may come
    // between.
    let hash = xxh3_64(payload).to_be_bytes();
    let [high, low] = further.to_be_bytes();
    let value = [&[FORMAT, high, low], hash.as_slice(), first].concat();
    if !is_stored(&key, &value)? {
        batch.insert(key, value);
    }
    Ok(())
}

/// Adds the value of another database to a batch, unchanged but in the current format. Returns its length in bytes.
pub(super) fn put_again(batch: &mut Writes, from: &Tree, key: &[u8], value: &[u8]) -> Result<usize, StoreError> {
    let damaged = || StoreError::Damaged { key: key.to_vec() };
    let (_, further, first) = header(value).ok_or_else(damaged)?;
    let payload = if further == 0 { first.to_vec() } else { whole(from, key, value)?.ok_or_else(damaged)? };
    if payload.len() <= PART_BYTES_MAX {
        batch.insert(key, [&[FORMAT, 0, 0], payload.as_slice()].concat());
    } else {
        put_parts(batch, key.to_vec(), &payload, (0, None))?;
    }
    Ok(payload.len())
}

/// Adds the removal of a value to a batch, with all of its parts.
pub(super) fn remove(batch: &mut Writes, tree: &Tree, key: Vec<u8>) -> Result<(), StoreError> {
    for number in 0..further_parts(tree, &key)? {
        batch.remove(keys::part(&key, number));
    }
    batch.remove(key);
    Ok(())
}

fn further_parts(tree: &Tree, key: &[u8]) -> Result<u16, StoreError> {
    let Some(value) = tree.get(key)? else { return Ok(0) };
    Ok(header(&value).map_or(0, |(_, further, _)| further))
}

/// The format of a value, the number of its further parts, and the bytes behind the header.
fn header(value: &[u8]) -> Option<(RowFormat, u16, &[u8])> {
    match value {
        [1, further, rest @ ..] => Some((RowFormat::Narrow, u16::from(*further), rest)),
        [FORMAT, high, low, rest @ ..] => Some((RowFormat::Wide, u16::from_be_bytes([*high, *low]), rest)),
        _ => None,
    }
}

/// Reads the value of a key; `None` if there is none.
pub(super) fn get<T: DeserializeOwned>(tree: &Tree, key: &[u8]) -> Result<Option<T>, StoreError> {
    match tree.get(key)? {
        Some(value) => decode(tree, key, &value).map(Some),
        None => Ok(None),
    }
}

/// Decodes the value of a key that a scan found. If it has parts and was written again since, the new value is read.
pub(super) fn decode<T: DeserializeOwned>(tree: &Tree, key: &[u8], value: &[u8]) -> Result<T, StoreError> {
    let damaged = || StoreError::Damaged { key: key.to_vec() };
    let (_, further, payload) = header(value).ok_or_else(damaged)?;
    if further == 0 {
        return postcard::from_bytes(payload).map_err(|_| damaged());
    }
    let mut payload = whole(tree, key, value)?;
    for _ in 0..TRIES {
        if let Some(payload) = payload {
            return postcard::from_bytes(&payload).map_err(|_| damaged());
        }
        let value = tree.get(key)?.ok_or_else(damaged)?;
        match header(&value) {
            Some((_, 0, _)) => return decode(tree, key, &value),
            _ => payload = whole(tree, key, &value)?,
        }
    }
    Err(damaged())
}

/// The encoded value from all of its parts; `None` if the parts are not of one commit.
fn whole(tree: &Tree, key: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let Some((format, further, rest)) = header(value) else { return Ok(None) };
    let Some((hash, first)) = rest.split_first_chunk::<HASH>() else { return Ok(None) };
    let mut payload = first.to_vec();
    for number in 0..further {
        let part = match format {
            RowFormat::Narrow => keys::narrow_part(key, number),
            RowFormat::Wide => keys::part(key, number),
        };
        let Some(part) = tree.get(part)? else { return Ok(None) };
        payload.extend_from_slice(&part);
    }
    Ok((xxh3_64(&payload).to_be_bytes() == *hash).then_some(payload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::database::database;

    /// Writes a value, and returns how many bytes were written.
    fn write(tree: &Tree, value: &[u64]) -> usize {
        let mut batch = Writes::default();
        put_grown(&mut batch, tree, vec![b'x'], &(7u8, value, "behind"), &mut Vec::new()).unwrap();
        let bytes = batch.bytes();
        batch.apply_to_copy(tree).unwrap();
        let read: Option<(u8, Vec<u64>, String)> = get(tree, b"x").unwrap();
        assert_eq!(read, Some((7, value.to_vec(), "behind".to_owned())));
        bytes
    }

    #[test]
    fn a_list_that_grows_is_written_where_it_grows() {
        let folder = tempfile::tempdir().unwrap();
        let tree = &*database(&folder.path().join("db")).unwrap();
        let list: Vec<u64> = (0..20_000).map(|number| u64::MAX - number).collect();
        assert!(write(tree, &list[..10_000]) > 100_000);
        for end in 10_001..10_800 {
            // The beginning, with the hash of all, and the end, which may need another part.
            assert!(write(tree, &list[..end]) < 3 * PART_BYTES_MAX + 500, "{end}");
        }
        assert_eq!(write(tree, &list[..10_799]), 0);
        // Whatever it becomes, it is read as it is.
        for value in [&list[500..], &list[500..9_000], &list[..3], &[], &list[..10_000], &list] {
            write(tree, value);
        }
    }
}
