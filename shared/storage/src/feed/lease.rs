//! Which replica of a consumer works on which partitions: PostgreSQL only. Time is the database's, so that replicas
//! agree on it; what a paused owner may still do is decided by the fence in `cursor`, not by its clock.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use keizoku_base::Partition;

use super::append::partition_of;
use super::types::{Partitions, number};
use crate::db::Db;
use crate::dialect::SqlType;
use crate::fault::DbFault;
use crate::row::Row;
use crate::tx::{Scope, Tx};

/// The partitions that this replica holds, each with the number of its lease.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Held(BTreeMap<Partition, i64>);

impl Held {
    /// All partitions without a lease: SQLite has one process.
    pub(crate) fn unleased() -> Self {
        Self(Partition::all().map(|partition| (partition, 0)).collect())
    }

    pub(crate) fn epoch(&self, partition: Partition) -> Option<i64> {
        self.0.get(&partition).copied()
    }

    pub(crate) fn partitions(&self) -> Partitions {
        self.0.keys().copied().collect()
    }

    pub(crate) fn remove(&mut self, partition: Partition) {
        self.0.remove(&partition);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Partition numbers and lease numbers, as two arrays of a statement.
    pub(crate) fn arrays(&self) -> (Vec<i16>, Vec<i64>) {
        (self.0.keys().copied().map(number).collect(), self.0.values().copied().collect())
    }
}

/// One replica's leases of one consumer.
#[derive(Debug, Clone)]
pub(crate) struct Leases {
    pub(crate) db: Db,
    pub(crate) consumer: &'static str,
    pub(crate) owner: String,
    pub(crate) ttl: Duration,
}

impl Leases {
    /// A name for this replica that no other has.
    pub(crate) fn owner_name() -> String {
        // The standard library seeds each RandomState from the operating system.
        let random = RandomState::new().build_hasher().finish();
        format!("{}-{random:016x}", std::process::id())
    }

    /// Makes the consumer's lease rows where they are missing.
    pub(crate) async fn prepare(&self) -> Result<(), DbFault> {
        let tx = self.db.begin("feed.lease.prepare", Scope::System).await?;
        let sql = format!(
            "INSERT INTO feed_lease (consumer, partition, owner, epoch, expires_at)
             SELECT $1, value, '', 0, 0 FROM ({}) AS numbers ORDER BY value ON CONFLICT DO NOTHING",
            tx.dialect().elements("$2", SqlType::SmallInt)
        );
        tx.execute(&sql, crate::args![self.consumer, Partitions::ALL.numbers()]).await?;
        tx.commit().await
    }

    /// Renews what is held, gives back what is above the fair share, takes what is free up to it.
    pub(crate) async fn tick(&self) -> Result<Held, DbFault> {
        let tx = self.db.begin("feed.lease", Scope::System).await?;
        let share = self.share(&tx).await?;
        let mut held = self.renew(&tx).await?;
        if held.len() > share {
            let surplus: Vec<Partition> = held.keys().rev().take(held.len() - share).copied().collect();
            self.give_back(&tx, surplus.iter().copied().collect()).await?;
            held.retain(|partition, _| !surplus.contains(partition));
        } else if held.len() < share {
            held.extend(self.take(&tx, share - held.len()).await?);
        }
        tx.commit().await?;
        Ok(Held(held))
    }

    /// Gives everything back, so that others need not wait for the leases to end.
    pub(crate) async fn release(&self) -> Result<(), DbFault> {
        let tx = self.db.begin("feed.lease.release", Scope::System).await?;
        self.give_back(&tx, Partitions::ALL).await?;
        let sql = "DELETE FROM feed_replica WHERE consumer = $1 AND owner = $2";
        tx.execute(sql, crate::args![self.consumer, self.owner.as_str()]).await?;
        tx.commit().await
    }

