//! A body that goes on for as long as the client stays, in pieces that come when something happens.

use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

/// What there is to be written next.
#[derive(Debug)]
pub(in crate::http) enum Next {
    /// This piece.
    Piece(Bytes),
    /// Something that must be read first: [`Feed::load`] does that.
    Behind,
    /// Nothing at the moment: [`Feed::news`] says when to ask again.
    Nothing,
    /// Nothing ever again.
    End,
}

/// Makes the pieces of a body. It is asked on a thread that must not block, but for [`Feed::load`].
pub(in crate::http) trait Feed: Send + Debug {
    /// What is to be written next.
    fn next(&mut self) -> Next;

    /// Reads what [`Feed::next`] lacks. It may block for a moment.
    fn load(&mut self);

    /// A piece for a client that hears nothing else, and how often it is sent.
    fn heartbeat(&mut self) -> (Bytes, Duration);

    /// Changes when there may be something new. Its value grows by the bytes that were made for anybody.
    fn news(&self) -> watch::Receiver<u64>;

    /// About how many bytes there are for the client that were not handed out yet.
    fn waiting(&self) -> usize;

    /// Notes that so many bytes were handed to the connection.
    fn sent(&mut self, bytes: usize);

    /// Notes that the client was too slow.
    fn dropped(&mut self);
}
