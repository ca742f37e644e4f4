//! Values as bytes: a format byte, the number of further parts, postcard.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sled::{Batch, Tree};
use xxhash_rust::xxh3::xxh3_64;

use super::StoreError;
use super::keys::{self, PART_BYTES_MAX};

/// Format of values. Another one means another program wrote them.
const FORMAT: u8 = 1;

/// Bytes before the payload.
const HEADER: usize = 2;

/// Bytes of the hash that follows the header of a value with further parts.
const HASH: usize = 8;

/// How often a value is read again whose parts do not belong together: a commit came between reading two of them.
const TRIES: usize = 100;

/// Adds a value to a batch, in as many parts as it needs. Returns its bytes.
pub(super) fn put<T: Serialize>(batch: &mut Batch, tree: &Tree, key: Vec<u8>, value: &T) -> Result<usize, StoreError> {
    put_with(batch, tree, key, value, &mut Vec::new())
}

/// [`put`] of many values: `scratch` holds each while it is encoded, and so is grown once.
pub(super) fn put_with<T: Serialize>(
    batch: &mut Batch,
    tree: &Tree,
    key: Vec<u8>,
    value: &T,
    scratch: &mut Vec<u8>,
) -> Result<usize, StoreError> {
    let mut encoded = std::mem::take(scratch);
    encoded.clear();
    encoded.extend_from_slice(&[FORMAT, 0]);
    let encoded = postcard::to_extend(value, encoded).map_err(StoreError::Encode)?;
    let payload = encoded.get(HEADER..).unwrap_or_default();
    let bytes = payload.len();
    // A shorter value leaves no parts of the longer one behind. Only rows that had parts are looked at again.
    let had = if bytes > PART_BYTES_MAX / 2 { further_parts(tree, &key)? } else { 0 };
    if bytes <= PART_BYTES_MAX {
        for number in 0..had {
            batch.remove(keys::part(&key, number));
        }
        batch.insert(key, encoded.as_slice());
    } else {
        put_parts(batch, key, payload, had)?;
    }
    *scratch = encoded;
    Ok(bytes)
}

/// Adds an encoded value that needs further parts; `had` is how many it had.
fn put_parts(batch: &mut Batch, key: Vec<u8>, payload: &[u8], had: u8) -> Result<(), StoreError> {
    let mut parts = payload.chunks(PART_BYTES_MAX);
    let first = parts.next().unwrap_or_default();
    let further = u8::try_from(parts.len()).map_err(|_| StoreError::TooLarge { bytes: payload.len() })?;
    for number in further..had {
        batch.remove(keys::part(&key, number));
    }
    for (number, part) in parts.enumerate() {
        batch.insert(keys::part(&key, u8::try_from(number).unwrap_or(u8::MAX)), part);
    }
    // The parts are read one by one, while the next commit may write others.
    let hash = xxh3_64(payload).to_be_bytes();
    batch.insert(key, [&[FORMAT, further], hash.as_slice(), first].concat());
    Ok(())
}

/// Adds the removal of a value to a batch, with all of its parts.
pub(super) fn remove(batch: &mut Batch, tree: &Tree, key: Vec<u8>) -> Result<(), StoreError> {
    for number in 0..further_parts(tree, &key)? {
        batch.remove(keys::part(&key, number));
    }
    batch.remove(key);
    Ok(())
}

fn further_parts(tree: &Tree, key: &[u8]) -> Result<u8, StoreError> {
    Ok(tree.get(key)?.and_then(|value| value.get(1).copied()).unwrap_or(0))
}

/// Reads a value back.
pub(super) fn get<T: DeserializeOwned>(tree: &Tree, key: &[u8]) -> Result<Option<T>, StoreError> {
    match tree.get(key)? {
        Some(value) => decode(tree, key, &value).map(Some),
        None => Ok(None),
    }
}

/// Reads the value of a key that a scan found; one that was written anew since, as it is now.
pub(super) fn decode<T: DeserializeOwned>(tree: &Tree, key: &[u8], value: &[u8]) -> Result<T, StoreError> {
    let damaged = || StoreError::Damaged { key: key.to_vec() };
    let [format, further, ..] = value else { return Err(damaged()) };
    if *format != FORMAT {
        return Err(damaged());
    }
    if *further == 0 {
        return postcard::from_bytes(value.get(HEADER..).unwrap_or_default()).map_err(|_| damaged());
    }
    let mut payload = whole(tree, key, value)?;
    for _ in 0..TRIES {
        if let Some(payload) = payload {
            return postcard::from_bytes(&payload).map_err(|_| damaged());
        }
        let value = tree.get(key)?.ok_or_else(damaged)?;
        match value.get(1) {
            Some(0) => return decode(tree, key, &value),
            _ => payload = whole(tree, key, &value)?,
        }
    }
    Err(damaged())
}

/// All parts of a value; `None` if they do not belong together.
fn whole(tree: &Tree, key: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(([FORMAT, further], rest)) = value.split_first_chunk::<HEADER>() else { return Ok(None) };
    let Some((hash, first)) = rest.split_first_chunk::<HASH>() else { return Ok(None) };
    let mut payload = first.to_vec();
    for number in 0..*further {
        let Some(part) = tree.get(keys::part(key, number))? else { return Ok(None) };
        payload.extend_from_slice(&part);
    }
    Ok((xxh3_64(&payload).to_be_bytes() == *hash).then_some(payload))
}