    /// How many partitions each living replica may hold, this one counted.
    async fn share(&self, tx: &Tx) -> Result<usize, DbFault> {
        let now = tx.dialect().now_micros();
        let sql = format!(
            "WITH me AS (
                INSERT INTO feed_replica (consumer, owner, expires_at) VALUES ($1, $2, {now} + $3)
                ON CONFLICT (consumer, owner) DO UPDATE SET expires_at = excluded.expires_at
             )
             SELECT count(*) AS others FROM feed_replica WHERE consumer = $1 AND owner <> $2 AND expires_at > {now}"
        );
        let args = crate::args![self.consumer, self.owner.as_str(), self.ttl_micros()];
        let row = tx.fetch_one(&sql, args).await?;
        let others = usize::try_from(row.get::<i64, _>("others")?).unwrap_or(0);
        Ok(usize::from(Partition::COUNT).div_ceil(others + 1))
    }

    /// A lease that ended but that nobody took is still ours.
    async fn renew(&self, tx: &Tx) -> Result<BTreeMap<Partition, i64>, DbFault> {
        let sql = format!(
            "UPDATE feed_lease SET expires_at = {} + $3 WHERE consumer = $1 AND owner = $2 RETURNING partition, epoch",
            tx.dialect().now_micros()
        );
        let args = crate::args![self.consumer, self.owner.as_str(), self.ttl_micros()];
        leases(&tx.fetch_all(&sql, args).await?)
    }

    async fn take(&self, tx: &Tx, most: usize) -> Result<BTreeMap<Partition, i64>, DbFault> {
        let now = tx.dialect().now_micros();
        // Whose partitions are free to take may be dead: the rows of the dead are cleared away here.
        let sql = format!(
            "DELETE FROM feed_replica WHERE consumer = $1 AND owner IN (
                SELECT owner FROM feed_replica WHERE consumer = $1 AND expires_at <= {now}{})",
            tx.dialect().for_update_skip_locked()
        );
        tx.execute(&sql, crate::args![self.consumer]).await?;
        let sql = format!(
            "UPDATE feed_lease SET owner = $2, epoch = epoch + 1, expires_at = {now} + $3
             WHERE consumer = $1 AND partition IN (
                SELECT partition FROM feed_lease WHERE consumer = $1 AND expires_at <= {now}
                ORDER BY partition LIMIT $4{}
             ) RETURNING partition, epoch",
            tx.dialect().for_update_skip_locked()
        );
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let args = crate::args![self.consumer, self.owner.as_str(), self.ttl_micros(), most];
        leases(&tx.fetch_all(&sql, args).await?)
    }

    async fn give_back(&self, tx: &Tx, partitions: Partitions) -> Result<(), DbFault> {
        let sql = format!(
            "UPDATE feed_lease SET owner = '', expires_at = 0 WHERE consumer = $1 AND owner = $2 AND {}",
            tx.dialect().any("partition", "$3", SqlType::SmallInt)
        );
        tx.execute(&sql, crate::args![self.consumer, self.owner.as_str(), partitions.numbers()]).await?;
        Ok(())
    }

    fn ttl_micros(&self) -> i64 {
        i64::try_from(self.ttl.as_micros()).unwrap_or(i64::MAX)
    }
}

/// Whether every lease of `held` is still the newest of its partition; they stay so until the transaction ends.
pub(crate) async fn confirm(tx: &Tx, consumer: &'static str, held: &Held) -> Result<bool, DbFault> {
    let sql = format!(
        "SELECT feed_lease.partition FROM feed_lease JOIN ({}) AS mine ON mine.c1 = feed_lease.partition
         WHERE feed_lease.consumer = $1 AND feed_lease.epoch = mine.c2
         ORDER BY feed_lease.partition FOR SHARE OF feed_lease",
        tx.dialect().columns(&[("$2", SqlType::SmallInt), ("$3", SqlType::BigInt)])
    );
    let (partitions, epochs) = held.arrays();
    let wanted = partitions.len();
    Ok(tx.fetch_all(&sql, crate::args![consumer, partitions, epochs]).await?.len() == wanted)
}

fn leases(rows: &[Row]) -> Result<BTreeMap<Partition, i64>, DbFault> {
    rows.iter().map(|row| Ok((partition_of(row, "partition")?, row.get("epoch")?))).collect()
}
