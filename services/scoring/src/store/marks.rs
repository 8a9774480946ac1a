//! Which change each day of a month came from, so that an older change never replaces a newer one.

use std::collections::BTreeMap;

use keizoku_storage::DbFault;

/// By the day's number (1 to 31) the life of the copy and the position of its change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Marks(BTreeMap<u8, (i64, i64)>);

impl Marks {
    /// Notes a change of a day; `false` where it is not newer than the one noted.
    pub(crate) fn note(&mut self, day: u8, generation: i64, seq: i64) -> bool {
        let newer = self.0.get(&day).is_none_or(|known| (generation, seq) > *known);
        if newer {
            self.0.insert(day, (generation, seq));
        }
        newer
    }

    /// Takes out and answers the days that are of an older life than `generation`.
    pub(crate) fn sweep(&mut self, generation: i64) -> Vec<u8> {
        let old: Vec<u8> = self.0.iter().filter(|(_, mark)| mark.0 < generation).map(|(day, _)| *day).collect();
        self.0.retain(|_, mark| mark.0 >= generation);
        old
    }

    /// The oldest life of the copy that a day belongs to.
    pub(crate) fn generation(&self) -> i64 {
        self.0.values().map(|mark| mark.0).min().unwrap_or(0)
    }

    /// Packs them.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.len() * 6);
        for (day, (generation, seq)) in &self.0 {
            out.push(*day);
            put(&mut out, *generation);
            put(&mut out, *seq);
        }
        out
    }

    /// Unpacks them.
    ///
    /// # Errors
    /// An internal fault where the bytes are none.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DbFault> {
        let mut rest = bytes;
        let mut marks = Self::default();
        while let Some((day, tail)) = rest.split_first() {
            rest = tail;
            let mark = take(&mut rest).zip(take(&mut rest));
            marks.0.insert(*day, mark.ok_or_else(|| DbFault::internal("the marks of a month cannot be read"))?);
        }
        Ok(marks)
    }
}

/// Seven bits a byte, the lowest first.
fn put(out: &mut Vec<u8>, value: i64) {
    let mut rest = value.cast_unsigned();
    while rest >= 0x80 {
        out.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    out.push(rest.to_le_bytes()[0]);
}

fn take(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value.cast_signed());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_newer_change_is_noted() {
        let mut marks = Marks::default();
        assert!(marks.note(3, 0, 300));
        assert!(!marks.note(3, 0, 300));
        assert!(!marks.note(3, 0, 299));
        assert!(marks.note(3, 1, 5));
        assert!(marks.note(31, 2, i64::MAX));
        assert_eq!(marks.generation(), 1);
        assert_eq!(Marks::decode(&marks.encode()).expect("marks"), marks);
        assert_eq!(marks.sweep(2), [3]);
        assert!(Marks::decode(&[1, 0x80]).is_err());
    }
}
