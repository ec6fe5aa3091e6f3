//! The messages of PostgreSQL's protocol, version 3, as bytes: what a client sends, and what is sent
//! to it. Nothing here knows what a message is for.
//!
//! Source: PostgreSQL's manual, "Message Formats".

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Once so much is written, it is sent before more is.
const SEND_AT_BYTES: usize = 64 * 1024;

/// Codes that stand where a version would.
pub(super) const CANCEL: i32 = 80_877_102;
pub(super) const TLS: i32 = 80_877_103;
pub(super) const GSS: i32 = 80_877_104;

/// A message of the client, after the start.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Message {
    Query(String),
    Parse {
        name: String,
        sql: String,
        types: Vec<u32>,
    },
    Bind(Bind),
    Describe {
        what: What,
        name: String,
    },
    Execute {
        portal: String,
        most_rows: u32,
    },
    Close {
        what: What,
        name: String,
    },
    Flush,
    Sync,
    Terminate,
    Password(Bytes),
    /// `COPY FROM STDIN`, which is never asked for.
    Copy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Statement,
    Portal,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bind {
    pub portal: String,
    pub statement: String,
    /// None: all text. One: of all. Else one for each.
    pub formats: Vec<i16>,
    pub values: Vec<Option<Bytes>>,
    pub result_formats: Vec<i16>,
}

/// Of the format that holds for the value at `index`: whether it is binary.
pub(super) fn is_binary(formats: &[i16], index: usize) -> bool {
    match formats {
        [] => false,
        [all] => *all == 1,
        each => each.get(index).is_some_and(|format| *format == 1),
    }
}

/// Why a message cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Malformed {
    #[error("the message is cut short")]
    Short,
    #[error("the message holds text that is not UTF-8")]
    Text,
    #[error("the message of {0} bytes is longer than may be sent")]
    Long(usize),
    #[error("there is no message of the kind {0:?}")]
    Kind(char),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads one message: its kind and its body; `None` at the end. The memory grows with what comes,
/// not with what is announced.
pub(super) async fn read<R: AsyncRead + Unpin>(
    reader: &mut R,
    most_bytes: usize,
) -> Result<Option<(u8, Bytes)>, Malformed> {
    let mut kind = [0];
    if reader.read(&mut kind).await? == 0 {
        return Ok(None);
    }
    Ok(Some((kind[0], read_body(reader, most_bytes).await?)))
}

/// Reads a length and what it counts.
pub(super) async fn read_body<R: AsyncRead + Unpin>(
    reader: &mut R,
    most_bytes: usize,
) -> Result<Bytes, Malformed> {
    let length = usize::try_from(reader.read_i32().await?).unwrap_or(0);
    let length = length.checked_sub(4).ok_or(Malformed::Short)?;
    if length > most_bytes {
        return Err(Malformed::Long(length));
    }
    let mut body = BytesMut::with_capacity(length.min(SEND_AT_BYTES));
    let mut rest = reader.take(u64::try_from(length).unwrap_or(u64::MAX));
    while body.len() < length {
        if rest.read_buf(&mut body).await? == 0 {
            return Err(Malformed::Short);
        }
    }
    Ok(body.freeze())
}

/// What is left of a body.
#[derive(Debug)]
pub(super) struct Body(pub Bytes);

impl Body {
    fn need(&self, bytes: usize) -> Result<(), Malformed> {
        if self.0.remaining() < bytes { Err(Malformed::Short) } else { Ok(()) }
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.need(1)?;
        Ok(self.0.get_u8())
    }

    fn int16(&mut self) -> Result<i16, Malformed> {
        self.need(2)?;
        Ok(self.0.get_i16())
    }

    pub(super) fn int32(&mut self) -> Result<i32, Malformed> {
        self.need(4)?;
        Ok(self.0.get_i32())
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<Bytes, Malformed> {
        self.need(count)?;
        Ok(self.0.split_to(count))
    }

    /// Text to the next zero byte.
    pub(super) fn text(&mut self) -> Result<String, Malformed> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(Malformed::Short)?;
        let text = self.0.split_to(end);
        self.0.advance(1);
        String::from_utf8(text.to_vec()).map_err(|_| Malformed::Text)
    }

