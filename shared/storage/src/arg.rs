//! Values bound to the placeholders of raw SQL. `$1` works on both stores.

use keizoku_base::{Day, Micros, Partition, WorkspaceId};
use sqlx::Arguments as _;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use uuid::Uuid;

use crate::dialect::SqlType;
use crate::fault::DbFault;

/// One bound value. Arrays are PostgreSQL arrays; on SQLite they are JSON text, read back by
/// [`crate::Dialect::elements`] and [`crate::Dialect::any`].
#[derive(Debug, Clone, PartialEq)]
pub enum Arg {
    /// True or false.
    Bool(Option<bool>),
    /// 16 bits.
    I16(Option<i16>),
    /// 32 bits.
    I32(Option<i32>),
    /// 64 bits.
    I64(Option<i64>),
    /// A float.
    F64(Option<f64>),
    /// Text.
    Text(Option<String>),
    /// Bytes.
    Bytes(Option<Vec<u8>>),
    /// An id.
    Uuid(Option<Uuid>),
    /// An array of true or false.
    Bools(Vec<Option<bool>>),
    /// An array of 16 bits each.
    I16s(Vec<Option<i16>>),
    /// An array of 32 bits each.
    I32s(Vec<Option<i32>>),
    /// An array of 64 bits each.
    I64s(Vec<Option<i64>>),
    /// An array of floats.
    F64s(Vec<Option<f64>>),
    /// An array of texts.
    Texts(Vec<Option<String>>),
    /// An array of byte strings.
    Blobs(Vec<Option<Vec<u8>>>),
    /// An array of ids.
    Uuids(Vec<Option<Uuid>>),
}

/// The values of one statement: `args![workspace, 7_i64, "text"]`.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => { ::std::vec![$($crate::Arg::from($value)),*] };
}

macro_rules! scalars {
    ($($type:ty => $variant:ident),* $(,)?) => {$(
        impl From<$type> for Arg {
            fn from(value: $type) -> Self {
                Self::$variant(Some(value))
            }
        }

        impl From<Option<$type>> for Arg {
            fn from(value: Option<$type>) -> Self {
                Self::$variant(value)
            }
        }
    )*};
}

macro_rules! arrays {
    ($($type:ty => $variant:ident),* $(,)?) => {$(
        impl From<Vec<$type>> for Arg {
            fn from(values: Vec<$type>) -> Self {
                Self::$variant(values.into_iter().map(Some).collect())
            }
        }

        impl From<Vec<Option<$type>>> for Arg {
            fn from(values: Vec<Option<$type>>) -> Self {
                Self::$variant(values)
            }
        }
    )*};
}

scalars!(bool => Bool, i16 => I16, i32 => I32, i64 => I64, f64 => F64, String => Text, Vec<u8> => Bytes, Uuid => Uuid);
arrays!(
    bool => Bools, i16 => I16s, i32 => I32s, i64 => I64s, f64 => F64s, String => Texts, Vec<u8> => Blobs, Uuid => Uuids,
);

impl From<&str> for Arg {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<&[u8]> for Arg {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(Some(value.to_vec()))
    }
}

impl<const N: usize> From<[u8; N]> for Arg {
    fn from(value: [u8; N]) -> Self {
        Self::Bytes(Some(value.to_vec()))
    }
}

impl From<WorkspaceId> for Arg {
    fn from(value: WorkspaceId) -> Self {
        Self::Uuid(Some(value.0))
    }
}

impl From<Partition> for Arg {
    fn from(value: Partition) -> Self {
        Self::I16(Some(i16::from(value.number())))
    }
}

impl From<Micros> for Arg {
    fn from(value: Micros) -> Self {
        Self::I64(Some(value.0))
    }
}

impl From<Day> for Arg {
    fn from(value: Day) -> Self {
        Self::I32(Some(value.0))
    }
}

impl Arg {
    /// The type of a single value, or of an array's elements.
    pub(crate) fn kind(&self) -> SqlType {
        match self {
            Self::Bool(_) | Self::Bools(_) => SqlType::Boolean,
            Self::I16(_) | Self::I16s(_) => SqlType::SmallInt,
            Self::I32(_) | Self::I32s(_) => SqlType::Integer,
            Self::I64(_) | Self::I64s(_) => SqlType::BigInt,
            Self::F64(_) | Self::F64s(_) => SqlType::Double,
            Self::Text(_) | Self::Texts(_) => SqlType::Text,
            Self::Bytes(_) | Self::Blobs(_) => SqlType::Bytes,
            Self::Uuid(_) | Self::Uuids(_) => SqlType::Uuid,
        }
    }

    /// The type of a single value; `None` for arrays.
    pub(crate) fn single_kind(&self) -> Option<SqlType> {
        self.empty_array(0).map(|array| array.kind())
    }

