//! The form of compressed copies of session files, which can be read at any place.
//!
//! ```text
//! frames   zstd frames of 256 KiB each, with a checksum; none needs another
//! about    a skippable frame with what the copy says of itself
//! table    a skippable frame with the lengths of all of these: the last bytes of the file
//! ```
//!
//! This is the seekable format of zstd (`contrib/seekable_format` in its repository): `zstd -d` makes the session file of
//! it, because it passes over skippable frames.

use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::CParameter;

/// Bytes of a session file that one frame holds (256 KiB); the last frame may hold fewer. Reading one row decompresses one
/// or two frames, so they are small; with frames of 1 MiB the copies would be a twentieth smaller.
pub const FRAME_BYTES: usize = 256 << 10;

/// Most bytes of what a copy says of itself.
const ABOUT_BYTES_MAX: u32 = 1 << 20;

/// Most bytes of the table: that of a session file of a terabyte.
const TABLE_BYTES_MAX: u64 = 32 << 20;

/// How hard it is tried to make frames small. Higher ones take a multiple of the time for a few per cent.
const LEVEL: i32 = 3;

const ABOUT_MAGIC: u32 = 0x184D_2A5A;
const TABLE_MAGIC: u32 = 0x184D_2A5E;
const SEEKABLE_MAGIC: u32 = 0x8F92_EAB1;
const HEAD_BYTES: u64 = 8;
const ENTRY_BYTES: u64 = 8;
const FOOTER_BYTES: u64 = 9;

/// Writes a copy.
pub struct FrameWriter<W> {
    file: W,
    compressor: Compressor<'static>,
    table: Vec<u8>,
    frames: u32,
}

impl<W: Write> FrameWriter<W> {
    /// Begins a copy in an empty file. Fails if there is not enough memory to compress.
    pub fn new(file: W) -> io::Result<Self> {
        let mut compressor = Compressor::new(LEVEL)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        Ok(Self { file, compressor, table: Vec::new(), frames: 0 })
    }

    /// Writes the next frame: the next [`FRAME_BYTES`], or what is left. Fails if it cannot be written.
    pub fn frame(&mut self, bytes: &[u8]) -> io::Result<()> {
        let frame = self.compressor.compress(bytes)?;
        self.write(&frame, bytes.len())
    }

    /// Ends the copy with what it says of itself, and gives the file back. Fails if it cannot be written.
    pub fn finish(mut self, about: &[u8]) -> io::Result<W> {
        let frame = skippable(ABOUT_MAGIC, about)?;
        self.write(&frame, 0)?;
        let mut table = std::mem::take(&mut self.table);
        table.extend(self.frames.to_le_bytes());
        table.push(0);
        table.extend(SEEKABLE_MAGIC.to_le_bytes());
        self.file.write_all(&skippable(TABLE_MAGIC, &table)?)?;
        Ok(self.file)
    }

    fn write(&mut self, frame: &[u8], holds: usize) -> io::Result<()> {
        let length = |bytes: usize| u32::try_from(bytes).map_err(io::Error::other);
        self.file.write_all(frame)?;
        self.table.extend(length(frame.len())?.to_le_bytes());
        self.table.extend(length(holds)?.to_le_bytes());
        self.frames += 1;
        Ok(())
    }
}

fn skippable(magic: u32, content: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(content.len()).map_err(io::Error::other)?;
    Ok([&magic.to_le_bytes()[..], &length.to_le_bytes()[..], content].concat())
}

/// An open copy, read at any place of the session file that it holds.
#[derive(Debug)]
pub struct Frames {
    file: File,
    frames: Vec<Frame>,
    size: u64,
    about: Vec<u8>,
    /// The number and the content of the frame that was read last.
    latest: Mutex<(usize, Vec<u8>)>,
}

/// Where a frame stands in the copy, and what it holds of the session file.
#[derive(Debug, Clone, Copy)]
struct Frame {
    at: u64,
    bytes: u32,
    holds: u32,
}

