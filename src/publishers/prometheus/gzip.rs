//! A gzip body whose beginning is compressed once and whose end differs at each scrape.
//!
//! The beginning is flushed to a byte boundary, so that another deflate stream may follow it, and
//! the two checksums are combined: the client gets one ordinary gzip member (RFC 1952), which is
//! what every client can read.

use axum::body::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// Magic, deflate, no flags, no time, no hint, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// The compressed beginning.
#[derive(Debug)]
pub(super) struct Beginning {
    bytes: Bytes,
    crc: Crc,
}

impl Beginning {
    pub(super) fn of(text: &[u8]) -> Self {
        let mut bytes = HEADER.to_vec();
        deflate(text, FlushCompress::Sync, &mut bytes);
        Self { bytes: bytes.into(), crc: crc(text) }
    }

    /// The parts of the body that ends with `text`.
    pub(super) fn end_with(&self, text: &[u8]) -> [Bytes; 2] {
        let mut end = Vec::with_capacity(text.len() / 2 + 64);
        deflate(text, FlushCompress::Finish, &mut end);
        let mut whole = Crc::new();
        whole.combine(&self.crc);
        whole.combine(&crc(text));
        end.extend(whole.sum().to_le_bytes());
        end.extend(whole.amount().to_le_bytes());
        [self.bytes.clone(), end.into()]
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}

fn crc(text: &[u8]) -> Crc {
    let mut crc = Crc::new();
    crc.update(text);
    crc
}

fn deflate(text: &[u8], flush: FlushCompress, out: &mut Vec<u8>) {
    const ROOM: usize = 64 * 1024;
    // Fast: twice the size of the best costs less than the time it takes.
    let mut compress = Compress::new(Compression::fast(), false);
    loop {
        out.reserve(ROOM);
        let rest = text.get(compress.total_in() as usize..).unwrap_or_default();
        let status = compress.compress_vec(rest, out, flush);
        let all_read = compress.total_in() as usize == text.len();
        let room_left = out.len() < out.capacity();
        match status {
            Ok(Status::StreamEnd) | Err(_) => break,
            Ok(_) if all_read && room_left && flush != FlushCompress::Finish => break,
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    /// Reads one member, and that nothing follows it.
    fn unzip(parts: &[Bytes; 2]) -> Vec<u8> {
        let body = parts.concat();
        let mut decoder = flate2::bufread::GzDecoder::new(body.as_slice());
        let mut text = Vec::new();
        decoder.read_to_end(&mut text).unwrap();
        assert!(decoder.into_inner().is_empty(), "something follows the member");
        text
    }

    #[test]
    fn long_text_is_one_member() {
        let text: Vec<u8> =
            (0..200_000u32).flat_map(|n| format!("series {n},").into_bytes()).collect();
        let beginning = Beginning::of(&text);
        assert!(beginning.len() < text.len() / 2);
        assert_eq!(unzip(&beginning.end_with(b"")), text);
        assert_eq!(unzip(&beginning.end_with(b"end")), [text.as_slice(), b"end"].concat());
    }

    proptest! {
        #[test]
        fn any_two_texts_are_one_member(
            a in prop::collection::vec(any::<u8>(), 0..3000),
            b in prop::collection::vec(any::<u8>(), 0..3000),
        ) {
            prop_assert_eq!(unzip(&Beginning::of(&a).end_with(&b)), [a, b].concat());
        }
    }
}
