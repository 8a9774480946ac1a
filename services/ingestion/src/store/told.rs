//! What the tables of things that sources tell have in common: an id of ours, a name in the source, an account, a digest
//! of the content; and how their rows are found, saved and paged.

use keizoku_base::money::{Currency, Money, Period};
use keizoku_base::{AccountId, Day, ExternalId, Micros, WorkspaceId};
use keizoku_storage::{Arg, DbFault, Dialect, Row, SqlType, Tx, args};
use uuid::Uuid;

use crate::domain::key::Key;
use crate::domain::pack::Digest;
use crate::domain::value::Attributes;

/// A thing that a source told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told<D> {
    /// Our id.
    pub(crate) id: Uuid,
    /// Its id in the source.
    pub(crate) external: ExternalId,
    /// The account.
    pub(crate) account: AccountId,
    /// What is known of it.
    pub(crate) details: D,
    /// When the source knew it.
    pub(crate) known_at: Micros,
    /// The digest of all that.
    pub(crate) content: Digest,
}

/// A stretch of a customer's history: entries of one kind, newest first.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    /// Not before this.
    pub(crate) from: Arg,
    /// Not after this.
    pub(crate) upto: Arg,
    /// After the entry at that time, and with that to tell it from others of that time.
    pub(crate) after: Option<(Arg, Arg)>,
    /// Entries at the most.
    pub(crate) limit: u32,
}

impl Slice {
    /// Conditions, order and limit for a query that has `args` already; `at` is the column of the time, `tie` the one
    /// that tells entries of one time apart.
    pub(crate) fn clause(&self, at: &str, tie: &str, args: &mut Vec<Arg>) -> String {
        let mut bind = |arg: &Arg| {
            args.push(arg.clone());
            format!("${}", args.len())
        };
        let mut clause = format!(" AND {at} >= {} AND {at} <= {}", bind(&self.from), bind(&self.upto));
        if let Some((then, last)) = &self.after {
            let (then, last) = (bind(then), bind(last));
            clause.push_str(&format!(" AND ({at} < {then} OR ({at} = {then} AND {tie} > {last}))"));
        }
        let limit = bind(&Arg::from(i64::from(self.limit)));
        format!("{clause} ORDER BY {at} DESC, {tie} LIMIT {limit}")
    }
}

/// A condition: source and external id are one of the pairs that [`names`] bound at `$2` and `$3`.
pub(crate) fn named(dialect: Dialect) -> String {
    let pairs = dialect.columns(&[("$2", SqlType::Text), ("$3", SqlType::Text)]);
    format!("(source, external_id) IN ({pairs})")
}

/// The workspace and the pairs for [`named`].
pub(crate) fn names(workspace: WorkspaceId, externals: &[ExternalId]) -> Vec<Arg> {
    let sources: Vec<String> = externals.iter().map(|external| external.source.clone()).collect();
    let ids: Vec<String> = externals.iter().map(|external| external.id.clone()).collect();
    args![workspace, sources, ids]
}

/// Rows by their names in their sources, locked in the order of their ids. `select` ends where conditions follow.
pub(crate) async fn by_name(
    tx: &Tx,
    workspace: WorkspaceId,
    select: &str,
    id: &str,
    externals: &[ExternalId],
    lock: bool,
) -> Result<Vec<Row>, DbFault> {
    let lock = if lock { tx.dialect().for_update() } else { "" };
    let sql = format!("{select} WHERE workspace_id = $1 AND {} ORDER BY {id}{lock}", named(tx.dialect()));
    tx.fetch_all(&sql, names(workspace, externals)).await
}

/// At most `limit` rows of the workspace, by id, after `after`.
pub(crate) async fn by_id(
    tx: &Tx,
    workspace: WorkspaceId,
    select: &str,
    id: &str,
    after: Uuid,
    limit: u32,
) -> Result<Vec<Row>, DbFault> {
    let sql = format!("{select} WHERE workspace_id = $1 AND {id} > $2 ORDER BY {id} LIMIT $3");
    tx.fetch_all(&sql, args![workspace, after, i64::from(limit)]).await
}

/// Two who add the same name at the same time: the later one begins again and finds the row of the first.
pub(crate) fn raced(fault: DbFault) -> DbFault {
    if let DbFault::Unique { source, .. } = fault { DbFault::Contention(source) } else { fault }
}

/// Somebody added a name while this transaction was about to: it begins again.
pub(crate) fn lost_race() -> DbFault {
    let source: Box<dyn std::error::Error + Send + Sync> = "a name was given by somebody else meanwhile".into();
    DbFault::Contention(source.into())
}

/// `(id) DO UPDATE SET …` for all columns.
pub(crate) fn replace(id: &str, columns: &[&str]) -> String {
    let sets: Vec<String> = columns.iter().map(|column| format!("{column} = excluded.{column}")).collect();
    format!("(workspace_id, {id}) DO UPDATE SET {}", sets.join(", "))
}

/// Attributes as stored; a stub's are no bytes at all.
pub(crate) fn attributes(bytes: &[u8]) -> Result<Attributes, DbFault> {
    if bytes.is_empty() { Ok(Attributes::default()) } else { Attributes::from_bytes(bytes).map_err(DbFault::internal) }
}

/// A digest as stored.
pub(crate) fn digest(bytes: &[u8]) -> Result<Digest, DbFault> {
    Ok(Digest(bytes.try_into().map_err(|_| DbFault::internal("a digest has not 16 bytes"))?))
}

/// A key as stored.
pub(crate) fn key(text: String) -> Result<Key, DbFault> {
    Key::check(text).map_err(|_| DbFault::internal("a stored key is none"))
}

/// A key that may be empty, as stored.
pub(crate) fn optional_key(text: String) -> Result<Option<Key>, DbFault> {
    Key::check_optional(text).map_err(|_| DbFault::internal("a stored key is none"))
}

/// An optional key as it is stored.
pub(crate) fn key_text(key: Option<&Key>) -> String {
    key.map(|key| key.as_str().to_owned()).unwrap_or_default()
}

/// Minor units, currency and period from the columns at `first` and after.
pub(crate) fn money(row: &Row, first: usize) -> Result<Option<Money>, DbFault> {
    let (minor, code): (Option<i64>, Option<String>) = (row.get(first)?, row.get(first + 1)?);
    let period: Option<i16> = row.get(first + 2)?;
    let (Some(minor), Some(code), Some(period)) = (minor, code, period) else { return Ok(None) };
    let currency = Currency::parse(&code).ok_or_else(|| DbFault::internal("a stored currency is none"))?;
    let period = match period {
        1 => Period::OneOff,
        2 => Period::Month,
        3 => Period::Year,
        _ => return Err(DbFault::internal("a stored period is none")),
    };
    Ok(Some(Money { minor, currency, period }))
}

/// Minor units, currency and period as they are stored.
pub(crate) fn money_args(money: Option<Money>) -> [Arg; 3] {
    let period = money.map(|money| match money.period {
        Period::OneOff => 1_i16,
        Period::Month => 2,
        Period::Year => 3,
    });
    [
        Arg::from(money.map(|money| money.minor)),
        Arg::from(money.map(|money| money.currency.code().to_owned())),
        Arg::from(period),
    ]
}

/// A day that may be absent, as it is stored.
pub(crate) fn day_arg(day: Option<Day>) -> Arg {
    Arg::from(day.map(|day| day.0))
}

/// An instant that may be absent, as it is stored.
pub(crate) fn instant_arg(at: Option<Micros>) -> Arg {
    Arg::from(at.map(|at| at.0))
}
