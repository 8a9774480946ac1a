//! Many callers, one transaction: gathers the items of a workspace, runs the use case once, answers each caller after
//! the commit. For ingest and registration only.

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use keizoku_base::{Fault, FaultKind, WorkspaceId};
use tokio::sync::oneshot;

/// The bounds of a [`Batcher`].
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Items of one batch.
    pub batch: usize,
    /// Batches of one workspace running at the same time.
    pub in_flight: usize,
    /// Items of all workspaces that wait.
    pub waiting: usize,
    /// Runs of the use case to find the bad items of one batch; past it the rest fails with what they failed with.
    pub runs: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { batch: 5000, in_flight: 2, waiting: 50_000, runs: 1000 }
    }
}

/// Why items got no answer of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchFault {
    /// Too many items wait already; none of these was taken.
    #[error("more than {limit} items wait to be stored; slow down and repeat")]
    Full {
        /// [`BatchLimits::waiting`].
        limit: usize,
    },
    /// One call brought more items than a batch holds; none was taken.
    #[error("a call may bring at most {limit} items")]
    TooMany {
        /// [`BatchLimits::batch`].
        limit: usize,
    },
    /// The use case panicked or answered another number of items: our fault.
    #[error("the items may not have been stored")]
    Lost,
}

/// Gathers items `I` of many callers into batches and answers each with its `O` or `E`. Clones share it.
///
/// The first batch runs at once; while [`BatchLimits::in_flight`] batches of a workspace run, what arrives is gathered.
/// A batch that fails with a fault that a repeat cannot mend is cut in halves until only the bad items fail.
pub struct Batcher<I, O, E>(Arc<Inner<I, O, E>>);

/// What runs a batch: it answers one `O` an item, in order, after its commit, or fails as a whole with nothing stored.
type UseCase<I, O, E> = dyn for<'b> Fn(WorkspaceId, &'b [I]) -> BoxFuture<'b, Result<Vec<O>, E>> + Send + Sync;

struct Inner<I, O, E> {
    limits: BatchLimits,
    use_case: Box<UseCase<I, O, E>>,
    queues: Mutex<Queues<I, O, E>>,
}

struct Queues<I, O, E> {
    waiting: usize,
    workspaces: HashMap<WorkspaceId, Queue<I, O, E>>,
}

struct Queue<I, O, E> {
    calls: VecDeque<Call<I, O, E>>,
    in_flight: usize,
}

struct Call<I, O, E> {
    items: Vec<I>,
    answer: oneshot::Sender<Vec<Result<O, E>>>,
}

impl<I, O, E> Batcher<I, O, E>
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    E: Fault + Clone,
{
    /// A batcher that runs `use_case` for each batch.
    pub fn new<F>(limits: BatchLimits, use_case: F) -> Self
    where
        F: for<'b> Fn(WorkspaceId, &'b [I]) -> BoxFuture<'b, Result<Vec<O>, E>> + Send + Sync + 'static,
    {
        let queues = Mutex::new(Queues { waiting: 0, workspaces: HashMap::new() });
        Self(Arc::new(Inner { limits, use_case: Box::new(use_case), queues }))
    }

    /// Hands over the items of one call, which stay together and in order; answers each, in order, once it is durable
    /// or has failed. A dropped call's items are taken out while they wait; once their batch runs, they are stored.
    ///
    /// # Errors
    /// [`BatchFault`] says why none of them was answered.
    pub async fn submit(&self, workspace: WorkspaceId, items: Vec<I>) -> Result<Vec<Result<O, E>>, BatchFault> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let (answer, answered) = oneshot::channel();
        if self.0.enqueue(workspace, Call { items, answer })? {
            start(Arc::clone(&self.0), workspace);
        }
        answered.await.map_err(|_| BatchFault::Lost)
    }
}

impl<I, O, E> Clone for Batcher<I, O, E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<I, O, E> std::fmt::Debug for Batcher<I, O, E> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Batcher").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

impl Fault for BatchFault {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Full { .. } => FaultKind::Exhausted,
            Self::TooMany { .. } => FaultKind::Invalid,
            Self::Lost => FaultKind::Internal,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Full { .. } => "BATCH_QUEUE_FULL",
            Self::TooMany { .. } => "BATCH_TOO_MANY_ITEMS",
            Self::Lost => "BATCH_LOST",
        }
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Full { limit } | Self::TooMany { limit } => vec![("limit", limit.to_string())],
            Self::Lost => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Full { .. } => Some(Duration::from_millis(500)),
            Self::TooMany { .. } | Self::Lost => None,
        }
    }
}