    /// A number and as many items.
    fn list<T>(
        &mut self,
        item: impl Fn(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        // The number is not trusted with memory: a short message ends the loop.
        let count = u16::from_be_bytes(self.int16()?.to_be_bytes());
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }
}

impl Message {
    pub(super) fn of(kind: u8, body: Bytes) -> Result<Self, Malformed> {
        let mut body = Body(body);
        let what = |body: &mut Body| match body.byte()? {
            b'S' => Ok(What::Statement),
            b'P' => Ok(What::Portal),
            other => Err(Malformed::Kind(char::from(other))),
        };
        Ok(match kind {
            b'Q' => Self::Query(body.text()?),
            b'P' => Self::Parse {
                name: body.text()?,
                sql: body.text()?,
                types: body.list(|body| Ok(u32::from_be_bytes(body.int32()?.to_be_bytes())))?,
            },
            b'B' => Self::Bind(Bind {
                portal: body.text()?,
                statement: body.text()?,
                formats: body.list(Body::int16)?,
                values: body.list(|body| match usize::try_from(body.int32()?) {
                    Ok(length) => body.bytes(length).map(Some),
                    Err(_) => Ok(None),
                })?,
                result_formats: body.list(Body::int16)?,
            }),
            b'D' => Self::Describe { what: what(&mut body)?, name: body.text()? },
            b'E' => Self::Execute {
                portal: body.text()?,
                most_rows: u32::try_from(body.int32()?).unwrap_or(0),
            },
            b'C' => Self::Close { what: what(&mut body)?, name: body.text()? },
            b'H' => Self::Flush,
            b'S' => Self::Sync,
            b'X' => Self::Terminate,
            b'p' => Self::Password(body.0),
            b'd' | b'c' | b'f' => Self::Copy,
            other => return Err(Malformed::Kind(char::from(other))),
        })
    }
}

/// What goes to the client, until it is sent.
#[derive(Debug)]
pub(super) struct Out<W> {
    writer: W,
    buffer: BytesMut,
}

impl<W: AsyncWrite + Unpin> Out<W> {
    pub(super) fn new(writer: W) -> Self {
        Self { writer, buffer: BytesMut::new() }
    }

    /// Adds a message.
    pub(super) fn message(&mut self, kind: u8, body: impl FnOnce(&mut BytesMut)) {
        self.buffer.put_u8(kind);
        let start = self.buffer.len();
        self.buffer.put_i32(0);
        body(&mut self.buffer);
        let length = i32::try_from(self.buffer.len() - start).unwrap_or(i32::MAX);
        if let Some(place) = self.buffer.get_mut(start..start + 4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }

    /// Sends when there is much to send, and waits for a slow reader.
    pub(super) async fn ease(&mut self) -> io::Result<()> {
        if self.buffer.len() >= SEND_AT_BYTES { self.send().await } else { Ok(()) }
    }

    /// Sends all. When it is given up in the middle, what is not sent yet stays.
    pub(super) async fn send(&mut self) -> io::Result<()> {
        while !self.buffer.is_empty() {
            let sent = self.writer.write(&self.buffer).await?;
            if sent == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.buffer.advance(sent);
        }
        if self.buffer.capacity() > 4 * SEND_AT_BYTES {
            self.buffer = BytesMut::new();
        }
        self.writer.flush().await
    }

    pub(super) async fn close(&mut self) -> io::Result<()> {
        self.send().await?;
        self.writer.shutdown().await
    }
}

/// Adds text with the zero byte that ends it.
pub(super) fn put_text(buffer: &mut BytesMut, text: &str) {
    // A zero byte within would end it early.
    buffer.extend(text.bytes().filter(|byte| *byte != 0));
    buffer.put_u8(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_is_read_whole_and_no_longer_than_allowed() {
        let mut bytes: &[u8] = b"Q\0\0\0\x0dselect 1\0X\0\0\0\x04";
        let (kind, body) = read(&mut bytes, 100).await.unwrap().unwrap();
        assert_eq!(Message::of(kind, body).unwrap(), Message::Query("select 1".to_owned()));
        let (kind, body) = read(&mut bytes, 100).await.unwrap().unwrap();
        assert_eq!(Message::of(kind, body).unwrap(), Message::Terminate);
        assert!(read(&mut bytes, 100).await.unwrap().is_none());
        for (bytes, most) in [
            (&b"Q\0\0\0\x0dsel"[..], 100),
            (b"Q\0\0\0\x03", 100),
            (b"Q\xff\xff\xff\xff", 100),
            (b"Q\x7f\xff\xff\xff", 100),
            (b"Q\0\0\0\x0dselect 1\0", 8),
        ] {
            assert!(read(&mut &bytes[..], most).await.is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_message_that_lies_about_its_parts_is_refused() {
        let bind = b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\0";
        let Message::Bind(read) = Message::of(b'B', Bytes::from_static(bind)).unwrap() else {
            panic!()
        };
        assert_eq!(read.values, [Some(Bytes::from_static(b"x")), None]);
        assert!(is_binary(&read.formats, 1) && !is_binary(&read.result_formats, 0));
        for (kind, body) in [
            (b'B', &b"p\0s\0\0\x01\0\x01\0\x02\x7f\xff\xff\xff"[..]),
            (b'P', b"a\0select 1\0\xff\xff\0\0"),
            (b'Q', b"no end"),
            (b'Q', b"\xc3\x28\0"),
            (b'D', b"Xname\0"),
            (b'?', b""),
        ] {
            assert!(Message::of(kind, Bytes::from_static(body)).is_err(), "{body:?}");
        }
    }
}
