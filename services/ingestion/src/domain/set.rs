//! Sets of numbers: users, days. The same members are the same bytes, however the set came about.

use roaring::RoaringBitmap;

use crate::domain::pack::Corrupt;

/// A set of numbers of 32 bits.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NumberSet(RoaringBitmap);

impl NumberSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a number; whether it was not there.
    pub fn insert(&mut self, number: u32) -> bool {
        self.0.insert(number)
    }

    /// Adds every member of `other`.
    pub fn unite(&mut self, other: &Self) {
        self.0 |= &other.0;
    }

    /// The members that `other` has not.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self(&self.0 - &other.0)
    }

    /// Whether a number is a member.
    pub fn contains(&self, number: u32) -> bool {
        self.0.contains(number)
    }

    /// How many members it has.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The members, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter()
    }

    /// Whether its bytes are at most `most`.
    pub fn fits(&self, most: usize) -> bool {
        self.0.serialized_size() <= most || self.settled().serialized_size() <= most
    }

    /// Roaring's portable bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let settled = self.settled();
        let mut bytes = Vec::with_capacity(settled.serialized_size());
        let written = settled.serialize_into(&mut bytes);
        written.unwrap_or_else(|fault| panic!("writing into memory failed: {fault}"));
        bytes
    }

    /// Reads roaring's portable bytes; no bytes are the empty set.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Corrupt> {
        if bytes.is_empty() {
            return Ok(Self::new());
        }
        let mut rest = bytes;
        let set = RoaringBitmap::deserialize_from(&mut rest).map_err(|_| Corrupt)?;
        if rest.is_empty() { Ok(Self(set)) } else { Err(Corrupt) }
    }

    /// `optimize` keeps a container of runs where an array would take as many bytes, but would not make one: only from
    /// a set without runs does it lead to the same containers for the same members.
    fn settled(&self) -> RoaringBitmap {
        let mut settled = self.0.clone();
        settled.remove_run_compression();
        settled.optimize();
        settled
    }
}

impl FromIterator<u32> for NumberSet {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        Self(numbers.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Numbers that lie close together, so that runs, arrays and bitmaps all occur.
    fn parts() -> impl Strategy<Value = Vec<(u32, u32)>> {
        vec((0_u32..150_000, 0_u32..9_000), 0..6)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_same_members_are_the_same_bytes(parts in parts(), cut in 0_usize..6) {
            let numbers = |parts: &[(u32, u32)]| -> NumberSet {
                parts.iter().flat_map(|(from, length)| *from..from + length).collect()
            };
            let whole = numbers(&parts);
            let (head, tail) = parts.split_at(cut.min(parts.len()));
            let mut united = NumberSet::from_bytes(&numbers(tail).to_bytes()).expect("a set");
            united.unite(&numbers(head));
            let mut twice = whole.clone();
            twice.unite(&united);
            prop_assert_eq!(united.to_bytes(), whole.to_bytes());
            prop_assert_eq!(twice.to_bytes(), whole.to_bytes());
            prop_assert_eq!(whole.without(&NumberSet::new()).to_bytes(), whole.to_bytes());
            prop_assert_eq!(NumberSet::from_bytes(&whole.to_bytes()), Ok(whole));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            prop_assert!(NumberSet::from_bytes(&bytes).is_ok_and(|set| set.len() < 1 << 32) || !bytes.is_empty());
        }
    }

    #[test]
    fn knows_whether_it_fits() {
        let run: NumberSet = (0..1_000_000).collect();
        assert!(run.fits(1_000) && !run.fits(10));
        let scattered: NumberSet = (0..200_000).map(|number| number * 3).collect();
        assert!(!scattered.fits(64 * 1024));
        assert_eq!(scattered.iter().nth(1), Some(3));
    }
}
