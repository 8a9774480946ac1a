//! Carries rings between the processes of one PostgreSQL database: NOTIFY, gathered for 20 ms, never inside of a
//! writing transaction; LISTEN; and where LISTEN does not work (behind a pooler), the heads every 200 ms.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use keizoku_base::{Partition, WorkspaceId};
use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPoolOptions};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::doorbell::{Ring, Rung};
use super::read;
use super::types::{Log, Partitions};
use crate::db::Db;
use crate::fault::DbFault;
use crate::tx::Scope;

/// PostgreSQL takes 8,000 bytes; a ring takes 51.
const MOST_RINGS: usize = 150;
/// Stands for "everything may have moved".
const ALL: &str = "*";

/// How often and how the ringer works.
#[derive(Debug, Clone, Copy)]
pub struct RingerSettings {
    /// Whether to try LISTEN; without it the heads are read.
    pub listen: bool,
    /// Rings are gathered for so long.
    pub gather: Duration,
    /// How often the heads are read without LISTEN.
    pub poll: Duration,
    /// How long a ring of our own may take to come back before LISTEN counts as not working.
    pub probe: Duration,
    /// After this long without LISTEN it is tried again.
    pub retry: Duration,
}

impl Default for RingerSettings {
    fn default() -> Self {
        Self {
            listen: true,
            gather: Duration::from_millis(20),
            poll: Duration::from_millis(200),
            probe: Duration::from_secs(2),
            retry: Duration::from_secs(30),
        }
    }
}

/// Tells the other processes of a database what was rung here, and rings here what they tell. One for each [`Db`].
#[derive(Debug)]
pub struct Ringer {
    db: Db,
    settings: RingerSettings,
    channel: String,
    me: String,
}

impl Ringer {
    /// The ringer of `db`.
    pub fn new(db: Db, settings: RingerSettings) -> Self {
        let channel = format!("keizoku_feed_{}", db.service());
        let me = format!("{:016x}", RandomState::new().build_hasher().finish());
        Self { db, settings, channel, me }
    }

    /// Carries rings until `cancel`. On SQLite there is one process, so nothing is carried.
    pub async fn run(&self, cancel: CancellationToken) {
        let Some(options) = self.db.postgres_options() else { return cancel.cancelled().await };
        self.db.doorbell().open_outbox();
        tokio::select! {
            () = cancel.cancelled() => {}
            never = self.tell(options) => match never {},
            never = self.hear(options) => match never {},
        }
        self.db.doorbell().close_outbox();
    }

