//! A consumer's work with one set of leases: take over, bootstrap, follow.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::time::Instant;

use super::apply::{Break, Interrupt, Lane};
use super::consumer::Core;
use super::cursor::{self, Life, Stored};
use super::fault::FeedFault;
use super::follow::{Follow, Followed};
use super::lease::Held;
use super::status::Activity;
use super::types::Cursor;

/// Takes over the cursors of the held partitions.
async fn ready(core: Arc<Core>, mut held: Held, interrupt: Interrupt) -> Result<(Lane, Vec<Stored>), Break> {
    let life = Life { epoch: core.source.epoch().await?, schema: core.handler.schema() };
    let mut stored = cursor::adopt(&core.db, core.key, &held).await?;
    if stored.iter().any(|cursor| cursor.schema > life.schema) {
        return Err(Break::Fault(FeedFault::NewerConsumer));
    }
    for cursor in &stored {
        if held.epoch(cursor.partition).is_some_and(|mine| cursor.lease_epoch > mine) {
            // Somebody else's since; the next renewal will tell.
            held.remove(cursor.partition);
        }
    }
    stored.retain(|cursor| held.epoch(cursor.partition).is_some());
    let mut lane = Lane { core, held, life, places: HashMap::new(), dirty: HashSet::new(), interrupt };
    lane.take_over(&stored);
    Ok((lane, stored))
}

/// Works with one set of leases until something ends it.
pub(crate) async fn session(
    core: Arc<Core>,
    held: Held,
    interrupt: Interrupt,
    heads_moved: &mut bool,
) -> Result<Infallible, Break> {
    let (mut lane, stored) = ready(core, held, interrupt).await?;
    lane.bootstrap(&stored, *heads_moved).await?;
    *heads_moved = false;
    lane.core.board.note(|facts| {
        facts.activity = Activity::Following;
        facts.trouble = None;
    });
    let mut ahead = Ahead { stream: lane.core.source.follow(lane.wanted()), read: None };
    let flush_after = lane.core.settings.flush_after;
    let mut flush_at = Instant::now() + flush_after;
    loop {
        let followed = tokio::select! {
            biased;
            why = lane.interrupt.raised() => {
                if matches!(why, Break::Cancelled) {
                    lane.flush().await?;
                }
                return Err(why);
            }
            () = tokio::time::sleep_until(flush_at), if !lane.dirty.is_empty() => None,
            followed = ahead.next() => Some(followed?),
        };
        match followed {
            None => lane.flush().await?,
            Some(Followed::Batch(batch)) => {
                if lane.dirty.is_empty() {
                    flush_at = Instant::now() + flush_after;
                }
                ahead.read_while(lane.accept(batch)).await?;
            }
            Some(Followed::CaughtUp) => lane.core.board.note(|facts| facts.behind_since = None),
        }
    }
}

impl Lane {
    /// What it follows: the held partitions from where they are.
    fn wanted(&self) -> Follow {
        let places = self.places.iter();
        Follow {
            epoch: self.life.epoch,
            cursors: places
                .map(|((workspace, partition), place)| Cursor {
                    workspace: *workspace,
                    partition: *partition,
                    seq: place.seen,
                })
                .collect(),
            partitions: self.held.partitions(),
            workspace: None,
            kinds: self.core.handler.kinds(),
        }
    }
}

/// Reads the next page while a batch is applied.
struct Ahead {
    stream: BoxStream<'static, Result<Followed, FeedFault>>,
    /// What was read in advance; `Some(None)` where the stream ended.
    read: Option<Option<Result<Followed, FeedFault>>>,
}

impl Ahead {
    async fn next(&mut self) -> Result<Followed, FeedFault> {
        let read = match self.read.take() {
            Some(read) => read,
            None => self.stream.next().await,
        };
        read.unwrap_or_else(|| Err(FeedFault::Unavailable(Arc::new(std::io::Error::other("the stream ended")))))
    }

    async fn read_while<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                read = self.stream.next(), if self.read.is_none() => self.read = Some(read),
            }
        }
    }
}
