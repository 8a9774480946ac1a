//! The reconcilers: days end, accounts are scored again, what is past its time goes. Each looks now and then, sooner when it
//! is nudged, and goes on at once while there is more to do.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use keizoku_runtime::Tasks;
use keizoku_storage::feed::Consumer;
use tokio::sync::Notify;

use crate::app::upkeep::Retention;
use crate::app::{App, days, rescore, upkeep};
use crate::error::ScoringFault;

/// How often clocks are looked at.
const DAYS: Duration = Duration::from_secs(1);
/// How often requests to score again are looked for.
const RESCORE: Duration = Duration::from_secs(1);
/// How often what is past its time is looked for.
const UPKEEP: Duration = Duration::from_secs(600);
/// A pause after a page, so that batches of the feed get their turn.
const BREATH: Duration = Duration::from_millis(5);

/// Runs the reconcilers. Accounts of partitions that `consumer` does not hold are another replica's.
pub(crate) fn run(tasks: &Tasks, app: &Arc<App>, consumer: &Consumer, retention: Retention) {
    let work = consumer.clone();
    spawn(
        tasks,
        "days",
        app,
        DAYS,
        |app| &app.turned,
        move |app| {
            let consumer = work.clone();
            Box::pin(async move { days::activate(&app, &consumer).await })
        },
    );
    let work = consumer.clone();
    spawn(
        tasks,
        "rescore",
        app,
        RESCORE,
        |app| &app.rescore,
        move |app| {
            let consumer = work.clone();
            Box::pin(async move { rescore::activate(&app, &consumer).await })
        },
    );
    spawn(
        tasks,
        "upkeep",
        app,
        UPKEEP,
        |app| &app.upkeep,
        move |app| Box::pin(async move { upkeep::activate(&app, retention).await.map(|()| false) }),
    );
}

type Activate = dyn Fn(Arc<App>) -> BoxFuture<'static, Result<bool, ScoringFault>> + Send + Sync;

fn spawn(
    tasks: &Tasks,
    name: &'static str,
    app: &Arc<App>,
    every: Duration,
    nudge: fn(&App) -> &Notify,
    activate: impl Fn(Arc<App>) -> BoxFuture<'static, Result<bool, ScoringFault>> + Send + Sync + 'static,
) {
    let (app, activate): (_, Arc<Activate>) = (Arc::clone(app), Arc::new(activate));
    tasks.spawn(name, move |stop| {
        let (app, activate) = (Arc::clone(&app), Arc::clone(&activate));
        async move {
            loop {
                let more = match activate(Arc::clone(&app)).await {
                    Ok(more) => more,
                    Err(fault) => {
                        tracing::warn!(work = name, %fault, "could not be done now; it is tried again");
                        false
                    }
                };
                let pause = tokio::time::sleep(if more { BREATH } else { every });
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = pause => {}
                    () = nudge(&app).notified() => {}
                }
            }
        }
    });
}