    /// An array of `capacity` elements of this single value's type, empty; `None` for arrays.
    pub(crate) fn empty_array(&self, capacity: usize) -> Option<Self> {
        Some(match self {
            Self::Bool(_) => Self::Bools(Vec::with_capacity(capacity)),
            Self::I16(_) => Self::I16s(Vec::with_capacity(capacity)),
            Self::I32(_) => Self::I32s(Vec::with_capacity(capacity)),
            Self::I64(_) => Self::I64s(Vec::with_capacity(capacity)),
            Self::F64(_) => Self::F64s(Vec::with_capacity(capacity)),
            Self::Text(_) => Self::Texts(Vec::with_capacity(capacity)),
            Self::Bytes(_) => Self::Blobs(Vec::with_capacity(capacity)),
            Self::Uuid(_) => Self::Uuids(Vec::with_capacity(capacity)),
            Self::Bools(_)
            | Self::I16s(_)
            | Self::I32s(_)
            | Self::I64s(_)
            | Self::F64s(_)
            | Self::Texts(_)
            | Self::Blobs(_)
            | Self::Uuids(_) => return None,
        })
    }

    /// Adds a single value to this array; `false` where their types differ.
    pub(crate) fn push(&mut self, value: Self) -> bool {
        match (self, value) {
            (Self::Bools(list), Self::Bool(value)) => list.push(value),
            (Self::I16s(list), Self::I16(value)) => list.push(value),
            (Self::I32s(list), Self::I32(value)) => list.push(value),
            (Self::I64s(list), Self::I64(value)) => list.push(value),
            (Self::F64s(list), Self::F64(value)) => list.push(value),
            (Self::Texts(list), Self::Text(value)) => list.push(value),
            (Self::Blobs(list), Self::Bytes(value)) => list.push(value),
            (Self::Uuids(list), Self::Uuid(value)) => list.push(value),
            _ => return false,
        }
        true
    }
}

macro_rules! single {
    ($bound:ident, $arg:ident; $($array:pat => $encode:expr),* $(,)?) => {
        match $arg {
            Arg::Bool(value) => $bound.add(value),
            Arg::I16(value) => $bound.add(value),
            Arg::I32(value) => $bound.add(value),
            Arg::I64(value) => $bound.add(value),
            Arg::F64(value) => $bound.add(value),
            Arg::Text(value) => $bound.add(value),
            Arg::Bytes(value) => $bound.add(value),
            Arg::Uuid(value) => $bound.add(value),
            $($array => $bound.add($encode),)*
        }
    };
}

pub(crate) fn for_postgres(args: Vec<Arg>) -> Result<PgArguments, DbFault> {
    let mut bound = PgArguments::default();
    for arg in args {
        single!(bound, arg;
            Arg::Bools(values) => values,
            Arg::I16s(values) => values,
            Arg::I32s(values) => values,
            Arg::I64s(values) => values,
            Arg::F64s(values) => values,
            Arg::Texts(values) => values,
            Arg::Blobs(values) => values,
            Arg::Uuids(values) => values,
        )
        .map_err(DbFault::internal)?;
    }
    Ok(bound)
}

pub(crate) fn for_sqlite(args: Vec<Arg>) -> Result<SqliteArguments, DbFault> {
    let mut bound = SqliteArguments::default();
    for arg in args {
        single!(bound, arg;
            Arg::Bools(values) => json(&values, ToString::to_string),
            Arg::I16s(values) => json(&values, ToString::to_string),
            Arg::I32s(values) => json(&values, ToString::to_string),
            Arg::I64s(values) => json(&values, ToString::to_string),
            Arg::F64s(values) => json(&values, ToString::to_string),
            Arg::Texts(values) => json(&values, |text| json_text(text)),
            Arg::Blobs(values) => json(&values, |bytes| json_hex(bytes)),
            Arg::Uuids(values) => json(&values, |id| json_hex(id.as_bytes())),
        )
        .map_err(DbFault::internal)?;
    }
    Ok(bound)
}

fn json<T>(values: &[Option<T>], write: impl Fn(&T) -> String) -> String {
    let elements: Vec<_> =
        values.iter().map(|value| value.as_ref().map_or_else(|| "null".to_owned(), &write)).collect();
    format!("[{}]", elements.join(","))
}

fn json_hex(bytes: &[u8]) -> String {
    format!("\"{}\"", data_encoding::HEXLOWER.encode(bytes))
}

fn json_text(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            control if control < ' ' => quoted.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_text_escapes_what_would_end_it() {
        assert_eq!(json_text("a\"b\\c\nd 継"), "\"a\\\"b\\\\c\\u000ad 継\"");
        assert_eq!(
            json(&[Some(Uuid::nil()), None], |id| json_hex(id.as_bytes())),
            format!("[\"{}\",null]", "0".repeat(32))
        );
    }
}
