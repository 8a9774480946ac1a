//! A row of raw SQL, the same on both stores.

use sqlx::error::UnexpectedNullError;
use sqlx::postgres::{PgRow, Postgres};
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{ColumnIndex, Decode, Row as _, Type, ValueRef as _};
use uuid::Uuid;

use crate::fault::DbFault;

/// One row that a raw query found.
#[derive(Debug)]
pub struct Row(Kind);

#[derive(Debug)]
enum Kind {
    Postgres(PgRow),
    Sqlite(SqliteRow),
}

impl Row {
    /// The value of a column, by its index or its name: `bool`, `i16`, `i32`, `i64`, `f64`, `String`, `&str`,
    /// `Vec<u8>`, `&[u8]`, `Uuid`, and `Option` of each.
    ///
    /// # Errors
    /// [`DbFault::Internal`] where there is no such column, its type is another, or it is NULL and not asked for as
    /// an `Option`.
    pub fn get<'r, T, I>(&'r self, index: I) -> Result<T, DbFault>
    where
        T: Cell + Decode<'r, Postgres> + Type<Postgres> + Decode<'r, Sqlite> + Type<Sqlite>,
        I: ColumnIndex<PgRow> + ColumnIndex<SqliteRow>,
    {
        match &self.0 {
            Kind::Postgres(row) => Ok(row.try_get(index)?),
            Kind::Sqlite(row) => {
                let index = index.index(row)?;
                // The driver reads NULL as 0 or as nothing: missing is not zero.
                if !T::OPTIONAL && row.try_get_raw(index)?.is_null() {
                    let source = Box::new(UnexpectedNullError);
                    return Err(sqlx::Error::ColumnDecode { index: index.to_string(), source }.into());
                }
                Ok(row.try_get(index)?)
            }
        }
    }
}

/// A type that [`Row::get`] can read a column as.
pub trait Cell {
    /// Whether NULL is a value of it.
    const OPTIONAL: bool = false;
}

macro_rules! cells {
    ($($type:ty),*) => { $(impl Cell for $type {})* };
}

cells!(bool, i16, i32, i64, f64, String, &str, Vec<u8>, &[u8], Uuid);

impl<T: Cell> Cell for Option<T> {
    const OPTIONAL: bool = true;
}

impl From<PgRow> for Row {
    fn from(row: PgRow) -> Self {
        Self(Kind::Postgres(row))
    }
}

impl From<SqliteRow> for Row {
    fn from(row: SqliteRow) -> Self {
        Self(Kind::Sqlite(row))
    }
}