impl Frames {
    /// Opens a copy. Fails if it is no copy, was not written to its end, or cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let length = metadata.len();
        let Some(footer_at) = length.checked_sub(FOOTER_BYTES).filter(|_| metadata.is_file()) else {
            return Err(damaged("it is not a whole copy"));
        };
        let footer = read(&file, footer_at, FOOTER_BYTES)?;
        let count = number(&footer, 0);
        if number(&footer, 5) != SEEKABLE_MAGIC || footer.get(4) != Some(&0) {
            return Err(damaged("it is not a whole copy"));
        }
        let table_bytes = u64::from(count).saturating_mul(ENTRY_BYTES);
        if table_bytes > TABLE_BYTES_MAX {
            return Err(damaged("its table is damaged"));
        }
        let Some(table_at) = footer_at.checked_sub(table_bytes).filter(|at| *at >= HEAD_BYTES) else {
            return Err(damaged("its table is damaged"));
        };
        let table = read(&file, table_at, table_bytes)?;
        let (mut at, mut size, mut frames, mut about) = (0u64, 0u64, Vec::new(), None);
        for entry in table.chunks_exact(8) {
            let frame = Frame { at, bytes: number(entry, 0), holds: number(entry, 4) };
            if frame.holds == 0 {
                about = Some(frame);
            } else {
                frames.push(frame);
            }
            at += u64::from(frame.bytes);
            size += u64::from(frame.holds);
        }
        let most = zstd::zstd_safe::compress_bound(FRAME_BYTES) as u64;
        let is_regular = |(place, frame): (usize, &Frame)| {
            let is_last = place + 1 == frames.len();
            u64::from(frame.bytes) <= most
                && (frame.holds as usize == FRAME_BYTES || (is_last && (frame.holds as usize) < FRAME_BYTES))
        };
        if at.saturating_add(HEAD_BYTES) != table_at || !frames.iter().enumerate().all(is_regular) {
            return Err(damaged("its table is damaged"));
        }
        let about = about.filter(|about| (8..=ABOUT_BYTES_MAX).contains(&about.bytes));
        let about = about.ok_or_else(|| damaged("it does not say what it is a copy of"))?;
        let content = read(&file, about.at + HEAD_BYTES, u64::from(about.bytes) - HEAD_BYTES)?;
        Ok(Self { file, frames, size, about: content, latest: Mutex::new((usize::MAX, Vec::new())) })
    }

    /// Bytes of the session file.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// What the system tells of the file that holds the copy. Fails if it does not.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    /// What the copy says of itself.
    #[must_use]
    pub fn about(&self) -> &[u8] {
        &self.about
    }

    /// Reads some bytes of the session file from `offset` on, at least one unless it ends there, and returns how many.
    /// Fails if the copy cannot be read or is damaged there.
    pub fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.size || into.is_empty() {
            return Ok(0);
        }
        let place = usize::try_from(offset / FRAME_BYTES as u64).map_err(io::Error::other)?;
        let within = usize::try_from(offset % FRAME_BYTES as u64).map_err(io::Error::other)?;
        // A poisoned lock can be used: a frame is kept as a whole.
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.0 != place {
            let content = self.decompressed(place)?;
            *latest = (place, content);
        }
        let rest = latest.1.get(within..).unwrap_or_default();
        let length = rest.len().min(into.len());
        if let (Some(into), Some(rest)) = (into.get_mut(..length), rest.get(..length)) {
            into.copy_from_slice(rest);
        }
        Ok(length)
    }

    fn decompressed(&self, place: usize) -> io::Result<Vec<u8>> {
        let frame = self.frames.get(place).ok_or_else(|| damaged("its table is damaged"))?;
        let bytes = read(&self.file, frame.at, u64::from(frame.bytes))?;
        let content = Decompressor::new()?.decompress(&bytes, frame.holds as usize);
        let content = content.map_err(|_| damaged("a frame of it is damaged"))?;
        if content.len() == frame.holds as usize { Ok(content) } else { Err(damaged("a frame of it is damaged")) }
    }
}

fn read(file: &File, at: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes)
}

/// The number at a place of some bytes; 0 behind their end.
fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn damaged(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.to_owned())
}
