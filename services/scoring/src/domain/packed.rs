//! The bytes of packed rows: variable-length whole numbers, texts and byte strings one after another.

/// Bytes that are no packed row: cut short, malformed or of a form this version does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a packed row cannot be read")]
pub struct Corrupt;

/// Adds a whole number in groups of seven bits, the lowest first.
pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

/// Adds a number that may be negative; small magnitudes stay short.
pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

/// Adds bytes led by their length.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads what the functions above wrote, in the same order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads a row whose first byte must be `form`.
    pub(super) fn open(bytes: &'a [u8], form: u8) -> Result<Self, Corrupt> {
        match bytes.split_first() {
            Some((first, rest)) if *first == form => Ok(Self(rest)),
            _ => Err(Corrupt),
        }
    }

    /// Reads a row that has no form of its own.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_at_end(self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> Result<u8, Corrupt> {
        let (first, rest) = self.0.split_first().ok_or(Corrupt)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn number(&mut self) -> Result<u64, Corrupt> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Corrupt);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Corrupt)
    }

    /// A number that the wanted type holds.
    pub(super) fn small<T: TryFrom<u64>>(&mut self) -> Result<T, Corrupt> {
        T::try_from(self.number()?).map_err(|_| Corrupt)
    }

    pub(super) fn signed(&mut self) -> Result<i64, Corrupt> {
        let value = self.number()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// A number that may be negative and that the wanted type holds.
    pub(super) fn small_signed<T: TryFrom<i64>>(&mut self) -> Result<T, Corrupt> {
        T::try_from(self.signed()?).map_err(|_| Corrupt)
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Corrupt> {
        let length: usize = self.small()?;
        let (found, rest) = self.0.split_at_checked(length).ok_or(Corrupt)?;
        self.0 = rest;
        Ok(found)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Corrupt> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Corrupt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn numbers_and_bytes_survive(whole in any::<u64>(), signed in any::<i64>(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut out = vec![7];
            put(&mut out, whole);
            put_signed(&mut out, signed);
            put_bytes(&mut out, &bytes);
            let mut reader = Reader::open(&out, 7).expect("its form");
            prop_assert_eq!((reader.number(), reader.signed(), reader.bytes()), (Ok(whole), Ok(signed), Ok(bytes.as_slice())));
            prop_assert_eq!(reader.is_at_end(), true);
        }
    }

    #[test]
    fn refuses_another_form_and_rows_cut_short() {
        assert!(Reader::open(&[1], 2).is_err());
        assert!(Reader::open(&[], 2).is_err());
        let mut reader = Reader::open(&[2, 0x80], 2).expect("its form");
        assert_eq!(reader.number(), Err(Corrupt));
        let mut reader =
            Reader::open(&[2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], 2).expect("its form");
        assert_eq!(reader.number(), Err(Corrupt));
    }
}
