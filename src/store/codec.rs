//! Values as bytes: a format byte, the number of further parts, postcard.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sled::Tree;
use xxhash_rust::xxh3::xxh3_64;

use super::batch::Writes;
use super::error::StoreError;
use super::keys::{self, PART_BYTES_MAX};

/// How a value begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowFormat {
    /// Up to layout 4: one byte says how many further parts there are.
    Narrow,
    /// Two bytes do.
    Wide,
}

/// The format of what is written.
const FORMAT: u8 = 2;

/// Bytes before the payload of what is written.
const HEADER: usize = 3;

/// Bytes of the hash that follows the header of a value with further parts.
const HASH: usize = 8;

/// How often a value is read again whose parts do not belong together: a commit came between reading two of them.
const TRIES: usize = 100;

/// Adds a value to a batch, in as many parts as it needs. Returns its bytes.
pub(super) fn put<T: Serialize>(batch: &mut Writes, tree: &Tree, key: Vec<u8>, value: &T) -> Result<usize, StoreError> {
    put_with(batch, tree, key, value, &mut Vec::new())
}

/// [`put`] of many values: `scratch` holds each while it is encoded, and so is grown once.
pub(super) fn put_with<T: Serialize>(
    batch: &mut Writes,
    tree: &Tree,
    key: Vec<u8>,
    value: &T,
    scratch: &mut Vec<u8>,
) -> Result<usize, StoreError> {
    let mut encoded = std::mem::take(scratch);
    encoded.clear();
    encoded.extend_from_slice(&[FORMAT, 0, 0]);
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
fn put_parts(batch: &mut Writes, key: Vec<u8>, payload: &[u8], had: u16) -> Result<(), StoreError> {
    let mut parts = payload.chunks(PART_BYTES_MAX);
    let first = parts.next().unwrap_or_default();
    let further = u16::try_from(parts.len()).map_err(|_| StoreError::TooLarge { bytes: payload.len() })?;
    for number in further..had {
        batch.remove(keys::part(&key, number));
    }
    for (number, part) in (0..further).zip(parts) {
        batch.insert(keys::part(&key, number), part);
    }
    // The parts are read one by one, while the next commit may write others.
    let hash = xxh3_64(payload).to_be_bytes();
    let [high, low] = further.to_be_bytes();
    batch.insert(key, [&[FORMAT, high, low], hash.as_slice(), first].concat());
    Ok(())
}

/// Adds the value of another database to a batch as it is, in the form of today. Returns its bytes.
pub(super) fn put_again(batch: &mut Writes, from: &Tree, key: &[u8], value: &[u8]) -> Result<usize, StoreError> {
    let damaged = || StoreError::Damaged { key: key.to_vec() };
    let (_, further, first) = header(value).ok_or_else(damaged)?;
    let payload = if further == 0 { first.to_vec() } else { whole(from, key, value)?.ok_or_else(damaged)? };
    if payload.len() <= PART_BYTES_MAX {
        batch.insert(key, [&[FORMAT, 0, 0], payload.as_slice()].concat());
    } else {
        put_parts(batch, key.to_vec(), &payload, 0)?;
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

/// The format of a value, how many further parts it has, and what follows.
fn header(value: &[u8]) -> Option<(RowFormat, u16, &[u8])> {
    match value {
        [1, further, rest @ ..] => Some((RowFormat::Narrow, u16::from(*further), rest)),
        [FORMAT, high, low, rest @ ..] => Some((RowFormat::Wide, u16::from_be_bytes([*high, *low]), rest)),
        _ => None,
    }
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

/// All parts of a value; `None` if they do not belong together.
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
