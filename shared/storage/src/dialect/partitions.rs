//! Tables that PostgreSQL cuts into pieces: by hash, so that a unique index stays shallow, and by the day of arrival,
//! so that old rows go by dropping a table. On SQLite they are plain tables.

use super::Dialect;

/// How many days one piece of a table cut by days covers. A piece a day would make every plan look at hundreds.
pub const DAYS_PER_PIECE: i32 = 28;

impl Dialect {
    /// A table with primary key `key`, cut into `pieces` by the hash of the key's last column.
    pub fn hash_partitioned(self, table: &str, columns: &str, key: &str, pieces: u32) -> Vec<String> {
        let columns = self.ddl(columns);
        match self {
            Self::Sqlite => vec![format!("CREATE TABLE {table} ({columns}, PRIMARY KEY ({key}))")],
            Self::Postgres => {
                let by = key.rsplit(',').next().unwrap_or(key).trim();
                let whole = format!("CREATE TABLE {table} ({columns}, PRIMARY KEY ({key})) PARTITION BY HASH ({by})");
                let piece = |number| {
                    format!(
                        "CREATE TABLE {table}_{number} PARTITION OF {table} \
                         FOR VALUES WITH (MODULUS {pieces}, REMAINDER {number})"
                    )
                };
                std::iter::once(whole).chain((0..pieces).map(piece)).collect()
            }
        }
    }

    /// A table with primary key `key`, cut by `day`. [`Dialect::make_day_pieces`] makes the pieces ahead of the days, as the
    /// tables' owner; rows of a day without a piece go into a common one.
    pub fn day_partitioned(self, table: &str, columns: &str, key: &str, day: &str) -> Vec<String> {
        let columns = self.ddl(columns);
        match self {
            Self::Sqlite => vec![
                format!("CREATE TABLE {table} ({columns}, PRIMARY KEY ({key}))"),
                format!("CREATE INDEX {table}_{day} ON {table} ({day})"),
            ],
            Self::Postgres => vec![
                format!("CREATE TABLE {table} ({columns}, PRIMARY KEY ({key}, {day})) PARTITION BY RANGE ({day})"),
                format!("CREATE TABLE {table}_other PARTITION OF {table} DEFAULT"),
                make_function(table),
                drop_function(table),
            ],
        }
    }

    /// The statement that makes the pieces for the days from `$1` to `$2`; `None` where there are no pieces.
    pub fn make_day_pieces(self, table: &str) -> Option<String> {
        (self == Self::Postgres).then(|| format!("SELECT {table}_make_pieces($1, $2)"))
    }

    /// The statement that removes the rows of days before `$1`: whole pieces on PostgreSQL, at most 5,000 rows elsewhere.
    pub fn drop_days(self, table: &str, day: &str) -> String {
        match self {
            Self::Postgres => format!("SELECT {table}_drop_pieces($1)"),
            Self::Sqlite => format!(
                "DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE {day} < $1 ORDER BY {day} LIMIT 5000)"
            ),
        }
    }
}

fn make_function(table: &str) -> String {
    format!(
        "CREATE FUNCTION {table}_make_pieces(first integer, last integer) RETURNS void
         LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $body$
         DECLARE piece integer;
         BEGIN
             FOR piece IN first / {DAYS_PER_PIECE} .. last / {DAYS_PER_PIECE} LOOP
                 IF to_regclass('{table}_d' || piece) IS NULL THEN
                     EXECUTE format('CREATE TABLE %I PARTITION OF {table} FOR VALUES FROM (%s) TO (%s)',
                         '{table}_d' || piece, piece * {DAYS_PER_PIECE}, (piece + 1) * {DAYS_PER_PIECE});
                     EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', '{table}_d' || piece);
                 END IF;
             END LOOP;
         END $body$"
    )
}

fn drop_function(table: &str) -> String {
    format!(
        "CREATE FUNCTION {table}_drop_pieces(before integer) RETURNS void
         LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $body$
         DECLARE piece record;
         BEGIN
             FOR piece IN SELECT c.relname AS name FROM pg_inherits i
                 JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = '{table}'::regclass
                 AND c.relname ~ '^{table}_d[0-9]+$'
             LOOP
                 IF (substring(piece.name FROM '[0-9]+$')::integer + 1) * {DAYS_PER_PIECE} <= before THEN
                     EXECUTE format('DROP TABLE %I', piece.name);
                 END IF;
             END LOOP;
         END $body$"
    )
}
