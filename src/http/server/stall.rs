//! A connection whose writes fail when the client stops reading.
//!
//! hyper has no write timeout: a client that asks for a large answer and never reads it would hold its connection slot
//! for ever. The timer runs only while a write waits. The kernel lets a write go on only after a good part of its
//! buffer is free, so reading a byte now and then does not keep a connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use crate::http::server::owner::Link;

/// Bytes that the system keeps of what is written to a client that stays; Linux takes twice as many.
const BUFFER_BYTES: usize = 32 * 1024;

pub(in crate::http) struct StallGuard {
    stream: TcpStream,
    patience: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    link: Arc<Link>,
    is_narrow: bool,
}

impl StallGuard {
    pub(in crate::http) fn new(stream: TcpStream, patience: Duration, link: Arc<Link>) -> Self {
        Self { stream, patience, waiting: None, link, is_narrow: false }
    }

    /// Gives the system a small buffer, once that is asked for.
    fn narrow(&mut self) {
        if self.link.is_narrow() && !std::mem::replace(&mut self.is_narrow, true) {
            // Without it, a client that does not read is noticed later.
            if let Err(error) = set_socket_send_buffer_size(&self.stream, BUFFER_BYTES) {
                tracing::debug!(%error, "cannot make the buffer of a connection small");
            }
        }
    }

    fn limit(&mut self, written: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let patience = self.patience;
        let timer = self.waiting.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(timer.as_mut().poll(cx));
        // A later poll must not find a timer that has ended.
        timer.as_mut().reset(Instant::now() + patience);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read its answer")))
    }
}

impl AsyncRead for StallGuard {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for StallGuard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.narrow();
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.limit(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.narrow();
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.limit(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
