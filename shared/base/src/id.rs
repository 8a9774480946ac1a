//! Ids: 16 bytes inside (UUIDv7), a prefix and 26 base32 letters on the wire (`acc_01j…`), opaque to clients.

use std::fmt;

use data_encoding::{Encoding, Specification};
use uuid::Uuid;

use crate::time::Micros;

/// One of the 64 shards of a workspace's feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(u8);

impl Partition {
    /// How many partitions a workspace has.
    pub const COUNT: u8 = 64;

    /// The partition of an entity: the last byte of its id, modulo 64.
    pub fn of(id: Uuid) -> Self {
        Self(id.as_bytes()[15] & (Self::COUNT - 1))
    }

    /// The partition with this number, if it is below [`Partition::COUNT`].
    pub fn new(number: u8) -> Option<Self> {
        (number < Self::COUNT).then_some(Self(number))
    }

    /// Its number, 0 to 63.
    pub fn number(self) -> u8 {
        self.0
    }

    /// All partitions, ascending.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }
}

fn base32() -> Encoding {
    let mut specification = Specification::new();
    specification.symbols.push_str("0123456789abcdefghjkmnpqrstvwxyz");
    specification.encoding().unwrap_or(data_encoding::BASE32_DNSCURVE)
}

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not an id of the form {prefix}_ and 26 letters or digits")]
pub struct IdError {
    /// The prefix that was expected.
    pub prefix: &'static str,
}

/// 16 bytes made of `now` and `random`: a UUIDv7.
fn uuid_v7(now: Micros, random: [u8; 10]) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(now.0.max(0) / 1000).unwrap_or(0), &random).into_uuid()
}

/// Ten random bytes of the operating system.
fn random_bytes() -> [u8; 10] {
    let mut bytes = [0_u8; 10];
    getrandom::fill(&mut bytes).unwrap_or_else(|fault| panic!("the operating system gave no random bytes: {fault}"));
    bytes
}

fn write_id(formatter: &mut fmt::Formatter<'_>, prefix: &str, id: Uuid) -> fmt::Result {
    write!(formatter, "{prefix}_{}", base32().encode(id.as_bytes()))
}

fn parse_id(text: &str, prefix: &'static str) -> Result<Uuid, IdError> {
    let wrong = IdError { prefix };
    let digits = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).ok_or_else(|| wrong.clone())?;
    let bytes = base32().decode(digits.as_bytes()).map_err(|_| wrong.clone())?;
    Uuid::from_slice(&bytes).map_err(|_| wrong)
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl $name {
            /// What every id of this kind begins with on the wire.
            pub const PREFIX: &'static str = $prefix;

            /// A new id that sorts by `now`.
            pub fn generate(now: Micros) -> Self {
                Self(uuid_v7(now, random_bytes()))
            }

            /// An id from `now` and given randomness, for generators that must repeat themselves.
            pub fn seeded(now: Micros, random: [u8; 10]) -> Self {
                Self(uuid_v7(now, random))
            }

            /// The partition this id alone decides.
            pub fn partition(self) -> Partition {
                Partition::of(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_id(formatter, Self::PREFIX, self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_id(formatter, Self::PREFIX, self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_id(text, Self::PREFIX).map(Self)
            }
        }
    )*};
}

ids! {
    /// A workspace: the wall around one company's data.
    WorkspaceId = "ws";
    /// A customer company.
    AccountId = "acc";
    /// A person at a customer company.
    ContactId = "con";
    /// A person who uses the product.
    UserId = "usr";
    /// A contract.
    ContractId = "ctr";
    /// A conversation.
    ConversationId = "cnv";
    /// A cancellation.
    CancellationId = "cnl";
    /// A metric definition.
    MetricId = "met";
    /// An API key.
    KeyId = "key";
    /// A member of the staff.
    MemberId = "mem";
    /// A health model.
    ModelId = "mdl";
    /// A weekly snapshot or another frozen answer.
    SnapshotId = "snp";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_a_round_trip_over_the_wire() {
        let id = AccountId::generate(Micros(1_700_000_000_000_000));
        let text = id.to_string();
        assert_eq!(text.len(), 4 + 26);
        assert_eq!(text.parse(), Ok(id));
    }

    #[test]
    fn refuses_other_prefixes_lengths_and_letters() {
        let id = AccountId::generate(Micros(0)).to_string();
        for wrong in ["", "acc_", "acc_0", &id[..29], &id.replace("acc", "con"), &id.to_uppercase(), &format!("{id}0")]
        {
            assert_eq!(wrong.parse::<AccountId>(), Err(IdError { prefix: "acc" }), "{wrong}");
        }
    }

    #[test]
    fn sorts_by_the_time_it_was_made() {
        assert!(AccountId::generate(Micros(2_000_000)) > AccountId::generate(Micros(1_000_000)));
    }
}
