//! Watching scores: all of them once, then every change as the feed brings it, in absolute states.
//!
//! A watcher that is slow reads the feed in larger strides and sees of each account only the last state. Where it is stands
//! in its token: positions in the feed, and during the snapshot the last account told. Nothing is stored for it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, Stream};
use futures::{FutureExt as _, StreamExt as _};
use keizoku_base::{AccountId, Clock as _, Micros, Partition, SystemClock, WorkspaceId};
use keizoku_storage::feed::{self, Batch, Cursor, FeedEpoch, FeedFault, Follow, Followed, Log, Partitions};
use keizoku_storage::{Scope, Tx};
use tokio::time::Instant;
use uuid::Uuid;

use super::{App, changes, follow, views};
use crate::domain::score::Reason;
use crate::domain::watch::{Filter, Memory, State, Trigger};
use crate::error::ScoringFault;
use crate::store::read::{self as store, Listed, Place};

/// Scores read at a time for a snapshot.
const PAGE: u32 = 500;
/// How often the feed is looked at although nothing rang.
const SAFETY_POLL: Duration = Duration::from_secs(1);

/// What is to be watched.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// By which model; `None`: the primary one.
    pub model: Option<String>,
    /// Which scores.
    pub filter: Filter,
    /// When a change is told.
    pub trigger: Trigger,
    /// Where an earlier watch was; `None`: from the snapshot on.
    pub resume: Option<Resume>,
    /// What tokens of this watch are bound to.
    pub bound: [u8; 8],
    /// How long nothing may be said.
    pub heartbeat: Duration,
}

/// Something that is told, and where the watch is then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// What.
    pub what: What,
    /// The token that goes on from there.
    pub token: Bytes,
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A score as it is.
    Change {
        /// The encoded score.
        score: Bytes,
        /// The measures that moved it most, the largest first.
        causes: Vec<String>,
    },
    /// All scores of the start have been told.
    CaughtUp,
    /// Nothing happened for a while; the server's time.
    Heartbeat(Micros),
}

/// Where a watch is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    epoch: FeedEpoch,
    /// The last account of the snapshot that was told; `None`: the snapshot is complete.
    listed: Option<Uuid>,
    positions: BTreeMap<Partition, i64>,
}

const FORM: u8 = 1;

impl Resume {
    /// Reads a token; `None` where it is none, or one of another watch.
    pub fn parse(bytes: &[u8], bound: [u8; 8]) -> Option<Self> {
        let (form, rest) = bytes.split_first()?;
        let (found, rest) = rest.split_first_chunk::<8>()?;
        let (epoch, rest) = rest.split_first_chunk::<16>()?;
        let (phase, mut rest) = rest.split_first()?;
        let mut listed = None;
        if *phase == 1 {
            let (account, after) = rest.split_first_chunk::<16>()?;
            (listed, rest) = (Some(Uuid::from_bytes(*account)), after);
        }
        let places = rest.as_chunks::<9>();
        if *form != FORM || *found != bound || *phase > 1 || !places.1.is_empty() {
            return None;
        }
        let place = |[number, seq @ ..]: &[u8; 9]| Some((Partition::new(*number)?, i64::from_be_bytes(*seq)));
        let positions = places.0.iter().map(place).collect::<Option<_>>()?;
        Some(Self { epoch: FeedEpoch::from_bytes(epoch)?, listed, positions })
    }

    fn token(&self, bound: [u8; 8]) -> Bytes {
        let mut out = vec![FORM];
        out.extend_from_slice(&bound);
        out.extend_from_slice(self.epoch.as_bytes());
        out.push(u8::from(self.listed.is_some()));
        out.extend(self.listed.iter().flat_map(|account| *account.as_bytes()));
        for (partition, seq) in self.positions.iter().filter(|(_, seq)| **seq > 0) {
            out.push(partition.number());
            out.extend_from_slice(&seq.to_be_bytes());
        }
        out.into()
    }
}

