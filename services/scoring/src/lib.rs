//! Scoring: how customers are. It owns health models, the scores they give, their history and composition, and copies of
//! what these are made of, kept by following ingestion's feed. It never writes to another service, never reads a clock
//! itself, and never scores anything but whole.

pub mod api;
pub mod app;
pub mod config;
pub mod domain;
pub mod error;
mod store;
mod work;

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use keizoku_base::Clock;
use keizoku_control::{ControlPlane, CopyOf, IngestionFeed};
use keizoku_proto::server::scoring::feed_service_server::FeedServiceServer;
use keizoku_proto::server::scoring::model_service_server::ModelServiceServer;
use keizoku_proto::server::scoring::score_service_server::ScoreServiceServer;
use keizoku_runtime::config::Secret;
use keizoku_runtime::{Client, Node};
use keizoku_storage::cache::{Cache, InProcess, Redis, RedisConfig};
use keizoku_storage::feed::{Ringer, RingerSettings, Source};
use keizoku_storage::{DatabaseConfig, Db, Scope, feed, migrate};

use crate::app::App;
use crate::app::cached::ScoreCache;
use crate::app::upkeep::Retention;
use crate::config::ScoringSettings;
use crate::error::ScoringFault;

/// What a cached score takes in memory, roughly.
const ENTRY_BYTES: usize = 1024;

/// Where scores are cached.
#[derive(Debug, Clone)]
pub struct CacheChoice {
    /// `redis://host:port`; empty: each process keeps its own.
    pub redis_url: Secret,
    /// Entries that a process keeps at the most.
    pub entries: usize,
}

/// Brings the service's tables up to date.
///
/// # Errors
/// As the database.
pub async fn prepare(database: &DatabaseConfig) -> Result<(), ScoringFault> {
    Ok(migrate(database, "scoring", store::migration::MIGRATIONS).await?)
}

/// Mounts the service's RPCs and registers its work. The tables are there already; `ingestion` reaches the service that is
/// followed.
///
/// # Errors
/// As the database; an address of Redis that has no meaning.
pub async fn start(
    node: &mut Node,
    database: &DatabaseConfig,
    clock: Arc<dyn Clock>,
    ingestion: Client,
    cache: &CacheChoice,
    settings: &ScoringSettings,
) -> Result<Arc<App>, ScoringFault> {
    start_from(node, database, clock, Arc::new(IngestionFeed::new(ingestion)), cache, settings).await
}

/// As [`start`], following any source of ingestion's changes.
///
/// # Errors
/// As [`start`].
pub async fn start_from(
    node: &mut Node,
    database: &DatabaseConfig,
    clock: Arc<dyn Clock>,
    source: Arc<dyn Source>,
    cache: &CacheChoice,
    settings: &ScoringSettings,
) -> Result<Arc<App>, ScoringFault> {
    let db = Db::connect(database, "scoring").await?;
    let confirmed_at = Arc::new(AtomicI64::new(0));
    let copy_of = CopyOf::Ingestion(Arc::clone(&confirmed_at));
    let control = Arc::new(ControlPlane::new(db.clone(), Arc::clone(&clock), copy_of));
    let tx = db.read("feed.epoch", Scope::System).await?;
    let life = feed::epoch(&tx).await?;
    drop(tx);
    let (shared, held) = held(cache)?;
    let app = Arc::new(App::new(db.clone(), control, Arc::clone(&clock), ScoreCache::new(held, life)));

    let most = usize::try_from(node.settings().limits.message.get()).unwrap_or(usize::MAX);
    let scores = ScoreServiceServer::new(api::ScoreApi(Arc::clone(&app)));
    node.mount(scores.max_decoding_message_size(most).max_encoding_message_size(most)).await;
    let models = ModelServiceServer::new(api::ModelApi(Arc::clone(&app)));
    node.mount(models.max_decoding_message_size(most).max_encoding_message_size(most)).await;
    let changes = FeedServiceServer::new(api::FeedApi(Arc::clone(&app)));
    node.mount(changes.max_decoding_message_size(most).max_encoding_message_size(most)).await;

    let tasks = node.tasks();
    let consumer = work::inputs::consumer(&app, source, Arc::clone(&clock));
    work::inputs::run(tasks, &consumer, &clock, &confirmed_at);
    let retention = Retention { feed: settings.feed_retention.get(), changes: settings.change_retention.get() };
    work::reconcile::run(tasks, &app, &consumer, retention);
    match shared {
        Some(redis) => work::filler::fill_shared(tasks, &app, redis),
        None => work::filler::fill_own(tasks, &app),
    }
    let ringer = Arc::new(Ringer::new(db, RingerSettings::default()));
    tasks.spawn("scoring ringer", move |stop| {
        let ringer = Arc::clone(&ringer);
        async move { ringer.run(stop).await }
    });
    Ok(app)
}

/// The cache, and the connection to Redis where that is it.
type Held = (Option<Arc<Redis>>, Arc<dyn Cache>);

fn held(cache: &CacheChoice) -> Result<Held, ScoringFault> {
    let clock = Arc::new(keizoku_base::SystemClock);
    let url = cache.redis_url.reveal();
    let near_capacity = cache.entries.saturating_mul(ENTRY_BYTES);
    if url.is_empty() {
        return Ok((None, Arc::new(InProcess::new(near_capacity, clock))));
    }
    let redis = Redis::new(RedisConfig { near_capacity, ..RedisConfig::new(url, "keizoku:scoring") }, clock);
    let redis = Arc::new(redis.map_err(|_| ScoringFault::CacheAddress)?);
    Ok((Some(Arc::clone(&redis)), redis))
}
