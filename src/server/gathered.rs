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

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn parts_wait_for_the_flush_and_arrive_in_their_order() {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let mut connection = Gathered::new(near);
        assert!(!connection.is_write_vectored());
        let frames = [vec![1; 1033], vec![2; 15 << 10], vec![3; 9]];
        for frame in &frames {
            connection.write_all(frame).await.unwrap();
        }
        assert!(far.read_u8().now_or_never().is_none(), "nothing has left yet");
        connection.flush().await.unwrap();
        // More than there is room for leaves at once, behind what waited.
        connection.write_all(&[4; 9]).await.unwrap();
        connection.write_all(&vec![5; ROOM + 1]).await.unwrap();
        connection.shutdown().await.unwrap();
        let mut arrived = Vec::new();
        far.read_to_end(&mut arrived).await.unwrap();
        assert_eq!(arrived, [frames.concat(), vec![4; 9], vec![5; ROOM + 1]].concat());
    }
}
