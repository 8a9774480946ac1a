//! Appending, paging, trimming, epochs.

use keizoku_base::{Clock as _, Micros, SystemClock};
use keizoku_storage::feed::{self, FeedFault, Log, PageLimit, Partitions, read_stamp};
use keizoku_storage::{Db, Scope, args};

use crate::store::{Store, body, draft, partition, read_body, set, workspace, write};

async fn page(db: &Db, workspace: keizoku_base::WorkspaceId, number: u8, after: i64) -> Result<Vec<i64>, FeedFault> {
    let tx = db.read("test.page", Scope::Workspace(workspace)).await?;
    let segment = feed::page(&tx, workspace, partition(number), after, PageLimit::FOLLOW).await?;
    assert_eq!(segment.through, segment.rows.last().map_or(after, |row| row.seq));
    Ok(segment.rows.iter().map(|row| row.seq).collect())
}

#[tokio::test]
async fn a_change_is_stored_as_it_is_sent() {
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    let tx = db.begin("test", Scope::Workspace(workspace)).await.expect("begins");
    let now = Micros(1_700_000_000_000_000);
    let drafts = vec![draft(3, Some(30)), draft(67, Some(670)), draft(1, None)];
    let last = feed::append(&tx, workspace, drafts, now).await.expect("appends");
    tx.commit().await.expect("commits");
    assert_eq!(last, vec![(partition(1), 1), (partition(3), 2)]);

    let tx = db.read("test", Scope::Workspace(workspace)).await.expect("begins");
    let segment = feed::page(&tx, workspace, partition(3), 0, PageLimit::FOLLOW).await.expect("a page");
    let read: Vec<_> = segment.rows.iter().map(|row| read_stamp(&row.bytes).expect("a stamp")).collect();
    assert_eq!(read, vec![(1, now, &body(3, Some(30))[..]), (2, now, &body(67, Some(670))[..])]);
    assert_eq!(read_body(read[1].2), (67, Some(670)));
    assert!(segment.rows.iter().all(|row| row.commit_at == now && row.kind == 1));
}

#[tokio::test]
async fn a_rollback_leaves_no_hole() {
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    write(&db, workspace, &[(0, Some(1)), (64, Some(2))]).await;
    let tx = db.begin("test", Scope::Workspace(workspace)).await.expect("begins");
    set(&tx, workspace, &[(0, Some(3))]).await.expect("writes");
    tx.rollback().await.expect("rolls back");
    write(&db, workspace, &[(0, Some(4))]).await;
    assert_eq!(page(&db, workspace, 0, 0).await.expect("a page"), vec![1, 2, 3]);
    assert_eq!(page(&db, workspace, 0, 3).await.expect("a page"), Vec::<i64>::new());
}

#[tokio::test]
async fn claims_of_a_log_of_its_own_are_counted_apart() {
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    write(&db, workspace, &[(5, Some(1))]).await;
    let tx = db.begin("test", Scope::Workspace(workspace)).await.expect("begins");
    let counts = [(partition(9), 3), (partition(5), 2), (partition(9), 1), (partition(7), 0)];
    let first = feed::claim(&tx, workspace, Log::Events, &counts).await.expect("claims");
    assert_eq!(first, vec![(partition(5), 1), (partition(9), 1)]);
    let again = feed::claim(&tx, workspace, Log::Events, &counts[..1]).await.expect("claims");
    assert_eq!(again, vec![(partition(9), 5)]);
    tx.commit().await.expect("commits");
    let tx = db.read("test", Scope::System).await.expect("begins");
    let heads = feed::heads(&tx, Log::Events, Partitions::ALL).await.expect("heads");
    assert_eq!(heads.iter().map(|head| head.last_seq).sum::<i64>(), 2 + 7);
}

#[tokio::test]
async fn a_page_ends_at_its_limits_and_serves_every_partition() {
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    let many: Vec<_> = (0..300).map(|turn| (turn * 64, Some(1))).chain([(1, Some(1)), (2, Some(1))]).collect();
    write(&db, workspace, &many).await;
    let tx = db.read("test", Scope::Workspace(workspace)).await.expect("begins");
    let wanted: Vec<_> = Partitions::ALL.iter().map(|partition| (partition, 0)).collect();
    let limit = PageLimit { changes: 640, bytes: 1 << 20 };
    let found = feed::pages(&tx, workspace, &wanted, limit).await.expect("a page");
    let lengths: Vec<_> = found.segments.iter().map(|segment| segment.rows.len()).collect();
    assert_eq!((lengths, found.more), (vec![10, 1, 1], Partitions::from_iter([partition(0)])));

    let size = i64::try_from(found.segments[0].rows[0].bytes.len()).expect("small");
    let limit = PageLimit { changes: 640, bytes: usize::try_from(size * 3).expect("small") };
    let found = feed::pages(&tx, workspace, &wanted, limit).await.expect("a page");
    let lengths: Vec<_> = found.segments.iter().map(|segment| segment.rows.len()).collect();
    assert_eq!((lengths, found.more), (vec![3], [0, 1, 2].into_iter().map(partition).collect()));
}

#[tokio::test]
async fn a_trimmed_position_is_refused_and_the_rest_is_served() {
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    write(&db, workspace, &[(0, Some(1)), (64, Some(2))]).await;
    let between = SystemClock.now().plus(1);
    crate::store::eventually("time passes", async || SystemClock.now() > between).await;
    write(&db, workspace, &[(0, Some(3)), (1, Some(3))]).await;
    assert_eq!(feed::expire(&db, between).await.expect("trims"), 2);
    assert_eq!(feed::expire(&db, between).await.expect("trims"), 0);
    assert!(matches!(page(&db, workspace, 0, 0).await, Err(FeedFault::Trimmed)));
    assert!(matches!(page(&db, workspace, 0, 1).await, Err(FeedFault::Trimmed)));
    assert_eq!(page(&db, workspace, 0, 2).await.expect("a page"), vec![3]);
    assert_eq!(page(&db, workspace, 1, 0).await.expect("a page"), vec![1]);
    assert!(matches!(page(&db, workspace, 1, 2).await, Err(FeedFault::Ahead)));
}

#[tokio::test]
async fn a_missing_change_raises_an_alarm() {
    let store = Store::new().await;
    let (db, workspace) = (store.open().await, workspace());
    write(&db, workspace, &[(0, Some(1)), (64, Some(2)), (128, Some(3))]).await;
    for (missing, expected, found) in [(2, 2, 3), (3, 2, 3), (1, 1, 3)] {
        let tx = db.begin("test", Scope::Workspace(workspace)).await.expect("begins");
        let sql = "DELETE FROM feed_change WHERE workspace_id = $1 AND seq = $2";
        tx.execute(sql, args![workspace, missing]).await.expect("deletes");
        tx.commit().await.expect("commits");
        let after = expected - 1;
        let fault = page(&db, workspace, 0, after).await.expect_err("a hole");
        assert!(
            matches!(fault, FeedFault::Gap { expected: e, found: f, .. } if (e, f) == (expected, found)),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn a_restore_renews_the_epoch() {
    let store = Store::new().await;
    let db = store.open().await;
    let tx = db.begin("test", Scope::System).await.expect("begins");
    let first = feed::epoch(&tx).await.expect("an epoch");
    let second = feed::renew_epoch(&tx).await.expect("another");
    assert_ne!(first, second);
    assert_eq!(feed::epoch(&tx).await.expect("an epoch"), second);
}
