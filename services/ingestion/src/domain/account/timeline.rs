//! The order of a customer's history.

use keizoku_base::Micros;

use crate::domain::pack::Corrupt;

/// What an entry of the timeline is about. The order decides between entries of one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimelineKind {
    /// A conversation began.
    Conversation,
    /// A contract began.
    ContractStarted,
    /// A contract ended.
    ContractEnded,
    /// The customer cancelled.
    Cancellation,
    /// An attribute took a new value.
    Attribute,
    /// A person came.
    ContactJoined,
    /// A person left.
    ContactLeft,
}

/// Where an entry stands: newest first, then by kind, id and part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineKey {
    /// When it happened.
    pub occurred_at: Micros,
    /// What it is about.
    pub kind: TimelineKind,
    /// The row's id.
    pub id: [u8; 16],
    /// What tells entries of one row apart, such as an attribute's key; empty where there is one.
    pub part: String,
}

impl TimelineKind {
    const ALL: [Self; 7] = [
        Self::Conversation,
        Self::ContractStarted,
        Self::ContractEnded,
        Self::Cancellation,
        Self::Attribute,
        Self::ContactJoined,
        Self::ContactLeft,
    ];
}

impl TimelineKey {
    /// Bytes that sort as the key does, for page tokens.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Bytes of a signed number sort as it does once its sign is flipped; all bits flipped, the newest comes first.
        let newest_first = !(self.occurred_at.0.cast_unsigned() ^ (1 << 63));
        let mut bytes = newest_first.to_be_bytes().to_vec();
        bytes.push(TimelineKind::ALL.iter().position(|kind| *kind == self.kind).map_or(0, |at| at.to_le_bytes()[0]));
        bytes.extend_from_slice(&self.id);
        bytes.extend_from_slice(self.part.as_bytes());
        bytes
    }

    /// Reads what [`TimelineKey::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Corrupt> {
        let (newest_first, rest) = bytes.split_first_chunk::<8>().ok_or(Corrupt)?;
        let ([kind], rest) = rest.split_first_chunk::<1>().ok_or(Corrupt)?;
        let (id, part) = rest.split_first_chunk::<16>().ok_or(Corrupt)?;
        Ok(Self {
            occurred_at: Micros((!u64::from_be_bytes(*newest_first) ^ (1 << 63)).cast_signed()),
            kind: TimelineKind::ALL.get(usize::from(*kind)).copied().ok_or(Corrupt)?,
            id: *id,
            part: std::str::from_utf8(part).map_err(|_| Corrupt)?.to_owned(),
        })
    }
}

impl Ord for TimelineKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let newest_first = other.occurred_at.cmp(&self.occurred_at);
        newest_first.then_with(|| (self.kind, self.id, &self.part).cmp(&(other.kind, other.id, &other.part)))
    }
}

impl PartialOrd for TimelineKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_key() -> impl Strategy<Value = TimelineKey> {
        let at = prop_oneof![any::<i64>(), -2_i64..3];
        (at, 0_usize..7, any::<u8>(), "[ab]{0,2}").prop_map(|(at, kind, id, part)| TimelineKey {
            occurred_at: Micros(at),
            kind: TimelineKind::ALL[kind],
            id: [id; 16],
            part,
        })
    }

    proptest! {
        #[test]
        fn bytes_sort_as_keys_do(left in any_key(), right in any_key()) {
            prop_assert_eq!(left.to_bytes().cmp(&right.to_bytes()), left.cmp(&right));
            prop_assert_eq!(TimelineKey::from_bytes(&left.to_bytes()), Ok(left));
        }
    }

    #[test]
    fn the_newest_stands_first() {
        let key = |at| TimelineKey {
            occurred_at: Micros(at),
            kind: TimelineKind::Attribute,
            id: [0; 16],
            part: String::new(),
        };
        let mut keys = [key(1), key(-3), key(2)];
        keys.sort();
        assert_eq!(keys, [key(2), key(1), key(-3)]);
        assert_eq!(TimelineKey::from_bytes(b"short"), Err(Corrupt));
    }
}