/// Begins a watch, or goes on with one.
///
/// # Errors
/// [`ScoringFault::ModelUnknown`]; [`ScoringFault::WatchTokenExpired`], also later in the stream; as the database.
pub async fn watch(
    app: Arc<App>,
    workspace: WorkspaceId,
    wanted: Wanted,
) -> Result<impl Stream<Item = Result<News, ScoringFault>> + Send + use<>, ScoringFault> {
    let model = app.scores.board(&app, workspace).await?.model_or_fault(wanted.model.as_deref())?;
    let tx = app.db.read("score.watch", Scope::Workspace(workspace)).await?;
    let epoch = feed::epoch(&tx).await?;
    let heads = feed::heads_of(&tx, Log::Changes, workspace, Partitions::ALL).await?;
    drop(tx);
    let resumed = wanted.resume.is_some();
    let at = match wanted.resume {
        Some(resume) => {
            let kept = heads.values().all(|head| {
                let after = resume.positions.get(&head.partition).copied().unwrap_or(0);
                (head.trimmed_seq..=head.last_seq).contains(&after)
            });
            if resume.epoch != epoch || !kept {
                return Err(ScoringFault::WatchTokenExpired);
            }
            resume
        }
        None => {
            let positions = heads.values().map(|head| (head.partition, head.last_seq)).collect();
            Resume { epoch, listed: Some(Uuid::nil()), positions }
        }
    };
    let mut watcher = Watcher {
        app,
        workspace,
        model,
        memory: Memory::new(wanted.filter.clone(), wanted.trigger),
        filter: wanted.filter,
        bound: wanted.bound,
        heartbeat: wanted.heartbeat,
        quiet_until: Instant::now() + wanted.heartbeat,
        resumed,
        pending: VecDeque::new(),
        following: None,
        at,
    };
    if watcher.at.listed.is_none() {
        watcher.say(What::CaughtUp);
    }
    Ok(stream::try_unfold(watcher, |mut watcher| async move {
        let news = watcher.next().await?;
        Ok(Some((news, watcher)))
    }))
}

struct Watcher {
    app: Arc<App>,
    workspace: WorkspaceId,
    model: Arc<str>,
    memory: Memory,
    filter: Filter,
    bound: [u8; 8],
    heartbeat: Duration,
    quiet_until: Instant,
    /// Whether what was told before is not in the memory.
    resumed: bool,
    /// What is to be told next.
    pending: VecDeque<News>,
    following: Option<BoxStream<'static, Result<Followed, FeedFault>>>,
    at: Resume,
}

impl Watcher {
    async fn next(&mut self) -> Result<News, ScoringFault> {
        loop {
            if let Some(news) = self.pending.pop_front() {
                self.quiet_until = Instant::now() + self.heartbeat;
                return Ok(news);
            }
            match self.at.listed {
                Some(after) => self.list(after).boxed().await?,
                None => self.follow().boxed().await?,
            }
        }
    }

    fn say(&mut self, what: What) {
        let token = self.at.token(self.bound);
        self.pending.push_back(News { what, token });
    }

    /// Says changes, of which only the last has the token of the place reached: who stops before gets the rest again.
    fn say_all(&mut self, changes: Vec<(Bytes, Vec<String>)>, before: Bytes) {
        let last = changes.len();
        for (count, (score, causes)) in (1..).zip(changes) {
            let token = if count == last { self.at.token(self.bound) } else { before.clone() };
            self.pending.push_back(News { what: What::Change { score, causes }, token });
        }
    }

    /// One page of the snapshot.
    async fn list(&mut self, after: Uuid) -> Result<(), ScoringFault> {
        let tx = self.app.db.read("score.watch_list", Scope::Workspace(self.workspace)).await?;
        let place = Place::Account(after);
        let rows = store::list(&tx, self.workspace, &self.model, &self.filter, place, PAGE).await?;
        drop(tx);
        let before = self.at.token(self.bound);
        let full = u32::try_from(rows.len()).is_ok_and(|found| found == PAGE);
        self.at.listed = rows.last().filter(|_| full).map(|last| last.state.account.0);
        let mut told = Vec::with_capacity(rows.len());
        for Listed { state, score } in rows {
            if self.memory.is_news(&state) {
                told.push((score.into(), Vec::new()));
            }
        }
        self.say_all(told, before);
        if self.at.listed.is_none() {
            self.say(What::CaughtUp);
        }
        Ok(())
    }

    /// What the feed brings next, or a sign of life.
    async fn follow(&mut self) -> Result<(), ScoringFault> {
        let following = match &mut self.following {
            Some(following) => following,
            none => none.insert(open(&self.app, self.workspace, &self.at)),
        };
        tokio::select! {
            followed = following.next() => match followed {
                Some(Ok(Followed::Batch(batch))) => self.take(&batch).await,
                Some(Ok(Followed::CaughtUp)) => Ok(()),
                Some(Err(fault)) if fault.asks_for_bootstrap() => Err(ScoringFault::WatchTokenExpired),
                Some(Err(fault)) => Err(fault.into()),
                None => Err(ScoringFault::WatchTokenExpired),
            },
            () = tokio::time::sleep_until(self.quiet_until) => {
                self.say(What::Heartbeat(SystemClock.now()));
                Ok(())
            }
        }
    }

