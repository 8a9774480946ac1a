//! What reading a score needs without asking the database each time: cached answers, and per workspace a board with its
//! models and how far it is followed, none of it older than a second.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use keizoku_base::{AccountId, AccountRef, Clock, Day, ExternalId, Micros, Partition, SystemClock, WorkspaceId};
use keizoku_control::Workspace;
use keizoku_convert::Position;
use keizoku_storage::cache::{Cache, Entry, Found, Key, ReadThrough};
use keizoku_storage::feed::{Batch, FeedEpoch};
use keizoku_storage::{Scope, Tx};

use super::{App, changes};
use crate::error::ScoringFault;
use crate::store::read::{self, Blob, Stored};
use crate::store::shared::Watermark;

/// How many earlier marks are kept: renewed four times a second at the most, they reach back past a second.
const EARLIER_MARKS: usize = 8;
/// A board is read again after this time, by one caller while the others go on with the one there is.
const BOARD_RENEWED: i64 = Micros::SECOND * 2 / 5;
/// A board is not used past this age.
const BOARD_OLDEST: i64 = Micros::SECOND;
/// Boards kept at the most.
const BOARDS: usize = 10_000;
/// An external id names the same account for ever unless accounts are merged: who asks for no freshness may wait this long
/// to hear of it.
const NAMES_KEPT: Duration = Duration::from_secs(30);
/// External ids kept at the most.
const NAMES: u64 = 200_000;

/// Cached answers, boards and names.
#[derive(Debug)]
pub struct ScoreCache {
    cache: Arc<dyn Cache>,
    through: ReadThrough,
    /// Which life of the cache is read and filled.
    life: RwLock<FeedEpoch>,
    places: RwLock<HashMap<WorkspaceId, Arc<Place>>>,
    names: moka::sync::Cache<(WorkspaceId, ExternalId), (AccountId, Micros)>,
    clock: SystemClock,
}

#[derive(Debug, Default)]
struct Place {
    board: RwLock<Option<Arc<Board>>>,
    renewal: tokio::sync::Mutex<()>,
}

/// What is known of a workspace.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) workspace: Arc<Workspace>,
    models: Vec<Arc<str>>,
    primary: Option<Arc<str>>,
    marks: Arc<Marks>,
    /// Those before, the newest first: an answer may have been confirmed a second before it is given.
    earlier: Vec<Arc<Marks>>,
}

/// How far the partitions of a workspace were followed when the database was asked.
#[derive(Debug)]
struct Marks {
    read_at: Micros,
    /// By partition: the bytes of its position.
    positions: Vec<Bytes>,
}

impl Board {
    /// The model that is meant: the named one or, without a name, the primary one; `None` where there is no such model.
    pub(crate) fn model(&self, name: Option<&str>) -> Option<Arc<str>> {
        match name {
            Some(name) => self.models.iter().find(|key| key.as_ref() == name).cloned(),
            None => self.primary.clone(),
        }
    }

    /// The same where a model is needed.
    pub(crate) fn model_or_fault(&self, name: Option<&str>) -> Result<Arc<str>, ScoringFault> {
        self.model(name).ok_or_else(|| ScoringFault::ModelUnknown(name.unwrap_or("primary").to_owned()))
    }

    /// The day it is in the workspace.
    pub(crate) fn today(&self, app: &App) -> Day {
        self.workspace.today(app.clock.as_ref())
    }

    /// Its marks, for the board that follows it.
    fn past(&self) -> Vec<Arc<Marks>> {
        std::iter::once(&self.marks).chain(&self.earlier).take(EARLIER_MARKS).cloned().collect()
    }

    /// Up to where everything is contained in what was confirmed at an instant.
    pub(crate) fn caught_up_to(&self, partition: Partition, confirmed_at: Micros) -> Bytes {
        let marks = std::iter::once(&self.marks).chain(&self.earlier);
        let before = marks.into_iter().find(|marks| marks.read_at <= confirmed_at);
        before.and_then(|marks| marks.positions.get(usize::from(partition.number()))).cloned().unwrap_or_default()
    }
}

/// The bytes of a partition's position.
pub(crate) fn position(partition: Partition, mark: Watermark) -> Bytes {
    Position { changes: vec![(partition, mark.changes)], events: vec![(partition, mark.events)] }.encode().into()
}

impl ScoreCache {
    /// Reads through `cache`.
    pub fn new(cache: Arc<dyn Cache>, life: FeedEpoch) -> Self {
        // What a cache confirms is real time, whatever a workspace's clock says.
        let clock = SystemClock;
        Self {
            through: ReadThrough::new(Arc::clone(&cache), Arc::new(clock)),
            cache,
            life: RwLock::new(life),
            places: RwLock::default(),
            names: moka::sync::Cache::builder().max_capacity(NAMES).time_to_live(NAMES_KEPT).build(),
            clock,
        }
    }

