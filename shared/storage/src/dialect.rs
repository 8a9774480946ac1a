//! Everything that differs between PostgreSQL and SQLite, DDL's differences included.

mod partitions;

pub use partitions::DAYS_PER_PIECE;

/// The role that serves: it owns nothing, so row-level security binds it.
pub const APP_ROLE: &str = "keizoku_app";

/// Which store is underneath.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// PostgreSQL 15 or newer.
    Postgres,
    /// SQLite 3.45 or newer.
    Sqlite,
}

/// The types that our columns have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SqlType {
    /// True or false.
    Boolean,
    /// 16 bits.
    SmallInt,
    /// 32 bits; days too.
    Integer,
    /// 64 bits; instants (epoch microseconds), money, metric values too.
    BigInt,
    /// A 64-bit float.
    Double,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// 16 bytes.
    Uuid,
}

impl Dialect {
    /// The column type's name.
    pub fn name_of(self, kind: SqlType) -> &'static str {
        match (self, kind) {
            (_, SqlType::Boolean) => "BOOLEAN",
            (_, SqlType::SmallInt) => "SMALLINT",
            (_, SqlType::Integer) => "INTEGER",
            (_, SqlType::BigInt) => "BIGINT",
            (_, SqlType::Text) => "TEXT",
            (Self::Postgres, SqlType::Double) => "DOUBLE PRECISION",
            (Self::Postgres, SqlType::Bytes) => "BYTEA",
            (Self::Postgres, SqlType::Uuid) => "UUID",
            (Self::Sqlite, SqlType::Double) => "REAL",
            (Self::Sqlite, SqlType::Bytes | SqlType::Uuid) => "BLOB",
        }
    }

    /// A DDL statement from a template in which `{uuid}`, `{bytes}` and `{double}` stand for the types that differ.
    /// `BOOLEAN`, `SMALLINT`, `INTEGER`, `BIGINT` and `TEXT` are written as they are.
    pub fn ddl(self, template: &str) -> String {
        template
            .replace("{uuid}", self.name_of(SqlType::Uuid))
            .replace("{bytes}", self.name_of(SqlType::Bytes))
            .replace("{double}", self.name_of(SqlType::Double))
    }

    /// The statements that put the wall around a table that has a `workspace_id`: a transaction sees and changes only
    /// the rows of the workspace it was begun for. None on SQLite, where the queries' own conditions are all there is.
    pub fn wall(self, table: &str) -> Vec<String> {
        match self {
            Self::Sqlite => Vec::new(),
            Self::Postgres => {
                // The sub-selects are evaluated once a statement, not once a row. A setting that was local to an
                // earlier transaction reads '' and not NULL.
                let inside = "(SELECT current_setting('keizoku.scope', true)) = 'system' OR workspace_id = \
                              (SELECT nullif(current_setting('keizoku.workspace', true), '')::uuid)";
                vec![
                    format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"),
                    format!("ALTER TABLE {table} FORCE ROW LEVEL SECURITY"),
                    format!("CREATE POLICY wall ON {table} USING ({inside}) WITH CHECK ({inside})"),
                ]
            }
        }
    }

    /// The ending of a `CREATE TABLE` whose rows are updated over and over: room in each page, early vacuum.
    pub fn hot_table(self) -> &'static str {
        match self {
            Self::Postgres => {
                " WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0)"
            }
            Self::Sqlite => "",
        }
    }

    /// An expression for the database's own time in epoch microseconds: leases and deadlines live by it.
    pub fn now_micros(self) -> &'static str {
        match self {
            Self::Postgres => "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)",
            Self::Sqlite => "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
        }
    }

    /// A query of one column `value`, a row for each element of the array bound at `placeholder` (`$2`).
    pub fn elements(self, placeholder: &str, kind: SqlType) -> String {
        match self {
            Self::Postgres => {
                format!("SELECT value FROM unnest({placeholder}::{}[]) AS list(value)", self.name_of(kind))
            }
            Self::Sqlite => match kind {
                SqlType::Bytes | SqlType::Uuid => {
                    format!("SELECT unhex(value) AS value FROM json_each({placeholder})")
                }
                SqlType::Boolean
                | SqlType::SmallInt
                | SqlType::Integer
                | SqlType::BigInt
                | SqlType::Double
                | SqlType::Text => format!("SELECT value FROM json_each({placeholder})"),
            },
        }
    }

    /// A condition: `column` is one of the elements of the array bound at `placeholder`.
    pub fn any(self, column: &str, placeholder: &str, kind: SqlType) -> String {
        match self {
            Self::Postgres => format!("{column} = ANY({placeholder}::{}[])", self.name_of(kind)),
            Self::Sqlite => format!("{column} IN ({})", self.elements(placeholder, kind)),
        }
    }

    /// A condition: the text `column` contains the text bound at `placeholder`, without regard to ASCII case.
    pub fn contains(self, column: &str, placeholder: &str) -> String {
        match self {
            // The collation "C" lowers ASCII letters alone, whatever the database's is.
            Self::Postgres => {
                format!("strpos(lower({column} COLLATE \"C\"), lower({placeholder}::text COLLATE \"C\")) > 0")
            }
            Self::Sqlite => format!("instr(lower({column}), lower({placeholder})) > 0"),
        }
    }

    /// The ending of a text column in ORDER BY or a comparison, so that it orders by its bytes.
    pub fn bytewise(self) -> &'static str {
        match self {
            Self::Postgres => " COLLATE \"C\"",
            Self::Sqlite => "",
        }
    }

    /// An expression for 16 random bytes.
    pub fn random_bytes(self) -> &'static str {
        match self {
            Self::Postgres => "uuid_send(gen_random_uuid())",
            Self::Sqlite => "randomblob(16)",
        }
    }

    /// A query of columns `c1`, `c2`, …: a row for each index of the arrays bound at the placeholders, which are of
    /// one length.
    pub fn columns(self, arrays: &[(&str, SqlType)]) -> String {
        let names = (1..=arrays.len()).map(|index| format!("c{index}")).collect::<Vec<_>>().join(", ");
        match self {
            Self::Postgres => {
                let cast = |(placeholder, kind): &(&str, SqlType)| format!("{placeholder}::{}[]", self.name_of(*kind));
                let lists = arrays.iter().map(cast).collect::<Vec<_>>().join(", ");
                format!("SELECT {names} FROM unnest({lists}) AS list({names})")
            }
            Self::Sqlite => {
                let value = |(index, (_, kind)): (usize, &(&str, SqlType))| match kind {
                    SqlType::Bytes | SqlType::Uuid => format!("unhex(list{index}.value) AS c{}", index + 1),
                    SqlType::Boolean
                    | SqlType::SmallInt
                    | SqlType::Integer
                    | SqlType::BigInt
                    | SqlType::Double
                    | SqlType::Text => format!("list{index}.value AS c{}", index + 1),
                };
                let values = arrays.iter().enumerate().map(value).collect::<Vec<_>>().join(", ");
                let join = |(index, (placeholder, _)): (usize, &(&str, SqlType))| match index {
                    0 => format!("json_each({placeholder}) AS list0"),
                    _ => format!("JOIN json_each({placeholder}) AS list{index} ON list{index}.key = list0.key"),
                };
                let lists = arrays.iter().enumerate().map(join).collect::<Vec<_>>().join(" ");
                format!("SELECT {values} FROM {lists}")
            }
        }
    }

    /// The ending of a SELECT that locks what it finds; SQLite's one writer holds the whole file already.
    pub fn for_update(self) -> &'static str {
        match self {
            Self::Postgres => " FOR UPDATE",
            Self::Sqlite => "",
        }
    }

    /// Like [`Dialect::for_update`], leaving out rows that others hold.
    pub fn for_update_skip_locked(self) -> &'static str {
        match self {
            Self::Postgres => " FOR UPDATE SKIP LOCKED",
            Self::Sqlite => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ddl_names_the_types_of_the_store() {
        let template = "CREATE TABLE t (workspace_id {uuid}, key {bytes}, value {double}, at BIGINT)";
        assert_eq!(
            Dialect::Postgres.ddl(template),
            "CREATE TABLE t (workspace_id UUID, key BYTEA, value DOUBLE PRECISION, at BIGINT)"
        );
        assert_eq!(
            Dialect::Sqlite.ddl(template),
            "CREATE TABLE t (workspace_id BLOB, key BLOB, value REAL, at BIGINT)"
        );
    }
}