    /// Says what a batch of the feed changed, as it is by now.
    async fn take(&mut self, batch: &Batch) -> Result<(), ScoringFault> {
        let before = self.at.token(self.bound);
        let mut touched: BTreeMap<AccountId, i64> = BTreeMap::new();
        for (_, row) in batch.rows() {
            if let Some((account, version)) = changes::health_of(row, &self.model) {
                touched.entry(account).or_insert(version);
            }
        }
        let mut told = Vec::new();
        if !touched.is_empty() {
            let tx = self.app.db.read("score.watch_changes", Scope::Workspace(self.workspace)).await?;
            self.recall(&tx, &touched).await?;
            let accounts: Vec<AccountId> = touched.into_keys().collect();
            let found = store::changed(&tx, self.workspace, &self.model, &accounts).await?;
            drop(tx);
            let mut found: BTreeMap<AccountId, (Listed, String)> =
                found.into_iter().map(|(row, causes)| (row.state.account, (row, causes))).collect();
            for account in accounts {
                told.extend(match found.remove(&account) {
                    Some((row, causes)) => self.news(row, &causes),
                    None => self.gone(account).await?,
                });
            }
        }
        self.at.positions.extend(batch.segments.iter().map(|segment| (segment.partition, segment.through)));
        self.say_all(told, before);
        Ok(())
    }

    /// Learns what a watcher that came back was told of accounts before they changed.
    async fn recall(&mut self, tx: &Tx, touched: &BTreeMap<AccountId, i64>) -> Result<(), ScoringFault> {
        if !self.resumed {
            return Ok(());
        }
        for (account, version) in touched {
            if !self.memory.knows(*account)
                && let Some(state) = store::before(tx, self.workspace, &self.model, *account, *version).await?
            {
                self.memory.recall(&state);
            }
        }
        Ok(())
    }

    fn news(&mut self, row: Listed, causes: &str) -> Option<(Bytes, Vec<String>)> {
        let causes = causes.split(',').filter(|cause| !cause.is_empty()).map(str::to_owned).collect();
        self.memory.is_news(&row.state).then(|| (row.score.into(), causes))
    }

    /// Says that an account has no score any more.
    async fn gone(&mut self, account: AccountId) -> Result<Option<(Bytes, Vec<String>)>, ScoringFault> {
        let (band, level, stage) = Default::default();
        if !self.memory.is_news(&State { account, version: 0, value: None, band, level, stage }) {
            return Ok(None);
        }
        let context = self.app.context(self.workspace).await?;
        let (reason, day) = (Reason::NotYetComputed, context.today());
        Ok(Some((views::unscored(account, &self.model, reason, day, context.now).into(), Vec::new())))
    }
}

fn open(app: &App, workspace: WorkspaceId, at: &Resume) -> BoxStream<'static, Result<Followed, FeedFault>> {
    let cursor = |(partition, seq): (&Partition, &i64)| Cursor { workspace, partition: *partition, seq: *seq };
    let wanted = Follow {
        epoch: at.epoch,
        cursors: at.positions.iter().map(cursor).collect(),
        partitions: Partitions::ALL,
        workspace: Some(workspace),
        kinds: vec![changes::ACCOUNT_HEALTH],
    };
    feed::follow(app.db.clone(), follow::journal(), wanted, SAFETY_POLL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_a_round_trip_and_belong_to_their_watch() {
        let epoch = FeedEpoch::from_bytes(&[7; 16]).expect("16 bytes");
        let place = |number| Partition::new(number).expect("below 64");
        let positions = BTreeMap::from([(place(0), 1), (place(63), i64::MAX)]);
        for listed in [None, Some(Uuid::from_bytes([9; 16]))] {
            let at = Resume { epoch, listed, positions: positions.clone() };
            let token = at.token([1; 8]);
            assert_eq!(Resume::parse(&token, [1; 8]), Some(at));
            assert_eq!(Resume::parse(&token, [2; 8]), None);
            assert_eq!(Resume::parse(&token[..token.len() - 1], [1; 8]), None);
        }
        assert_eq!(Resume::parse(b"", [1; 8]), None);
        assert_eq!(Resume::parse(b"anything else that is not a token at all", [1; 8]), None);
    }
}