    /// The real time.
    pub(crate) fn now(&self) -> Micros {
        self.clock.now()
    }

    /// The cache that is read.
    pub(crate) fn cache(&self) -> &Arc<dyn Cache> {
        &self.cache
    }

    /// The life of the cache that is read.
    pub(crate) fn life(&self) -> FeedEpoch {
        *self.life.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins another life: what was cached before is not found any more.
    pub(crate) fn begin(&self, life: FeedEpoch) {
        *self.life.write().unwrap_or_else(PoisonError::into_inner) = life;
    }

    /// Forgets what was remembered of a workspace, after a change in this process.
    pub fn forget(&self, workspace: WorkspaceId) {
        self.places.write().unwrap_or_else(PoisonError::into_inner).remove(&workspace);
    }

    /// What is known of a workspace, at most a second old.
    pub(crate) async fn board(&self, app: &App, workspace: WorkspaceId) -> Result<Arc<Board>, ScoringFault> {
        let place = self.place(workspace);
        let held = place.held();
        let age = held.as_ref().map_or(i64::MAX, |board| self.clock.now().since(board.marks.read_at));
        if let Some(board) = &held
            && (0..BOARD_OLDEST).contains(&age)
        {
            if age < BOARD_RENEWED {
                return Ok(Arc::clone(board));
            }
            let Ok(_turn) = place.renewal.try_lock() else { return Ok(Arc::clone(board)) };
            return Box::pin(self.renew(app, workspace, &place, held)).await;
        }
        let _turn = place.renewal.lock().await;
        match place.held() {
            Some(board) if (0..BOARD_RENEWED).contains(&self.clock.now().since(board.marks.read_at)) => Ok(board),
            held => Box::pin(self.renew(app, workspace, &place, held)).await,
        }
    }

    async fn renew(
        &self,
        app: &App,
        workspace: WorkspaceId,
        place: &Place,
        held: Option<Arc<Board>>,
    ) -> Result<Arc<Board>, ScoringFault> {
        let known = app.control.workspace(workspace).await?;
        let read_at = self.clock.now();
        let tx = app.db.read("score.board", Scope::Workspace(workspace)).await?;
        let models = read::models(&tx, workspace).await?;
        let mut marks = vec![Watermark::default(); usize::from(Partition::COUNT)];
        for (partition, mark) in read::watermarks(&tx, workspace).await? {
            if let Some(place) = marks.get_mut(usize::from(partition.number())) {
                *place = mark;
            }
        }
        drop(tx);
        let positions = Partition::all().zip(marks).map(|(partition, mark)| position(partition, mark)).collect();
        let board = Arc::new(Board {
            workspace: known,
            primary: models.iter().find(|(_, primary)| *primary).map(|(key, _)| Arc::from(key.as_str())),
            models: models.iter().map(|(key, _)| Arc::from(key.as_str())).collect(),
            marks: Arc::new(Marks { read_at, positions }),
            earlier: held.map(|board| board.past()).unwrap_or_default(),
        });
        *place.board.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&board));
        Ok(board)
    }

    fn place(&self, workspace: WorkspaceId) -> Arc<Place> {
        if let Some(place) = self.places.read().unwrap_or_else(PoisonError::into_inner).get(&workspace) {
            return Arc::clone(place);
        }
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= BOARDS {
            places.clear();
        }
        Arc::clone(places.entry(workspace).or_default())
    }

    /// The stored answers for accounts by one model that speak of a day, in order, confirmed within `max_age`. At the turn of
    /// the day a score that did not change is written anew without being news: so the day belongs to its name.
    pub(crate) async fn scores(
        &self,
        app: &App,
        wanted: Wanted<'_>,
        accounts: &[AccountId],
        max_age: Duration,
    ) -> Result<Vec<Option<Found>>, ScoringFault> {
        let life = self.life();
        let Wanted { workspace, model, day, blob } = wanted;
        let keys: Vec<Key> = accounts.iter().map(|account| wanted.key(life, *account)).collect();
        let fetch = |places: Vec<usize>| async move {
            let asked: Vec<AccountId> = places.iter().filter_map(|place| accounts.get(*place)).copied().collect();
            let tx = app.db.read("score.get", Scope::Workspace(workspace)).await?;
            let rows = read::scores(&tx, workspace, model, &asked, blob).await?;
            drop(tx);
            let of_day = rows.into_iter().filter(|row| row.day == day);
            let rows: HashMap<AccountId, (i64, Bytes)> =
                of_day.map(|row| (row.account, (row.version, row.score.into()))).collect();
            Ok::<_, ScoringFault>(asked.iter().map(|account| rows.get(account).cloned()).collect())
        };
        self.through.get(&keys, max_age, fetch).await
    }

    /// The accounts that are meant, in order, as far as their names are known. Names heard longer than `max_age` ago are
    /// asked for again.
    pub(crate) async fn resolve(
        &self,
        app: &App,
        workspace: WorkspaceId,
        references: &[&AccountRef],
        max_age: Duration,
    ) -> Result<Vec<Option<AccountId>>, ScoringFault> {
        let now = self.clock.now();
        let oldest = now.plus(-i64::try_from(max_age.as_micros()).unwrap_or(i64::MAX));
        let mut found = Vec::with_capacity(references.len());
        let mut missing = Vec::new();
        for reference in references {
            found.push(match reference {
                AccountRef::Id(id) => Some(*id),
                AccountRef::External(external) => {
                    let heard = self.names.get(&(workspace, external.clone()));
                    let account = heard.filter(|(_, at)| *at >= oldest && *at <= now).map(|(account, _)| account);
                    if account.is_none() {
                        missing.push(external.clone());
                    }
                    account
                }
            });
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let tx = app.db.read("score.names", Scope::Workspace(workspace)).await?;
        let named: HashMap<ExternalId, AccountId> = read::named(&tx, workspace, &missing).await?.into_iter().collect();
        drop(tx);
        for (reference, place) in references.iter().zip(&mut found) {
            if let (AccountRef::External(external), None) = (reference, &place) {
                *place = named.get(external).copied();
            }
        }
        for (external, account) in named {
            self.names.insert((workspace, external), (account, now));
        }
        Ok(found)
    }

    /// What a transaction sees of the scores that a batch of the feed changed, to be put into the cache.
    pub(crate) async fn entries(&self, app: &App, tx: &Tx, batch: &Batch) -> Result<Vec<Entry>, ScoringFault> {
        let mut changed: BTreeMap<&str, BTreeSet<AccountId>> = BTreeMap::new();
        for (account, model) in batch.rows().filter_map(|(_, row)| changes::subject(row)) {
            changed.entry(model).or_default().insert(account);
        }
        let (life, workspace) = (self.life(), batch.workspace);
        let mut entries = Vec::new();
        for (model, accounts) in changed {
            let accounts: Vec<AccountId> = accounts.into_iter().collect();
            let rows = read::scores(tx, workspace, model, &accounts, Blob::Basic).await?;
            let mut rows: HashMap<AccountId, Stored> = rows.into_iter().map(|row| (row.account, row)).collect();
            for account in accounts {
                let Some(row) = rows.remove(&account) else {
                    let today = app.context(workspace).await?.today();
                    entries.extend(gone(life, workspace, model, account, today));
                    continue;
                };
                let wanted = |blob| Wanted { workspace, model, day: row.day, blob };
                let version = row.version;
                // Explanations are asked for far less often: they are kept when they are.
                let key = wanted(Blob::Explained).key(life, account);
                entries.push(Entry { key, version, value: None });
                let key = wanted(Blob::Basic).key(life, account);
                entries.push(Entry { key, version, value: Some(row.score.into()) });
            }
        }
        Ok(entries)
    }
}

