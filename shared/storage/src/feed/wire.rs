//! The two protobuf fields that the feed itself writes in front of an encoded change.

use bytes::{BufMut as _, BytesMut};
use keizoku_base::Micros;

const SEQ_TAG: u8 = 1 << 3;
const COMMIT_TAG: u8 = 2 << 3;
const LONGEST_STAMP: usize = 2 + 2 * 10;

/// `body` with field 1 (seq) and field 2 (commit time in epoch microseconds) in front, both int64.
pub fn stamp(seq: i64, commit_at: Micros, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(LONGEST_STAMP + body.len());
    bytes.put_u8(SEQ_TAG);
    put_varint(&mut bytes, seq);
    bytes.put_u8(COMMIT_TAG);
    put_varint(&mut bytes, commit_at.0);
    bytes.extend_from_slice(body);
    bytes
}

/// The seq and commit time that [`stamp`] wrote, and the rest; `None` where the bytes begin otherwise.
pub fn read_stamp(bytes: &[u8]) -> Option<(i64, Micros, &[u8])> {
    let (seq, rest) = take_varint(bytes.strip_prefix(&[SEQ_TAG])?)?;
    let (commit_at, rest) = take_varint(rest.strip_prefix(&[COMMIT_TAG])?)?;
    Some((seq, Micros(commit_at), rest))
}

/// A length-delimited field, as a page embeds a stored change: tag, length, bytes.
pub fn put_field(page: &mut BytesMut, field: u32, bytes: &[u8]) {
    put_varint(page, i64::from(field << 3 | 2));
    put_varint(page, i64::try_from(bytes.len()).unwrap_or(i64::MAX));
    page.extend_from_slice(bytes);
}

fn put_varint(bytes: &mut impl bytes::BufMut, value: i64) {
    let mut rest = value.cast_unsigned();
    while rest >= 0x80 {
        bytes.put_u8(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    bytes.put_u8(rest.to_le_bytes()[0]);
}

fn take_varint(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value.cast_signed(), &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_what_protobuf_would_write() {
        assert_eq!(stamp(300, Micros(1), &[0x1a, 0]), vec![0x08, 0xac, 0x02, 0x10, 0x01, 0x1a, 0]);
    }

    #[test]
    fn a_stamp_survives_a_round_trip() {
        for (seq, at) in [(1, 0), (127, 128), (i64::MAX, 1_700_000_000_000_000), (5, -1)] {
            let bytes = stamp(seq, Micros(at), b"rest");
            assert_eq!(read_stamp(&bytes), Some((seq, Micros(at), &b"rest"[..])));
        }
    }

    #[test]
    fn other_bytes_have_no_stamp() {
        for wrong in [&b""[..], &[0x08], &[0x08, 0x80], &[0x10, 1, 0x08, 1], &[0x08, 1, 0x1a, 0]] {
            assert_eq!(read_stamp(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_field_has_tag_and_length() {
        let mut page = BytesMut::new();
        put_field(&mut page, 3, b"ab");
        assert_eq!(&page[..], &[0x1a, 2, b'a', b'b']);
    }
}
