//! Connections that do not wait for ever for who is on the other side.
//!
//! The server has no time limits of its own, and each connection holds a file descriptor: somebody
//! who sends a request letter by letter, or never reads the answer, must not be able to hold many.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep, sleep};

/// How long is waited for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// From the first byte of a request to its last, however it trickles. Answers take no time: they
    /// come from memory.
    pub(super) request: Duration,
    /// From an answer to the next request. Longer than Prometheus rests between two scrapes.
    pub(super) idle: Duration,
    /// While nothing more of an answer is taken.
    pub(super) answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(30),
            idle: Duration::from_mins(6),
            answer: Duration::from_secs(30),
        }
    }
}

/// Accepts connections that have limits.
#[derive(Debug)]
pub(super) struct Patient {
    listener: TcpListener,
    limits: Limits,
}

impl Patient {
    pub(super) fn new(listener: TcpListener, limits: Limits) -> Self {
        Self { listener, limits }
    }
}

impl Listener for Patient {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // The end of an answer is a small piece after a large one: it need not wait until the client
        // has said that it got the large one. Without it the answer is only later.
        _ = stream.set_nodelay(true);
        (Connection::new(stream, self.limits), address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    limits: Limits,
    /// When what is read next must have come.
    read_by: Pin<Box<Sleep>>,
    /// Whether `read_by` is that of a request that has begun.
    in_request: bool,
    /// When the client must have taken something; only while it takes nothing.
    written_by: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    fn new(stream: TcpStream, limits: Limits) -> Self {
        // Who connects wants to ask.
        let read_by = Box::pin(sleep(limits.request));
        Self { stream, limits, read_by, in_request: true, written_by: None }
    }

    /// The result of a write, unless the client has taken nothing for too long.
    fn written<T>(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.written_by = None;
            return result;
        }
        let limit = self.limits.answer;
        let written_by = self.written_by.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(written_by.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// An answer is being sent, so the request is complete: the next may take its time.
    fn answers(&mut self) {
        if self.in_request {
            self.in_request = false;
            self.read_by.as_mut().reset(Instant::now() + self.limits.idle);
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Poll::Ready(result) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            if !self.in_request && buffer.filled().len() > before {
                self.in_request = true;
                let limit = self.limits.request;
                self.read_by.as_mut().reset(Instant::now() + limit);
            }
            return Poll::Ready(result);
        }
        ready!(self.read_by.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.answers();
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.answers();
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.written(context, result)
    }

    /// So that the server hands over its buffers as they are, and copies none.
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn who_does_not_read_the_answer_loses_the_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let limits = Limits { answer: Duration::from_millis(100), ..Limits::default() };
        let mut listener = Patient::new(listener, limits);
        let address = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let mut connection = accepted.0;
        assert!(connection.is_write_vectored());
        // More than the kernel keeps for somebody.
        let answer = vec![0; 64 * 1024 * 1024];
        let error = connection.write_all(&answer).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(client);
    }
}
