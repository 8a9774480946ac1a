//! Inserting many rows at once: UNNEST on PostgreSQL, 100-row statements on SQLite. Never COPY: row-level security
//! refuses it.

use std::fmt::Write as _;

use crate::arg::Arg;
use crate::dialect::Dialect;
use crate::fault::DbFault;
use crate::row::Row;
use crate::tx::Tx;

const POSTGRES_ROWS: usize = 5000;
const SQLITE_ROWS: usize = 100;

/// What happens to a row whose key exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict<'a> {
    /// The statement fails with [`DbFault::Unique`].
    Fail,
    /// It is left out.
    Skip,
    /// The text after `ON CONFLICT`: `(a, b) DO UPDATE SET c = excluded.c`. No two rows of one call may have the same
    /// key then: PostgreSQL refuses to change a row twice in one statement.
    Do(&'a str),
}

/// Inserts `rows`, each with a value for every column, in their order; answers how many were inserted or changed.
/// Keys that others may insert at the same time are sorted by the caller, or two calls can wait for each other.
///
/// # Errors
/// Any [`DbFault`] of a statement; [`DbFault::Internal`] where a row has another number or other types of values.
pub async fn bulk_insert(
    tx: &Tx,
    table: &str,
    columns: &[&str],
    rows: Vec<Vec<Arg>>,
    on_conflict: OnConflict<'_>,
) -> Result<u64, DbFault> {
    let mut changed = 0;
    for chunk in chunks(tx.dialect(), rows) {
        let (sql, args) = statement(tx.dialect(), table, columns, chunk, on_conflict, "")?;
        changed += tx.execute(&sql, args).await?;
    }
    Ok(changed)
}

/// Like [`bulk_insert`], answering the columns named by `returning` of each row inserted or changed, in any order.
///
/// # Errors
/// Like [`bulk_insert`].
pub async fn bulk_insert_returning(
    tx: &Tx,
    table: &str,
    columns: &[&str],
    rows: Vec<Vec<Arg>>,
    on_conflict: OnConflict<'_>,
    returning: &str,
) -> Result<Vec<Row>, DbFault> {
    let mut found = Vec::new();
    for chunk in chunks(tx.dialect(), rows) {
        let (sql, args) = statement(tx.dialect(), table, columns, chunk, on_conflict, returning)?;
        found.extend(tx.fetch_all(&sql, args).await?);
    }
    Ok(found)
}

fn chunks(dialect: Dialect, rows: Vec<Vec<Arg>>) -> impl Iterator<Item = Vec<Vec<Arg>>> + Send {
    let size = match dialect {
        Dialect::Postgres => POSTGRES_ROWS,
        Dialect::Sqlite => SQLITE_ROWS,
    };
    let mut rest = rows.into_iter();
    std::iter::from_fn(move || {
        let chunk: Vec<_> = rest.by_ref().take(size).collect();
        (!chunk.is_empty()).then_some(chunk)
    })
}

fn statement(
    dialect: Dialect,
    table: &str,
    columns: &[&str],
    rows: Vec<Vec<Arg>>,
    on_conflict: OnConflict<'_>,
    returning: &str,
) -> Result<(String, Vec<Arg>), DbFault> {
    check(columns, &rows)?;
    let mut sql = format!("INSERT INTO {table} ({}) ", columns.join(", "));
    let args = match dialect {
        Dialect::Sqlite => {
            let row = format!("({})", vec!["?"; columns.len()].join(","));
            sql.push_str("VALUES ");
            sql.push_str(&vec![row.as_str(); rows.len()].join(","));
            rows.into_iter().flatten().collect()
        }
        Dialect::Postgres => {
            let arrays = transpose(rows)?;
            sql.push_str("SELECT * FROM unnest(");
            for (index, array) in arrays.iter().enumerate() {
                let comma = if index == 0 { "" } else { ", " };
                let kind = dialect.name_of(array.kind());
                write!(sql, "{comma}${}::{kind}[]", index + 1).map_err(DbFault::internal)?;
            }
            sql.push(')');
            arrays
        }
    };
    match on_conflict {
        OnConflict::Fail => {}
        OnConflict::Skip => sql.push_str(" ON CONFLICT DO NOTHING"),
        OnConflict::Do(text) => {
            sql.push_str(" ON CONFLICT ");
            sql.push_str(text);
        }
    }
    if !returning.is_empty() {
        sql.push_str(" RETURNING ");
        sql.push_str(returning);
    }
    Ok((sql, args))
}

/// SQLite would store a value of any type in any column.
fn check(columns: &[&str], rows: &[Vec<Arg>]) -> Result<(), DbFault> {
    let kinds: Vec<_> = rows.first().into_iter().flatten().map(Arg::single_kind).collect();
    let alike = |row: &Vec<Arg>| row.iter().map(Arg::single_kind).eq(kinds.iter().copied());
    if kinds.len() != columns.len() || kinds.contains(&None) || !rows.iter().all(alike) {
        return Err(DbFault::internal("a row of a bulk insert has other columns or types than the first"));
    }
    Ok(())
}

/// One array a column, of the type that the first row has there.
fn transpose(rows: Vec<Vec<Arg>>) -> Result<Vec<Arg>, DbFault> {
    let count = rows.len();
    let first = rows.first().map_or(&[][..], Vec::as_slice);
    let arrays: Option<Vec<_>> = first.iter().map(|value| value.empty_array(count)).collect();
    let mut arrays = arrays.ok_or_else(|| DbFault::internal("a bulk insert cannot store arrays"))?;
    for row in rows {
        for (array, value) in arrays.iter_mut().zip(row) {
            if !array.push(value) {
                return Err(DbFault::internal("a column of a bulk insert has values of different types"));
            }
        }
    }
    Ok(arrays)
}
