//! Whether Redis can be used, and keeping it so: connect, ask, judge, connect again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use redis::RedisResult;
use tokio_util::sync::CancellationToken;

use super::Redis;
use super::wire::Wire;

/// How often the filler's words are read.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// The longest pause between attempts to connect.
const PAUSE: Duration = Duration::from_secs(2);

/// Calls in a row that may fail before the link is given up.
const FAILURES: u32 = 3;

/// Answers in time that a given-up Redis must show before it is used again.
const PROOFS: u32 = 3;

/// A connection to one life of Redis.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) wire: Wire,
    pub(super) life: u64,
    failures: AtomicU32,
}

impl Link {
    pub(super) fn succeeded(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// Counts a failure; whether the link is to be given up.
    pub(super) fn failed(&self, broken: bool) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES || broken
    }

    /// Where the filler's words of this life stand.
    pub(super) fn freshness_key(&self, prefix: &str) -> String {
        format!("{prefix}:{{filled}}:{:016x}", self.life)
    }
}

impl Redis {
    /// Connects, learns what is filled, and finds out when Redis fails, was restarted or is well again. Ends when cancelled;
    /// never fails. While it does not run, nothing is served.
    pub async fn run(&self, cancel: CancellationToken) {
        let mut pause = ASK_EVERY;
        while !cancel.is_cancelled() {
            let Some(session) = cancel.run_until_cancelled(self.session()).await else { break };
            self.set_link(None);
            // A session that went well for a time ends the growing of pauses.
            pause = if session.is_ok() { ASK_EVERY } else { (pause * 2).min(PAUSE) };
            cancel.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
        self.set_link(None);
    }

    /// One connection, from connecting to its failure: `Ok` if it was used, the error if it never came to that.
    async fn session(&self) -> RedisResult<()> {
        let mut wire = self.target.connect().await?;
        let life = wire.life().await?;
        let link = Arc::new(Link { wire, life, failures: AtomicU32::new(0) });
        for _ in 0..PROOFS {
            self.ask(&link).await?;
            tokio::time::sleep(ASK_EVERY / 10).await;
        }
        self.set_link(Some(link.clone()));
        let mut failed = 0;
        while failed < FAILURES && self.link().is_some_and(|held| Arc::ptr_eq(&held, &link)) {
            failed = match self.ask(&link).await {
                Ok(true) => 0,
                Ok(false) => return Ok(()),
                Err(fault) if fault.is_unrecoverable_error() => return Ok(()),
                Err(_) => failed + 1,
            };
            tokio::time::sleep(ASK_EVERY).await;
        }
        Ok(())
    }

    /// Reads the filler's words; `false` if Redis was restarted, so that the link is to a life that is over.
    async fn ask(&self, link: &Arc<Link>) -> RedisResult<bool> {
        let (now, mut wire) = (self.clock.now(), link.wire.clone());
        let hash = link.freshness_key(&self.config.prefix);
        let limit = self.config.read_timeout;
        let elapsed = |_| redis::RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
        let words = tokio::time::timeout(limit, self.scripts.ask(&mut wire, &hash, now)).await.map_err(elapsed)??;
        // Asked after the words: if it is the same life still, they are of that life.
        let life = tokio::time::timeout(limit, wire.life()).await.map_err(elapsed)??;
        if life == link.life {
            self.freshness.learn(words);
        }
        Ok(life == link.life)
    }
}
