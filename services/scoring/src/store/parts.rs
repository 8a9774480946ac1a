//! What is known of an account besides its metrics, packed into one row: parts by kind and key, each with the position of
//! the change it came from, so that an older change never replaces a newer one.

use std::collections::BTreeMap;

use keizoku_storage::DbFault;

/// One part: a contract, a contact, the account itself, how a source covers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// Which life of the copy it belongs to.
    pub(crate) generation: i64,
    /// The position of the change within its partition.
    pub(crate) seq: i64,
    /// The state as the feed carried it; `None`: it is gone.
    pub(crate) state: Option<Vec<u8>>,
}

/// The parts of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parts(BTreeMap<(i16, Vec<u8>), Part>);

impl Parts {
    /// Puts a part in place and says whether that changed anything. A change that is not newer is left alone.
    pub(crate) fn put(&mut self, kind: i16, key: &[u8], part: Part) -> bool {
        let place = (kind, key.to_vec());
        let newer = self.0.get(&place).is_none_or(|known| (part.generation, part.seq) > (known.generation, known.seq));
        let changed = newer && self.0.get(&place).and_then(|known| known.state.as_ref()) != part.state.as_ref();
        if newer {
            self.0.insert(place, part);
        }
        changed
    }

    /// Removes what is of an older life than `generation`; whether there was any.
    pub(crate) fn sweep(&mut self, generation: i64) -> bool {
        let before = self.0.len();
        self.0.retain(|_, part| part.generation >= generation);
        self.0.len() != before
    }

    /// The oldest life of the copy that a part belongs to.
    pub(crate) fn generation(&self) -> i64 {
        self.0.values().map(|part| part.generation).min().unwrap_or(0)
    }

    /// The newest one.
    pub(crate) fn newest(&self) -> i64 {
        self.0.values().map(|part| part.generation).max().unwrap_or(0)
    }

    /// Whether a part of that kind was there and is gone, or nothing at all is left.
    pub(crate) fn is_gone(&self, kind: i16) -> bool {
        let gone = |((found, _), part): (&(i16, Vec<u8>), &Part)| *found == kind && part.state.is_none();
        self.0.iter().any(gone) || self.0.values().all(|part| part.state.is_none())
    }

    /// The states of one kind.
    pub(crate) fn of_kind(&self, kind: i16) -> impl Iterator<Item = &[u8]> {
        let parts = self.0.iter().filter(move |((found, _), _)| *found == kind);
        parts.filter_map(|(_, part)| part.state.as_deref())
    }

    /// Packs them.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for ((kind, key), part) in &self.0 {
            out.extend_from_slice(&kind.to_le_bytes());
            put_bytes(&mut out, key);
            out.extend_from_slice(&part.generation.to_le_bytes());
            out.extend_from_slice(&part.seq.to_le_bytes());
            out.push(u8::from(part.state.is_some()));
            put_bytes(&mut out, part.state.as_deref().unwrap_or_default());
        }
        out
    }

    /// Unpacks them.
    ///
    /// # Errors
    /// An internal fault where the bytes are no parts.
    pub(crate) fn decode(mut bytes: &[u8]) -> Result<Self, DbFault> {
        let mut parts = Self::default();
        while !bytes.is_empty() {
            let (kind, key, part) = read(&mut bytes).ok_or_else(|| DbFault::internal("the facts cannot be read"))?;
            parts.0.insert((kind, key), part);
        }
        Ok(parts)
    }
}

fn read(bytes: &mut &[u8]) -> Option<(i16, Vec<u8>, Part)> {
    let kind = i16::from_le_bytes(take(bytes)?);
    let key = take_bytes(bytes)?;
    let (generation, seq) = (i64::from_le_bytes(take(bytes)?), i64::from_le_bytes(take(bytes)?));
    let [present] = take(bytes)?;
    let state = take_bytes(bytes)?;
    Some((kind, key, Part { generation, seq, state: (present == 1).then_some(state) }))
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}

fn take_bytes(bytes: &mut &[u8]) -> Option<Vec<u8>> {
    let length = usize::try_from(u32::from_le_bytes(take(bytes)?)).ok()?;
    let (first, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(first.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(generation: i64, seq: i64, state: Option<&[u8]>) -> Part {
        Part { generation, seq, state: state.map(<[u8]>::to_vec) }
    }

    #[test]
    fn an_older_change_never_replaces_a_newer_one() {
        let mut parts = Parts::default();
        assert!(parts.put(4, b"a", part(1, 7, Some(b"new"))));
        assert!(!parts.put(4, b"a", part(1, 6, Some(b"old"))));
        assert!(!parts.put(4, b"a", part(1, 8, Some(b"new"))));
        assert!(parts.put(4, b"a", part(2, 1, None)));
        assert!(parts.is_gone(4) && parts.is_gone(5));
    }

    #[test]
    fn survives_a_round_trip_and_refuses_what_is_cut_off() {
        let mut parts = Parts::default();
        parts.put(4, b"a", part(1, 7, Some(b"state")));
        parts.put(7, b"", part(1, 8, None));
        let bytes = parts.encode();
        assert_eq!(Parts::decode(&bytes).expect("parts"), parts);
        assert!(Parts::decode(&bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn a_sweep_removes_older_lives_only() {
        let mut parts = Parts::default();
        parts.put(4, b"a", part(1, 7, Some(b"x")));
        parts.put(4, b"b", part(2, 1, Some(b"y")));
        assert!(parts.sweep(2));
        assert_eq!(parts.of_kind(4).collect::<Vec<_>>(), [b"y"]);
    }
}
