//! A body that is written piece by piece, for answers that are too large for memory or that go on while they are read.

use std::fmt;
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

/// A function that writes a body to the given writer.
type StreamSource = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + Send>;

/// A body that is not written yet.
pub(in crate::http) struct Stream {
    source: StreamSource,
    pub(in crate::http) gzip: bool,
}

impl Stream {
    pub(in crate::http) fn new(source: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static) -> Self {
        Self { source: Box::new(source), gzip: false }
    }

    /// Writes the body to its end, compressed if `gzip` is true.
    pub(in crate::http) fn write_to(self, sink: &mut dyn Write) -> io::Result<()> {
        if !self.gzip {
            (self.source)(sink)?;
            return sink.flush();
        }
        let mut encoder = GzEncoder::new(sink, Compression::fast());
        (self.source)(&mut encoder)?;
        encoder.finish()?.flush()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("gzip", &self.gzip).finish_non_exhaustive()
    }
}
