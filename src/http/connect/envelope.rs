//! The frames of a stream: a byte of flags, the length in four bytes, and the content.

use prost::bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// The content is a message.
const MESSAGE: u8 = 0;
/// The content is compressed.
const COMPRESSED: u8 = 1;
/// The content is the end of the stream, as JSON: an error if there is one, and the trailers.
const END: u8 = 2;

/// Why a request is not a sequence of frames.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub(super) enum FrameError {
    #[error(
        "the body ends inside a frame: five bytes of flags and length, and then as many bytes as the length says"
    )]
    Truncated,
    #[error("a frame is compressed, which this server does not read: send it with the flags 0")]
    Compressed,
    #[error("a frame has unknown flags: a message has the flags 0")]
    UnknownFlags,
}

/// A frame with one message.
pub(super) fn message(content: &[u8]) -> Bytes {
    frame(MESSAGE, content)
}

/// The last frame of an answer.
pub(super) fn end(content: &[u8]) -> Bytes {
    frame(END, content)
}

fn frame(flags: u8, content: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + content.len());
    frame.put_u8(flags);
    // An answer of a method is far below 4 GiB.
    frame.put_u32(u32::try_from(content.len()).unwrap_or(u32::MAX));
    frame.put_slice(content);
    frame.freeze()
}

/// The messages in the body of a request.
pub(super) fn messages(mut body: Bytes) -> Result<Vec<Bytes>, FrameError> {
    let mut messages = Vec::new();
    while !body.is_empty() {
        if body.remaining() < 5 {
            return Err(FrameError::Truncated);
        }
        match body.get_u8() {
            MESSAGE => {}
            COMPRESSED => return Err(FrameError::Compressed),
            _ => return Err(FrameError::UnknownFlags),
        }
        let length = body.get_u32() as usize;
        if body.remaining() < length {
            return Err(FrameError::Truncated);
        }
        messages.push(body.split_to(length));
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_frame_that_is_cut_off_compressed_or_of_an_unknown_kind_is_refused() {
        let whole = message(b"{}");
        for length in 1..whole.len() {
            assert_eq!(messages(whole.slice(..length)), Err(FrameError::Truncated), "{length}");
        }
        assert_eq!(messages(frame(COMPRESSED, b"{}")), Err(FrameError::Compressed));
        assert_eq!(messages(end(b"{}")), Err(FrameError::UnknownFlags));
        assert_eq!(messages(Bytes::from_static(&[0, 255, 255, 255, 255])), Err(FrameError::Truncated));
    }

    proptest! {
        #[test]
        fn what_is_framed_is_read_back(contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..5)) {
            let body: Vec<u8> = contents.iter().flat_map(|content| message(content)).collect();
            prop_assert_eq!(messages(body.into()).unwrap(), contents);
        }

        #[test]
        fn no_body_causes_a_panic(body in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = messages(body.into());
        }
    }
}
