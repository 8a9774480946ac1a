use std::sync::atomic::{AtomicU32, Ordering};

use keizoku_base::{Micros, WorkspaceId};
use keizoku_storage::request_log::{self, KEPT, RecallFault, Request};
use keizoku_storage::{Db, Migration, Scope};

use crate::store::{Store, new_workspace};

const TABLES: &[Migration] = &[Migration { name: "0001_first", statements: request_log::ddl }];
const NOW: Micros = Micros(1_700_000_000_000_000);

fn request(workspace: WorkspaceId, body: u8) -> Request<'static> {
    Request { workspace, rpc: "/keizoku.test.v1.Test/Do", id: "request-1", body_hash: [body; 32] }
}

async fn once(db: &Db, request: Request<'_>, work: &AtomicU32) -> Result<Vec<u8>, RecallFault> {
    db.transact("once", Scope::Workspace(request.workspace), |tx| async move {
        if let Some(answer) = request_log::recall(&tx, request).await? {
            return Ok(answer);
        }
        let answer = format!("answer {}", work.fetch_add(1, Ordering::SeqCst)).into_bytes();
        request_log::keep(&tx, request, &answer, NOW).await?;
        Ok(answer)
    })
    .await
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_another_body_is_refused() {
    let store = Store::new().await;
    let db = store.db(TABLES).await;
    let (workspace, work) = (new_workspace(), AtomicU32::new(0));
    assert_eq!(once(&db, request(workspace, 1), &work).await.expect("first"), b"answer 0");
    assert_eq!(once(&db, request(workspace, 1), &work).await.expect("repeat"), b"answer 0");
    assert!(matches!(once(&db, request(workspace, 2), &work).await, Err(RecallFault::Reused)));
    assert_eq!(once(&db, request(new_workspace(), 2), &work).await.expect("another workspace"), b"answer 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_repeats_at_once_get_one_answer() {
    let store = Store::new().await;
    let db = store.db(TABLES).await;
    let (workspace, work) = (new_workspace(), AtomicU32::new(0));
    let calls = (0..8).map(|_| once(&db, request(workspace, 1), &work));
    let answers: Vec<_> =
        futures::future::join_all(calls).await.into_iter().map(|one| one.expect("answered")).collect();
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
}

#[tokio::test]
async fn old_answers_are_forgotten_in_bounded_steps() {
    let store = Store::new().await;
    let db = store.db(TABLES).await;
    for _ in 0..5 {
        once(&db, request(new_workspace(), 1), &AtomicU32::new(0)).await.expect("answered");
    }
    let later = NOW.plus(i64::try_from(KEPT.as_micros()).expect("fits"));
    let mut forgotten = Vec::new();
    for at in [later, later.plus(1), later.plus(1), later.plus(1)] {
        let prune = |tx: std::sync::Arc<keizoku_storage::Tx>| async move { request_log::prune(&tx, at, 3).await };
        forgotten.push(db.transact("prune", Scope::System, prune).await.expect("pruned"));
    }
    assert_eq!(forgotten, [0, 3, 2, 0]);
}
