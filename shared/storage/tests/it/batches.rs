use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::FutureExt as _;
use keizoku_base::{Fault, FaultKind, WorkspaceId};
use keizoku_storage::{BatchFault, BatchLimits, Batcher};
use tokio::sync::Semaphore;

use crate::store::new_workspace;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?}")]
struct Refused(FaultKind);

impl Fault for Refused {
    fn kind(&self) -> FaultKind {
        self.0
    }

    fn reason(&self) -> &'static str {
        "REFUSED"
    }
}

/// A use case that doubles its items, waits for a permit each run, and writes down what it was given.
#[derive(Clone)]
struct Doubling {
    gate: Arc<Semaphore>,
    runs: Arc<Mutex<Vec<Vec<i64>>>>,
    running: Arc<AtomicUsize>,
    most_running: Arc<AtomicUsize>,
}

const UNLUCKY: i64 = 13;
const STORE_GONE: i64 = 404;
const PANIC: i64 = 666;

impl Doubling {
    fn closed() -> Self {
        Self {
            gate: Arc::new(Semaphore::new(0)),
            runs: Arc::default(),
            running: Arc::default(),
            most_running: Arc::default(),
        }
    }

    fn open() -> Self {
        let doubling = Self::closed();
        doubling.gate.add_permits(10_000);
        doubling
    }

    fn batcher(&self, limits: BatchLimits) -> Batcher<i64, i64, Refused> {
        let doubling = self.clone();
        Batcher::new(limits, move |_, items| {
            let doubling = doubling.clone();
            async move { doubling.run(items).await }.boxed()
        })
    }

    async fn run(&self, items: &[i64]) -> Result<Vec<i64>, Refused> {
        let now = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_running.fetch_max(now, Ordering::SeqCst);
        self.runs.lock().expect("no panic").push(items.to_vec());
        self.gate.acquire().await.expect("open").forget();
        self.running.fetch_sub(1, Ordering::SeqCst);
        assert!(!items.contains(&PANIC), "as the test wants it");
        if items.contains(&STORE_GONE) {
            return Err(Refused(FaultKind::Unavailable));
        }
        if items.contains(&UNLUCKY) {
            return Err(Refused(FaultKind::Internal));
        }
        Ok(items.iter().map(|item| item * 2).collect())
    }

    fn runs(&self) -> Vec<Vec<i64>> {
        self.runs.lock().expect("no panic").clone()
    }
}

type Answer = Result<Vec<Result<i64, Refused>>, BatchFault>;

/// Submits each list as a call of its own, in this order, without waiting for the answers.
async fn submit(
    batcher: &Batcher<i64, i64, Refused>,
    workspace: WorkspaceId,
    calls: &[&[i64]],
) -> Vec<std::pin::Pin<Box<dyn Future<Output = Answer> + Send>>> {
    let mut pending: Vec<std::pin::Pin<Box<dyn Future<Output = Answer> + Send>>> = Vec::new();
    for items in calls {
        let (batcher, items) = (batcher.clone(), items.to_vec());
        let mut call = Box::pin(async move { batcher.submit(workspace, items).await });
        match futures::poll!(&mut call) {
            std::task::Poll::Pending => pending.push(call),
            std::task::Poll::Ready(answer) => pending.push(Box::pin(std::future::ready(answer))),
        }
        tokio::task::yield_now().await;
    }
    pending
}

