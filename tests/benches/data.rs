//! The data that measurements send: made from a seed, so that the same call gives the same events.

use keizoku_base::Micros;
use keizoku_proto::ingestion::{Event, Property, StreamEventsRequest, event::When};
use keizoku_proto::types::value::Kind;
use keizoku_proto::types::{AccountRef, ExternalId, Value, account_ref};

/// The source that sends.
pub(crate) const SOURCE: &str = "bench";
/// Users of each account.
pub(crate) const USERS: u64 = 20;
/// Every how many-th event was sent before.
const DUPLICATE_EVERY: usize = 100;
/// What is done, the most frequent first.
const NAMES: [&str; 6] = ["view", "edit", "login", "share", "export", "purchase"];
const PLANS: [&str; 3] = ["free", "team", "enterprise"];

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast, and the same everywhere.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// The sequence that belongs to `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly from 0 to below `end`, which is above 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Evenly from 0 to below 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Accounts of which the n-th is n times rarer than the first (Zipf with exponent 1).
#[derive(Debug, Clone)]
pub(crate) struct Accounts {
    cumulative: Vec<f64>,
}

impl Accounts {
    /// So many of them.
    pub(crate) fn new(count: u32) -> Self {
        let mut sum = 0.0;
        let mut cumulative: Vec<f64> = (1..=count)
            .map(|rank| {
                sum += 1.0 / f64::from(rank);
                sum
            })
            .collect();
        for share in &mut cumulative {
            *share /= sum;
        }
        Self { cumulative }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.cumulative.len()
    }

    /// One of them, from 0.
    pub(crate) fn draw(&self, random: &mut Random) -> usize {
        let share = random.share();
        self.cumulative.partition_point(|upto| *upto <= share).min(self.count() - 1)
    }
}

/// How an account is named.
pub(crate) fn account_ref(account: usize) -> AccountRef {
    AccountRef { r#ref: Some(account_ref::Ref::External(external(account))) }
}

/// Its id in the source.
pub(crate) fn external(account: usize) -> ExternalId {
    ExternalId { source: SOURCE.to_owned(), id: format!("a{account}") }
}

/// When events are said to have happened.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Times {
    /// Within the last second.
    Now(Micros),
    /// Evenly over so many days before.
    Before(Micros, i64),
}

/// Makes events, each with an id of its own.
#[derive(Debug, Clone)]
pub(crate) struct Events<'a> {
    accounts: &'a Accounts,
    random: Random,
    series: String,
    made: u64,
    introduced: u64,
    introductions: u64,
}

impl<'a> Events<'a> {
    /// Events of `accounts`; the ids of two series never meet.
    pub(crate) fn new(accounts: &'a Accounts, series: impl Into<String>) -> Self {
        let series = series.into();
        // FNV-1a: another series, another sequence.
        let seed = series
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self { accounts, random: Random::new(seed), series, made: 0, introduced: 0, introductions: 0 }
    }

    /// The first events then are one of each user of the first `accounts` accounts, so that all are known from then on.
    pub(crate) fn introducing(self, accounts: usize) -> Self {
        Self { introductions: accounts as u64 * USERS, ..self }
    }

    /// The next event.
    pub(crate) fn next(&mut self, times: Times) -> Event {
        if self.introduced < self.introductions {
            let (account, user) = (self.introduced / USERS, self.introduced % USERS);
            self.introduced += 1;
            return self.by(account as usize, user, times);
        }
        let account = self.accounts.draw(&mut self.random);
        self.of(account, times)
    }

    /// The next event, of this account.
    pub(crate) fn of(&mut self, account: usize, times: Times) -> Event {
        let user = self.random.below(USERS);
        self.by(account, user, times)
    }

    fn by(&mut self, account: usize, user: u64, times: Times) -> Event {
        let random = &mut self.random;
        let (now, span) = match times {
            Times::Now(now) => (now, Micros::SECOND),
            Times::Before(now, days) => (now, days * Micros::DAY),
        };
        let at = now.plus(-((random.share() * span as f64) as i64));
        // Half of all is the first name, half of the rest the second, and so on.
        let name = NAMES[(random.next().leading_zeros() as usize).min(NAMES.len() - 1)];
        let value = (random.below(100_000) as f64) / 100.0;
        let properties = vec![
            property("plan", Kind::Text(PLANS[random.below(3) as usize].to_owned())),
            property("duration_ms", Kind::Integer(random.below(60_000).cast_signed())),
            property("mobile", Kind::Flag(random.below(4) == 0)),
        ];
        self.made += 1;
        Event {
            id: format!("{}-{}", self.series, self.made),
            account: Some(account_ref(account)),
            name: name.to_owned(),
            when: Some(When::OccurredAt(timestamp(at))),
            user_id: format!("u{account}-{user}"),
            value: Some(value),
            properties,
            known_at: None,
        }
    }

    /// Batches for one stream; one event in a hundred is one that an earlier batch of it has sent.
    pub(crate) fn batches(&mut self, batches: usize, size: usize, times: Times) -> Vec<StreamEventsRequest> {
        let mut sent: Vec<Event> = Vec::with_capacity(batches * size / DUPLICATE_EVERY + 1);
        (1_i64..)
            .take(batches)
            .map(|batch| {
                let mut events: Vec<Event> = (0..size).map(|_| self.next(times)).collect();
                if !sent.is_empty() {
                    for event in events.iter_mut().step_by(DUPLICATE_EVERY) {
                        let earlier = self.random.below(sent.len() as u64) as usize;
                        event.clone_from(&sent[earlier]);
                    }
                }
                sent.extend(events.iter().skip(1).step_by(DUPLICATE_EVERY).cloned());
                StreamEventsRequest { batch, source: SOURCE.to_owned(), events }
            })
            .collect()
    }
}

/// The instant on the wire.
pub(crate) fn timestamp(at: Micros) -> prost_types::Timestamp {
    let nanos = at.0.rem_euclid(Micros::SECOND) * 1000;
    prost_types::Timestamp { seconds: at.0.div_euclid(Micros::SECOND), nanos: i32::try_from(nanos).unwrap_or(0) }
}

fn property(key: &str, kind: Kind) -> Property {
    Property { key: key.to_owned(), value: Some(Value { kind: Some(kind) }) }
}
