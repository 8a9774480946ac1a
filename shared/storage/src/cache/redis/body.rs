//! What stands under a key in Redis: eight bytes of version, one that says whether there is a value, the value.

use bytes::Bytes;

const GONE: u8 = 0;
const VALUE: u8 = 1;

/// Versions as bytes that order as the versions do.
fn ordered(version: i64) -> [u8; 8] {
    (version.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

pub(super) fn encode(version: i64, value: Option<&Bytes>) -> Vec<u8> {
    let mut body = Vec::with_capacity(9 + value.map_or(0, Bytes::len));
    body.extend_from_slice(&ordered(version));
    body.push(if value.is_some() { VALUE } else { GONE });
    body.extend_from_slice(value.map_or(&[], |value| value));
    body
}

/// `None` for anything that we did not write.
pub(super) fn decode(body: Bytes) -> Option<(i64, Option<Bytes>)> {
    let version = body.first_chunk::<8>()?;
    let version = (u64::from_be_bytes(*version) ^ (1 << 63)).cast_signed();
    match *body.get(8)? {
        GONE => Some((version, None)),
        VALUE => Some((version, Some(body.slice(9..)))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_reads_as_it_was_written() {
        for version in [i64::MIN, -1, 0, 1, 1 << 53, (1 << 53) + 1, i64::MAX] {
            for value in [None, Some(Bytes::new()), Some(Bytes::from_static(b"x\0y"))] {
                assert_eq!(decode(Bytes::from(encode(version, value.as_ref()))), Some((version, value)));
            }
        }
    }

    #[test]
    fn versions_order_as_their_bytes() {
        let versions = [i64::MIN, -2, -1, 0, 1, 255, 256, 1 << 32, i64::MAX];
        assert!(versions.map(ordered).is_sorted());
    }

    #[test]
    fn foreign_bytes_are_nothing() {
        for wrong in [&b""[..], b"12345678", b"12345678\x02"] {
            assert_eq!(decode(Bytes::from_static(wrong)), None);
        }
    }
}