/// What makes readers ask the database for a score that is gone. Its last version is not known; who reads may think it is
/// another day for a moment.
fn gone(
    life: FeedEpoch,
    workspace: WorkspaceId,
    model: &str,
    account: AccountId,
    today: Day,
) -> impl Iterator<Item = Entry> {
    let names = (-1..=1).flat_map(move |days| [Blob::Basic, Blob::Explained].map(move |blob| (today.plus(days), blob)));
    names.map(move |(day, blob)| {
        let key = Wanted { workspace, model, day, blob }.key(life, account);
        Entry { key, version: i64::MAX, value: None }
    })
}

/// Which stored answers are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) workspace: WorkspaceId,
    pub(crate) model: &'a str,
    /// The day they speak of.
    pub(crate) day: Day,
    pub(crate) blob: Blob,
}

impl Wanted<'_> {
    fn key(self, life: FeedEpoch, account: AccountId) -> Key {
        let kind = match self.blob {
            Blob::Basic => "score",
            Blob::Explained => "explained",
        };
        let mut id = Vec::with_capacity(20 + self.model.len());
        id.extend_from_slice(account.0.as_bytes());
        id.extend_from_slice(&self.day.0.to_be_bytes());
        id.extend_from_slice(self.model.as_bytes());
        Key::new(life, self.workspace, account.partition(), kind, &id)
    }
}

impl Place {
    fn held(&self) -> Option<Arc<Board>> {
        self.board.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