#[tokio::test]
async fn gathers_while_two_batches_run_and_answers_each_caller_in_order() {
    let doubling = Doubling::closed();
    let batcher = doubling.batcher(BatchLimits::default());
    let pending = submit(&batcher, new_workspace(), &[&[1], &[2, 3], &[4], &[5, 6], &[7]]).await;
    assert_eq!(doubling.runs(), [vec![1], vec![2, 3]], "the rest waits");
    doubling.gate.add_permits(10);
    let answers = futures::future::join_all(pending).await;
    let doubled = |items: &[i64]| Ok(items.iter().map(|item| Ok(item * 2)).collect::<Vec<_>>());
    assert_eq!(answers, [doubled(&[1]), doubled(&[2, 3]), doubled(&[4]), doubled(&[5, 6]), doubled(&[7])]);
    assert_eq!(doubling.runs()[2..], [vec![4, 5, 6, 7]], "gathered into one");
    assert_eq!(doubling.most_running.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn workspaces_do_not_wait_for_each_other_and_never_share_a_batch() {
    let doubling = Doubling::closed();
    let batcher = doubling.batcher(BatchLimits { in_flight: 1, ..BatchLimits::default() });
    let mut pending = submit(&batcher, new_workspace(), &[&[1], &[2]]).await;
    pending.extend(submit(&batcher, new_workspace(), &[&[10], &[20]]).await);
    assert_eq!(doubling.runs(), [vec![1], vec![10]]);
    doubling.gate.add_permits(10);
    drop(futures::future::join_all(pending).await);
    assert_eq!(doubling.runs().len(), 4);
}

#[tokio::test]
async fn a_batch_holds_no_more_than_its_limit_and_calls_stay_whole() {
    let doubling = Doubling::closed();
    let batcher = doubling.batcher(BatchLimits { batch: 3, in_flight: 1, ..BatchLimits::default() });
    let pending = submit(&batcher, new_workspace(), &[&[1], &[2, 3], &[4, 5], &[6]]).await;
    doubling.gate.add_permits(10);
    drop(futures::future::join_all(pending).await);
    assert_eq!(doubling.runs(), [vec![1], vec![2, 3], vec![4, 5, 6]]);
    let too_many = batcher.submit(new_workspace(), vec![1, 2, 3, 4]).await;
    assert_eq!(too_many, Err(BatchFault::TooMany { limit: 3 }));
}

#[tokio::test]
async fn only_the_bad_items_of_a_batch_fail() {
    let doubling = Doubling::open();
    let batcher = doubling.batcher(BatchLimits::default());
    let items: Vec<i64> = (0..100).map(|item| if item % 40 == 7 { UNLUCKY } else { 1000 + item }).collect();
    let answers = batcher.submit(new_workspace(), items.clone()).await.expect("answered");
    let refused = Refused(FaultKind::Internal);
    let expected: Vec<_> =
        items.iter().map(|item| if *item == UNLUCKY { Err(refused.clone()) } else { Ok(item * 2) }).collect();
    assert_eq!(answers, expected);
    let succeeded: Vec<i64> = doubling.runs().into_iter().filter(|run| !run.contains(&UNLUCKY)).flatten().collect();
    assert_eq!(succeeded, items.into_iter().filter(|item| *item != UNLUCKY).collect::<Vec<_>>(), "each once, in order");
}

#[tokio::test]
async fn cutting_a_batch_has_an_end() {
    let doubling = Doubling::open();
    let batcher = doubling.batcher(BatchLimits { runs: 5, ..BatchLimits::default() });
    let answers = batcher.submit(new_workspace(), vec![UNLUCKY; 64]).await.expect("answered");
    assert_eq!(answers, vec![Err(Refused(FaultKind::Internal)); 64]);
    assert!(doubling.runs().len() < 20, "{} runs", doubling.runs().len());
}

#[tokio::test]
async fn a_fault_that_may_pass_fails_the_batch_without_cutting_it() {
    let doubling = Doubling::open();
    let batcher = doubling.batcher(BatchLimits::default());
    let answers = batcher.submit(new_workspace(), vec![1, STORE_GONE, 3]).await.expect("answered");
    assert_eq!(answers, vec![Err(Refused(FaultKind::Unavailable)); 3]);
    assert_eq!(doubling.runs().len(), 1);
}

#[tokio::test]
async fn a_full_queue_refuses_and_recovers() {
    let doubling = Doubling::closed();
    let batcher = doubling.batcher(BatchLimits { in_flight: 1, waiting: 3, ..BatchLimits::default() });
    let workspace = new_workspace();
    let pending = submit(&batcher, workspace, &[&[1], &[2, 3]]).await;
    let refused = batcher.submit(new_workspace(), vec![4, 5]).await;
    assert_eq!(refused, Err(BatchFault::Full { limit: 3 }));
    assert_eq!(BatchFault::Full { limit: 3 }.kind(), FaultKind::Exhausted);
    doubling.gate.add_permits(10);
    assert!(futures::future::join_all(pending).await.iter().all(Result::is_ok));
    assert_eq!(batcher.submit(workspace, vec![4, 5, 6]).await, Ok(vec![Ok(8), Ok(10), Ok(12)]));
}

#[tokio::test]
async fn a_dropped_caller_harms_nobody_and_its_waiting_items_are_taken_out() {
    let doubling = Doubling::closed();
    let batcher = doubling.batcher(BatchLimits { in_flight: 1, waiting: 3, ..BatchLimits::default() });
    let mut pending = submit(&batcher, new_workspace(), &[&[1], &[2], &[3]]).await;
    drop(pending.remove(1));
    drop(pending.remove(0));
    doubling.gate.add_permits(10);
    assert_eq!(pending.remove(0).await, Ok(vec![Ok(6)]));
    assert_eq!(doubling.runs(), [vec![1], vec![3]], "what ran goes on, what waited is gone");
    assert_eq!(batcher.submit(new_workspace(), vec![1, 2, 3]).await.expect("room again").len(), 3);
}

#[tokio::test]
async fn a_panic_is_answered_and_the_next_batch_runs() {
    let doubling = Doubling::open();
    let batcher = doubling.batcher(BatchLimits { in_flight: 1, ..BatchLimits::default() });
    let workspace = new_workspace();
    assert_eq!(batcher.submit(workspace, vec![PANIC]).await, Err(BatchFault::Lost));
    assert_eq!(batcher.submit(workspace, vec![5]).await, Ok(vec![Ok(10)]));
    assert_eq!(batcher.submit(workspace, Vec::new()).await, Ok(Vec::new()));
}