    async fn tell(&self, options: &PgConnectOptions) -> Infallible {
        loop {
            let Err(fault) = self.tell_while_connected(options).await;
            tracing::debug!(service = self.db.service(), %fault, "rings are not carried to other processes now");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn tell_while_connected(&self, options: &PgConnectOptions) -> Result<Infallible, DbFault> {
        let mut connection = PgConnection::connect_with(options).await?;
        loop {
            self.db.doorbell().posted().await;
            tokio::time::sleep(self.settings.gather).await;
            for payload in payloads(&self.me, &self.db.doorbell().take_outbox()) {
                notify(&mut connection, &self.channel, &payload).await?;
            }
        }
    }

    async fn hear(&self, options: &PgConnectOptions) -> Infallible {
        loop {
            if self.settings.listen {
                let Err(fault) = self.listen(options).await;
                tracing::warn!(service = self.db.service(), %fault, "LISTEN does not work; the heads are read instead");
            }
            let polled = tokio::time::timeout(self.settings.retry, self.poll()).await;
            if let Ok(never) = polled {
                match never {}
            }
        }
    }

    /// Rings what is heard, as long as the connection lives.
    async fn listen(&self, options: &PgConnectOptions) -> Result<Infallible, DbFault> {
        let pool = PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
        let mut listener = PgListener::connect_with(&pool.connect_with(options.clone()).await?).await?;
        listener.listen(&self.channel).await?;
        // Some poolers accept LISTEN and deliver nothing.
        let mut speaker = PgConnection::connect_with(options).await?;
        notify(&mut speaker, &self.channel, &self.me).await?;
        speaker.close().await?;
        let heard = async {
            loop {
                let heard = listener.recv().await?;
                if heard.payload() == self.me {
                    return Ok::<(), DbFault>(());
                }
            }
        };
        let probed = tokio::time::timeout(self.settings.probe, heard).await;
        probed.map_err(|_| DbFault::internal("a ring of our own did not come back"))??;
        loop {
            // What was rung before we listened, or while the connection was lost, is unknown.
            self.db.doorbell().ring_all_here();
            while let Some(heard) = listener.try_recv().await? {
                self.ring(heard.payload());
            }
        }
    }

    fn ring(&self, payload: &str) {
        let doorbell = self.db.doorbell();
        match read_payload(payload) {
            Some((from, _)) if from == self.me => {}
            Some((_, Some(rings))) => rings.into_iter().for_each(|ring| doorbell.ring_here(ring)),
            Some((_, None)) | None => doorbell.ring_all_here(),
        }
    }

    /// Reads the heads and rings what moved.
    async fn poll(&self) -> Infallible {
        let mut known = HashMap::new();
        loop {
            // Without readers there is nobody to ring for.
            if self.db.doorbell().has_bells()
                && let Err(fault) = self.poll_once(&mut known).await
            {
                tracing::debug!(service = self.db.service(), %fault, "the heads could not be read");
            }
            tokio::time::sleep(self.settings.poll).await;
        }
    }

    async fn poll_once(&self, known: &mut HashMap<(Log, WorkspaceId, Partition), i64>) -> Result<(), DbFault> {
        let tx = self.db.read("feed.poll", Scope::System).await?;
        for log in Log::ALL {
            let mut moved: HashMap<WorkspaceId, Partitions> = HashMap::new();
            for head in read::heads(&tx, log, Partitions::ALL).await? {
                if known.insert((log, head.workspace, head.partition), head.last_seq) != Some(head.last_seq) {
                    moved.entry(head.workspace).or_default().insert(head.partition);
                }
            }
            for (workspace, partitions) in moved {
                self.db.doorbell().ring_here(Ring { log, workspace, partitions });
            }
        }
        Ok(())
    }
}

async fn notify(connection: &mut PgConnection, channel: &str, payload: &str) -> Result<(), DbFault> {
    sqlx::query("SELECT pg_notify($1, $2)").bind(channel).bind(payload).execute(connection).await?;
    Ok(())
}

/// `<process> <log><workspace><partitions> …`, or `<process> *`.
fn payloads(me: &str, rung: &HashMap<Log, Rung>) -> Vec<String> {
    if rung.values().any(|rung| rung.all) {
        return vec![format!("{me} {ALL}")];
    }
    let rings: Vec<String> = rung
        .iter()
        .flat_map(|(log, rung)| rung.some.iter().map(move |(workspace, partitions)| (log, workspace, partitions)))
        .map(|(log, workspace, partitions)| {
            format!("{}{}{:016x}", log.number(), workspace.0.simple(), partitions.bits())
        })
        .collect();
    rings.chunks(MOST_RINGS).map(|rings| format!("{me} {}", rings.join(" "))).collect()
}

/// The sender and its rings; no rings where everything may have moved; `None` where it cannot be read.
fn read_payload(payload: &str) -> Option<(&str, Option<Vec<Ring>>)> {
    let (from, rings) = payload.split_once(' ')?;
    if rings == ALL {
        return Some((from, None));
    }
    let read = |text: &str| {
        let log = Log::from_number(text.get(..1)?.parse().ok()?)?;
        let workspace = WorkspaceId(Uuid::try_parse(text.get(1..33)?).ok()?);
        let partitions = Partitions::from_bits(u64::from_str_radix(text.get(33..)?, 16).ok()?);
        Some(Ring { log, workspace, partitions })
    };
    Some((from, Some(rings.split(' ').map(read).collect::<Option<_>>()?)))
}

#[cfg(test)]
mod tests {
    use super::super::doorbell::Doorbell;
    use super::*;

    fn rung(count: u128) -> HashMap<Log, Rung> {
        let doorbell = Doorbell::new();
        doorbell.open_outbox();
        for number in 0..count {
            let workspace = WorkspaceId(Uuid::from_u128(number));
            doorbell.ring(Ring { log: Log::Events, workspace, partitions: Partitions::from_bits(1 << 63 | 1) });
        }
        doorbell.take_outbox()
    }

    #[test]
    fn a_payload_survives_a_round_trip() {
        let payloads = payloads("me", &rung(1));
        let workspace = WorkspaceId(Uuid::nil());
        let ring = Ring { log: Log::Events, workspace, partitions: Partitions::from_bits(1 << 63 | 1) };
        assert_eq!(payloads.len(), 1);
        assert_eq!(read_payload(&payloads[0]), Some(("me", Some(vec![ring]))));
    }

    #[test]
    fn many_rings_take_several_payloads_of_allowed_length() {
        let payloads = payloads("0123456789abcdef", &rung(400));
        assert_eq!(payloads.len(), 3);
        assert!(payloads.iter().all(|payload| payload.len() < 8000));
        let read = payloads.iter().filter_map(|payload| read_payload(payload)?.1).map(|rings| rings.len());
        assert_eq!(read.sum::<usize>(), 400);
    }

    #[test]
    fn all_and_nonsense_ring_for_everything() {
        let everything = HashMap::from([(Log::Changes, Rung { all: true, some: HashMap::new() })]);
        assert_eq!(payloads("me", &everything), vec!["me *".to_owned()]);
        assert_eq!(read_payload("me *"), Some(("me", None)));
        assert_eq!((read_payload("me 0xyz"), read_payload("")), (None, None));
    }
}
