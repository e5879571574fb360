//! Connections whose answers leave together.
//!
//! HTTP/2 frames of many calls share a connection. The HTTP/2 library gathers frames in a buffer of its own and writes it at
//! once, but a frame longer than a limit it writes by itself, behind what is in the buffer: one system call an answer, which
//! costs more than all the rest of a look-up. The limit is 256 bytes on a connection that takes scattered buffers and 1024 on
//! one that does not. Most look-ups lie between the two, so a connection here takes none. What the library then writes in
//! two parts, a [`BufWriter`] puts together again.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, BufWriter, ReadBuf};
use tonic::transport::server::Connected;

/// Room for one frame of the usual size (16 KiB) that comes in two parts.
const ROOM: usize = 20 << 10;

/// A connection on which written bytes wait, in order, for the next flush.
#[derive(Debug)]
pub(super) struct Gathered<C> {
    connection: BufWriter<C>,
}

impl<C: AsyncWrite> Gathered<C> {
    pub(super) fn new(connection: C) -> Self {
        Self { connection: BufWriter::with_capacity(ROOM, connection) }
    }
}

impl<C: AsyncWrite + Connected> Connected for Gathered<C> {
    type ConnectInfo = C::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.connection.get_ref().connect_info()
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> AsyncRead for Gathered<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_read(context, into)
    }
}

/// `is_write_vectored` stays at its default, which is that scattered buffers are not taken.
impl<C: AsyncWrite + Unpin> AsyncWrite for Gathered<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}
