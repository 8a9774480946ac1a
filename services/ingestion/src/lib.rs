//! Ingestion: what customers do. It owns accounts, people, contracts, events, measurements and conversations, the metrics
//! counted from them, and the control plane. It calls no other service, and no other service touches its tables.

pub mod api;
pub mod app;
pub mod config;
pub mod domain;
pub mod error;
mod store;
mod work;

use std::sync::Arc;

use futures::FutureExt as _;
use keizoku_base::Clock;
use keizoku_control::{ControlPlane, CopyOf};
use keizoku_proto::server::ingestion::account_service_server::AccountServiceServer;
use keizoku_proto::server::ingestion::control_service_server::ControlServiceServer;
use keizoku_proto::server::ingestion::event_service_server::EventServiceServer;
use keizoku_proto::server::ingestion::feed_service_server::FeedServiceServer;
use keizoku_runtime::Node;
use keizoku_runtime::config::TimeSpan;
use keizoku_storage::{BatchLimits, Batcher, DatabaseConfig, Db, migrate};
use tokio::sync::Notify;

use crate::app::App;
use crate::app::counting::Compiled;
use crate::app::directory::Directory;
use crate::app::retention::Kept;
use crate::config::IngestionSettings;
use crate::error::IngestionFault;

/// Brings the service's tables up to date.
///
/// # Errors
/// As the database.
pub async fn prepare(database: &DatabaseConfig) -> Result<(), IngestionFault> {
    Ok(migrate(database, "ingestion", store::migration::MIGRATIONS).await?)
}

/// Mounts the service's RPCs and registers its work. The tables are there already.
///
/// # Errors
/// As the database.
pub async fn start(
    node: &mut Node,
    database: &DatabaseConfig,
    clock: Arc<dyn Clock>,
    settings: &IngestionSettings,
) -> Result<Arc<App>, IngestionFault> {
    let db = Db::connect(database, "ingestion").await?;
    let control = Arc::new(ControlPlane::new(db.clone(), Arc::clone(&clock), CopyOf::Nothing));
    let app = Arc::new_cyclic(|app: &std::sync::Weak<App>| {
        let app = app.clone();
        let limits = BatchLimits {
            batch: app::ingest::STORE_MOST,
            waiting: settings.waiting_events as usize,
            ..BatchLimits::default()
        };
        let events = Batcher::new(limits, move |workspace, items| {
            let app = app.upgrade();
            async move { app::ingest::store(app.as_deref().ok_or(IngestionFault::Lost)?, workspace, items).await }
                .boxed()
        });
        App {
            db,
            control,
            clock,
            directory: Directory::new(),
            events,
            writer: writer(),
            compiled: Compiled::new(),
            backfill: Notify::new(),
        }
    });
    app::workspaces::bootstrap(&app, settings).await?;
    app::retention::make_room(&app).await?;
    mount(node, &app).await;
    let micros = |span: TimeSpan| i64::try_from(span.get().as_micros()).unwrap_or(i64::MAX);
    let kept = Kept { changes: micros(settings.feed_retention), events: micros(settings.event_retention) };
    work::start(node.tasks(), &app, kept);
    Ok(app)
}

async fn mount(node: &mut Node, app: &Arc<App>) {
    let most = usize::try_from(node.settings().limits.message.get()).unwrap_or(usize::MAX);
    let control = ControlServiceServer::new(api::ControlApi(Arc::clone(app)));
    node.mount(control.max_decoding_message_size(most).max_encoding_message_size(most)).await;
    let account = AccountServiceServer::new(api::AccountApi(Arc::clone(app)));
    node.mount(account.max_decoding_message_size(most).max_encoding_message_size(most)).await;
    let event = EventServiceServer::new(api::EventApi(Arc::clone(app)));
    node.mount(event.max_decoding_message_size(most).max_encoding_message_size(most)).await;
    let feed = FeedServiceServer::new(api::FeedApi(Arc::clone(app)));
    node.mount(feed.max_decoding_message_size(most).max_encoding_message_size(most)).await;
}

/// A number of this process among the writers of receipts; two that draw the same only wait for each other.
fn writer() -> i64 {
    i64::from(std::process::id())
}
