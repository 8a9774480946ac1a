//! Live events of the invented customers, at a steady rate.

use std::time::{Duration, Instant};

use keizoku_base::Micros;
use keizoku_proto::ingestion::event_service_client::EventServiceClient;
use keizoku_proto::ingestion::{Event, IngestEventsRequest, event};
use keizoku_runtime::Client;
use keizoku_runtime::client::repeatable;
use tonic::Code;

use crate::failure::Failure;
use crate::import::sink::Wire;
use crate::shell::Shell;

use super::life::Customer;
use super::random::Random;
use super::tell::{FEATURES, SOURCE, property};
use super::{Telling, first_account, synthetic_zone, telling_of, who_am_i};

/// How often events are sent.
const TICK: Duration = Duration::from_millis(250);
/// How often it is said how many were.
const SAY: Duration = Duration::from_secs(10);
/// The most events of one tick.
const MOST: f64 = 10_000.0;

/// Customers who are there today, and how busy each is.
struct Crowd {
    customers: Vec<(Customer, f64)>,
    random: Random,
    number: u64,
}

/// Sends `rate` events a second until the future is dropped.
///
/// # Errors
/// The workspace holds no story, or the server refuses.
pub(crate) async fn run(client: &Client, rate: f64, shell: &mut Shell) -> Result<(), Failure> {
    let wire = Wire::new(client.clone(), String::new());
    let who = who_am_i(client).await.map_err(|status| wire.refused(status))?;
    let zone = synthetic_zone(&who)?;
    let now = who.now.as_ref().map(keizoku_convert::instant).ok_or(Failure::Incomplete { what: "present time" })?;
    let first = first_account(client).await.map_err(|status| wire.refused(status))?;
    let telling = first.and_then(|account| telling_of(&account, now, zone)).ok_or_else(|| Failure::NotFound {
        what: "story of invented customers in this workspace".to_owned(),
        next: "tell one first: keizoku demo seed".to_owned(),
    })?;
    let mut crowd = Crowd::of(&telling);
    let begun = Instant::now();
    let (mut due, mut sent, mut said) = (0.0, 0_u64, Instant::now());
    let mut ticks = tokio::time::interval(TICK);
    loop {
        ticks.tick().await;
        due = (due + rate * TICK.as_secs_f64()).min(MOST);
        let elapsed = i64::try_from(begun.elapsed().as_micros()).unwrap_or(0);
        let mut events = Vec::new();
        while due >= 1.0 {
            due -= 1.0;
            events.extend(crowd.event(now.plus(elapsed)));
        }
        if events.is_empty() {
            continue;
        }
        let request = IngestEventsRequest { source: SOURCE.to_owned(), events, validate_only: false };
        match EventServiceClient::new(client.clone()).ingest_events(repeatable(request)).await {
            Ok(answer) => sent += u64::try_from(answer.into_inner().stored_count).unwrap_or(0),
            // Live events are there to be lost while the server is away.
            Err(status)
                if matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted) =>
            {
                shell.note(&format!("{sent} events were sent; the server is away: {}", status.message()));
            }
            Err(status) => return Err(wire.refused(status)),
        }
        if said.elapsed() >= SAY {
            said = Instant::now();
            shell.note(&format!("{sent} events were sent in {} s", begun.elapsed().as_secs()));
        }
    }
}

impl Crowd {
    fn of(telling: &Telling) -> Self {
        let today = telling.zone.day_of(telling.now);
        let alive = (0..telling.accounts).filter_map(|place| {
            telling.story(place, |story| {
                let is_there = story.life.days(today).last() == Some(today);
                is_there.then(|| (story.customer.clone(), story.life.share(today)))
            })
        });
        let label = u64::try_from(telling.now.0).unwrap_or(0);
        Self { customers: alive.collect(), random: Random::of(telling.seed, &[label]), number: 0 }
    }

    /// Somebody does something; `None` where nobody is there.
    fn event(&mut self, at: Micros) -> Option<Event> {
        let random = &mut self.random;
        let busiest = self.customers.len() as u64;
        // The busier a customer, the likelier it is the one; after some tries anybody will do.
        let mut chosen = usize::try_from(random.below(busiest)).unwrap_or(0);
        for _ in 0..8 {
            if self.customers.get(chosen).is_some_and(|(_, share)| random.happens(*share)) {
                break;
            }
            chosen = usize::try_from(random.below(busiest)).unwrap_or(0);
        }
        let (customer, _) = self.customers.get(chosen)?;
        self.number += 1;
        let user = random.below(customer.users.into()) + 1;
        let uses = random.happens(0.6);
        #[expect(clippy::cast_precision_loss, reason = "a dozen at most")]
        let value = uses.then(|| random.between(1, 9) as f64);
        let feature = *random.one(&FEATURES);
        Some(Event {
            id: format!("{}/live/{}/{}", customer.id, at.0, self.number),
            account: Some(customer.reference()),
            name: if uses { "feature_used" } else { "login" }.to_owned(),
            when: Some(event::When::OccurredAt(keizoku_convert::timestamp(at))),
            user_id: format!("{}/u{user}", customer.id),
            value,
            properties: if uses { vec![property("feature", feature)] } else { Vec::new() },
            known_at: None,
        })
    }
}