/// A batch outlives the caller whose items began it, so it runs in a task of its own; there are at most `in_flight` of
/// them a workspace, and each ends when nothing waits.
#[expect(clippy::disallowed_methods, reason = "the task's panics are caught and answered to the callers")]
fn start<I, O, E>(inner: Arc<Inner<I, O, E>>, workspace: WorkspaceId)
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    E: Fault + Clone,
{
    drop(tokio::spawn(async move {
        while let Some(calls) = inner.next_batch(workspace) {
            inner.run(workspace, calls).await;
        }
    }));
}

impl<I, O, E> Inner<I, O, E> {
    /// Puts a call into its queue; `true` where a further task shall run for the workspace.
    fn enqueue(&self, workspace: WorkspaceId, call: Call<I, O, E>) -> Result<bool, BatchFault> {
        let BatchLimits { batch, in_flight, waiting, .. } = self.limits;
        if call.items.len() > batch {
            return Err(BatchFault::TooMany { limit: batch });
        }
        let mut queues = self.lock();
        if queues.waiting + call.items.len() > waiting {
            return Err(BatchFault::Full { limit: waiting });
        }
        queues.waiting += call.items.len();
        let queue =
            queues.workspaces.entry(workspace).or_insert_with(|| Queue { calls: VecDeque::new(), in_flight: 0 });
        queue.calls.push_back(call);
        let free = queue.in_flight < in_flight;
        queue.in_flight += usize::from(free);
        Ok(free)
    }

    /// The next calls of a workspace, whole, as many as a batch holds; `None` ends the task that asks.
    fn next_batch(&self, workspace: WorkspaceId) -> Option<Vec<Call<I, O, E>>> {
        let mut guard = self.lock();
        let queues = &mut *guard;
        let queue = queues.workspaces.get_mut(&workspace)?;
        let (mut calls, mut size) = (Vec::new(), 0);
        while let Some(call) = queue.calls.pop_front() {
            if size + call.items.len() > self.limits.batch {
                queue.calls.push_front(call);
                break;
            }
            queues.waiting -= call.items.len();
            if !call.answer.is_closed() {
                size += call.items.len();
                calls.push(call);
            }
        }
        if calls.is_empty() {
            queue.in_flight -= 1;
            if queue.in_flight == 0 {
                queues.workspaces.remove(&workspace);
            }
            return None;
        }
        Some(calls)
    }

    fn lock(&self) -> MutexGuard<'_, Queues<I, O, E>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<I, O, E: Fault + Clone> Inner<I, O, E> {
    async fn run(&self, workspace: WorkspaceId, calls: Vec<Call<I, O, E>>) {
        let mut items = Vec::with_capacity(calls.iter().map(|call| call.items.len()).sum());
        let mut callers = Vec::with_capacity(calls.len());
        for mut call in calls {
            callers.push((call.items.len(), call.answer));
            items.append(&mut call.items);
        }
        let Some(answers) = self.settle(workspace, &items).await else { return };
        let mut answers = answers.into_iter();
        for (count, answer) in callers {
            // Nobody waits for the answer of a dropped call.
            let _unheard = answer.send(answers.by_ref().take(count).collect());
        }
    }

    /// An answer for each item; `None` where the use case broke its promise, and the callers learn [`BatchFault::Lost`].
    async fn settle(&self, workspace: WorkspaceId, items: &[I]) -> Option<Vec<Result<O, E>>> {
        let mut answers = Vec::with_capacity(items.len());
        let mut open = vec![(0, items.len())];
        let mut runs = 0;
        // The leftmost part is always on top, so the answers come in order.
        while let Some((start, end)) = open.pop() {
            let part = &items[start..end];
            runs += 1;
            match AssertUnwindSafe((self.use_case)(workspace, part)).catch_unwind().await {
                Ok(Ok(found)) if found.len() == part.len() => answers.extend(found.into_iter().map(Ok)),
                Ok(Err(fault)) if part.len() > 1 && runs < self.limits.runs && !may_pass(fault.kind()) => {
                    let middle = start + part.len() / 2;
                    open.extend([(middle, end), (start, middle)]);
                }
                Ok(Err(fault)) => answers.extend(part.iter().map(|_| Err(fault.clone()))),
                Ok(Ok(_)) => {
                    tracing::error!("a batch answered another number of items than it was given");
                    return None;
                }
                Err(_) => {
                    tracing::error!("a batch panicked");
                    return None;
                }
            }
        }
        Some(answers)
    }
}

/// Whether the fault says nothing about the items: cutting the batch would only repeat it.
fn may_pass(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::Unavailable | FaultKind::Deadline | FaultKind::Aborted | FaultKind::Exhausted)
}
