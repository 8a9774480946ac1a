//! Compact bytes: varints and length-led texts, the same for the same values.

use std::fmt;

/// The bytes are not ones that this build writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("packed bytes cannot be read")]
pub struct Corrupt;

/// Writes packed bytes.
#[derive(Debug, Clone, Default)]
pub struct Packer(Vec<u8>);

impl Packer {
    /// No bytes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One byte.
    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// Bytes whose length the reader knows.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Bytes led by their length.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.unsigned(bytes.len() as u128);
        self.raw(bytes);
    }

    /// A text led by its length.
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// A number of 0 or more: seven bits a byte, lowest first.
    pub fn unsigned(&mut self, number: impl Into<u128>) {
        let mut rest: u128 = number.into();
        loop {
            let low = (rest & 0x7f).to_le_bytes()[0];
            rest >>= 7;
            if rest == 0 {
                return self.0.push(low);
            }
            self.0.push(low | 0x80);
        }
    }

    /// A number of either sign: 0, −1, 1, −2 … become 0, 1, 2, 3 …
    pub fn signed(&mut self, number: impl Into<i128>) {
        let number: i128 = number.into();
        self.unsigned(((number << 1) ^ (number >> 127)).cast_unsigned());
    }

    /// A value that may be absent: a byte that says so, then the value.
    pub fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    /// How many bytes were written.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none were.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The first 16 bytes of the BLAKE3 hash of what was written.
    pub fn digest(&self) -> Digest {
        let mut digest = [0; 16];
        digest.copy_from_slice(&blake3::hash(&self.0).as_bytes()[..16]);
        Digest(digest)
    }
}

/// 16 bytes of a BLAKE3 hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 16]);

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Reads packed bytes.
#[derive(Debug, Clone)]
pub struct Unpacker<'a>(&'a [u8]);

impl<'a> Unpacker<'a> {
    /// Reads `bytes` from their start.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One byte.
    ///
    /// # Errors
    /// [`Corrupt`] at the end.
    pub fn byte(&mut self) -> Result<u8, Corrupt> {
        let (first, rest) = self.0.split_first().ok_or(Corrupt)?;
        self.0 = rest;
        Ok(*first)
    }

    /// That many bytes.
    ///
    /// # Errors
    /// [`Corrupt`] where there are fewer.
    pub fn raw(&mut self, length: usize) -> Result<&'a [u8], Corrupt> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Corrupt)?;
        self.0 = rest;
        Ok(taken)
    }

    /// 16 bytes.
    ///
    /// # Errors
    /// [`Corrupt`] where there are fewer.
    pub fn digest(&mut self) -> Result<Digest, Corrupt> {
        self.raw(16)?.try_into().map(Digest).map_err(|_| Corrupt)
    }

    /// Bytes led by their length.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn bytes(&mut self) -> Result<&'a [u8], Corrupt> {
        let length = self.unsigned()?;
        self.raw(length)
    }

    /// A text led by its length.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn text(&mut self) -> Result<&'a str, Corrupt> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Corrupt)
    }

    /// A number of 0 or more that fits into `T`.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn unsigned<T: TryFrom<u128>>(&mut self) -> Result<T, Corrupt> {
        let (mut number, mut shift) = (0_u128, 0_u32);
        loop {
            let byte = self.byte()?;
            let bits = u128::from(byte & 0x7f);
            if shift > 126 || (shift == 126 && bits > 3) || (byte == 0 && shift > 0) {
                return Err(Corrupt);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return T::try_from(number).map_err(|_| Corrupt);
            }
            shift += 7;
        }
    }

    /// A number of either sign that fits into `T`.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn signed<T: TryFrom<i128>>(&mut self) -> Result<T, Corrupt> {
        let folded: u128 = self.unsigned()?;
        let number = (folded >> 1).cast_signed() ^ -((folded & 1).cast_signed());
        T::try_from(number).map_err(|_| Corrupt)
    }

    /// A value that may be absent.
    ///
    /// # Errors
    /// [`Corrupt`], or as `read`.
    pub fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Corrupt>) -> Result<Option<T>, Corrupt> {
        match self.byte()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Corrupt),
        }
    }

    /// Everything must have been read.
    ///
    /// # Errors
    /// [`Corrupt`] where bytes are left.
    pub fn end(&self) -> Result<(), Corrupt> {
        if self.0.is_empty() { Ok(()) } else { Err(Corrupt) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_survive_a_round_trip(signed: i128, unsigned: u128, small: i64) {
            let mut packer = Packer::new();
            packer.signed(signed);
            packer.unsigned(unsigned);
            packer.signed(small);
            let bytes = packer.into_bytes();
            let mut unpacker = Unpacker::new(&bytes);
            prop_assert_eq!(unpacker.signed::<i128>(), Ok(signed));
            prop_assert_eq!(unpacker.unsigned::<u128>(), Ok(unsigned));
            prop_assert_eq!(unpacker.signed::<i64>(), Ok(small));
            prop_assert_eq!(unpacker.end(), Ok(()));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut unpacker = Unpacker::new(&bytes);
            while unpacker.unsigned::<u64>().is_ok() && unpacker.bytes().is_ok() {}
        }
    }

    #[test]
    fn the_ends_of_the_range_fit_and_longer_numbers_are_refused() {
        for number in [i128::MIN, i128::MAX, 0, -1] {
            let mut packer = Packer::new();
            packer.signed(number);
            assert_eq!(Unpacker::new(&packer.into_bytes()).signed::<i128>(), Ok(number));
        }
        assert_eq!(Unpacker::new(&[0xff; 19]).unsigned::<u128>(), Err(Corrupt));
        assert_eq!(Unpacker::new(&[0x80, 0x00]).unsigned::<u64>(), Err(Corrupt));
        assert_eq!(Unpacker::new(&[0x80, 0x02]).unsigned::<u8>(), Err(Corrupt));
    }
}
