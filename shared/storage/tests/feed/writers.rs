//! Many writers at once.

use std::collections::HashMap;
use std::time::Duration;

use keizoku_base::{Partition, WorkspaceId};
use keizoku_storage::feed::{self, PageLimit, Partitions};
use keizoku_storage::{Db, Scope};
use tokio::task::JoinSet;

use crate::store::{Store, on_postgres, set, workspace};

const WRITERS: i32 = 64;
const TURNS: i32 = 12;

/// A repeatable number of 0 to 99.
fn dice(writer: i32, turn: i32, salt: i32) -> u64 {
    let mixed = (i64::from(writer) * 7919 + i64::from(turn) * 104_729 + i64::from(salt) * 1_299_709).wrapping_mul(31);
    mixed.unsigned_abs() / 7 % 100
}

/// Several transactions with pauses between state and commit; some are rolled back, some just dropped. Answers how
/// many changes it committed.
async fn write_slowly(db: Db, workspace: WorkspaceId, writer: i32) -> i64 {
    let mut committed = 0;
    for turn in 0..TURNS {
        let tx = db.begin("test.writer", Scope::Workspace(workspace)).await.expect("begins");
        let count = i32::try_from(1 + dice(writer, turn, 1) % 8).expect("small");
        let keys: Vec<_> =
            (0..count).map(|nth| (writer * 100_000 + turn * 1000 + nth * 7, Some(i64::from(turn)))).collect();
        set(&tx, workspace, &keys).await.expect("writes");
        tokio::time::sleep(Duration::from_millis(dice(writer, turn, 2) % 10)).await;
        match dice(writer, turn, 3) {
            0..10 => drop(tx),
            10..20 => tx.rollback().await.expect("rolls back"),
            _ => {
                tx.commit().await.expect("commits");
                committed += i64::from(count);
            }
        }
    }
    committed
}

/// Reads after its own positions and fails at the first hole: had a change been committed before one with a lower seq,
/// there would be a hole at that moment. Answers how many changes it saw.
async fn poll(db: &Db, workspace: WorkspaceId, seen: &mut HashMap<Partition, i64>) -> i64 {
    let tx = db.read("test.poller", Scope::Workspace(workspace)).await.expect("begins");
    let wanted: Vec<_> =
        Partitions::ALL.iter().map(|partition| (partition, seen.get(&partition).copied().unwrap_or(0))).collect();
    let page = feed::pages(&tx, workspace, &wanted, PageLimit::LOCAL).await.expect("no hole");
    let mut count = 0;
    for segment in page.segments {
        count += i64::try_from(segment.rows.len()).expect("few");
        seen.insert(segment.partition, segment.through);
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_slow_and_aborting_writers_leave_no_hole_and_a_poller_misses_nothing() {
    if !on_postgres() {
        return;
    }
    let store = Store::new().await;
    let (db, workspace) = (store.open_wide(32).await, workspace());
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write_slowly(db.clone(), workspace, writer));
    }
    let (mut seen, mut count, mut committed) = (HashMap::new(), 0, 0);
    loop {
        count += poll(&db, workspace, &mut seen).await;
        while let Some(done) = writers.try_join_next() {
            committed += done.expect("a writer");
        }
        if writers.is_empty() {
            break;
        }
    }
    count += poll(&db, workspace, &mut seen).await;
    assert_eq!(count, committed);

    let tx = db.read("test.check", Scope::Workspace(workspace)).await.expect("begins");
    let heads = feed::heads_of(&tx, feed::Log::Changes, workspace, Partitions::ALL).await.expect("heads");
    assert_eq!(heads.values().map(|head| head.last_seq).sum::<i64>(), committed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_one_partition_queue_and_none_is_lost() {
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let db = db.clone();
        writers.spawn(async move {
            for turn in 0..5 {
                let tx = db.begin("test.writer", Scope::Workspace(workspace)).await.expect("begins");
                set(&tx, workspace, &[(64 * (writer * 10 + turn), Some(1))]).await.expect("writes");
                tx.commit().await.expect("commits");
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.expect("a writer");
    }
    let mut seen = HashMap::new();
    assert_eq!(poll(&db, workspace, &mut seen).await, 40);
    assert_eq!(seen.into_values().collect::<Vec<_>>(), vec![40]);
}
