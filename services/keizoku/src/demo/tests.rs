//! The invented customers: the same for the same seed, and a story that goes on without changing.

use std::collections::BTreeMap;

use keizoku_proto::ingestion::{Event, Measurement};
use prost::Message as _;

use super::*;
use crate::import::sink::{Answered, Batch};

const TODAY: Day = Day(20_500);

fn telling(seed: u64, accounts: u32, days_later: i32) -> Telling {
    let zone = Zone::parse("Asia/Tokyo").expect("a zone");
    let now = zone.at(TODAY.plus(days_later), 15 * 3600).expect("an instant");
    Telling { seed, accounts, anchor: TODAY.plus(-STORY_DAYS), now, zone }
}

fn told(telling: &Telling) -> (Vec<Event>, Vec<Measurement>) {
    let mut measurements = Vec::new();
    let events = (0..telling.accounts).flat_map(|place| telling.events(place, &mut measurements)).collect();
    (events, measurements)
}

fn digest(telling: &Telling) -> String {
    let mut hasher = blake3::Hasher::new();
    let facts = telling.facts();
    facts.accounts.iter().for_each(|item| _ = hasher.update(&item.encode_to_vec()));
    facts.contacts.iter().for_each(|item| _ = hasher.update(&item.encode_to_vec()));
    facts.contracts.iter().for_each(|item| _ = hasher.update(&item.encode_to_vec()));
    facts.cancellations.iter().for_each(|item| _ = hasher.update(&item.encode_to_vec()));
    facts.conversations.iter().for_each(|item| _ = hasher.update(&item.encode_to_vec()));
    let (events, measurements) = told(telling);
    events.iter().for_each(|item| _ = hasher.update(&item.encode_to_vec()));
    measurements.iter().for_each(|item| _ = hasher.update(&item.encode_to_vec()));
    hasher.finalize().to_hex()[..16].to_owned()
}

#[test]
fn the_same_seed_tells_the_same_story_on_every_machine() {
    assert_eq!(digest(&telling(7, 20, 0)), digest(&telling(7, 20, 0)));
    assert_ne!(digest(&telling(7, 20, 0)), digest(&telling(8, 20, 0)));
    assert_eq!(digest(&telling(7, 20, 0)), "8b2905659ba4872f");
}

#[test]
fn told_again_later_the_story_goes_on_and_the_past_stays() {
    let ((before, asked), (after, asked_later)) = (told(&telling(7, 40, 0)), told(&telling(7, 40, 33)));
    let later: BTreeMap<&str, &Event> = after.iter().map(|event| (event.id.as_str(), event)).collect();
    assert_eq!(later.len(), after.len(), "every event has an id of its own");
    let changed: Vec<&str> = before
        .iter()
        .filter(|event| later.get(event.id.as_str()) != Some(event))
        .map(|event| event.id.as_str())
        .collect();
    assert!(changed.is_empty(), "{changed:?}");
    assert!(after.len() > before.len() && asked.iter().all(|answer| asked_later.contains(answer)));
}

#[test]
fn nothing_lies_in_the_future_and_everything_says_that_it_is_invented() {
    let telling = telling(7, 60, 0);
    let facts = telling.facts();
    let flag = Some(Value { kind: Some(ValueKind::Flag(true)) });
    let says = |account: &keizoku_proto::ingestion::AccountItem| {
        account.attributes.iter().any(|attribute| attribute.key == "synthetic" && attribute.value == flag)
    };
    assert!(facts.accounts.len() == 60 && facts.accounts.iter().all(says));
    let (events, measurements) = told(&telling);
    let at = |event: &Event| match event.when {
        Some(keizoku_proto::ingestion::event::When::OccurredAt(at)) => keizoku_convert::instant(&at),
        _ => panic!("no instant: {event:?}"),
    };
    assert!(events.iter().all(|event| at(event) <= telling.now && event.known_at.is_some()));
    let newest = events.iter().map(at).max().expect("events");
    assert_eq!(telling.zone.day_of(newest), TODAY);
    // Some events a customer and day: enough to see, few enough to send.
    assert!((30_000..120_000).contains(&events.len()), "{}", events.len());
    assert!((20..600).contains(&measurements.len()), "{}", measurements.len());
    let ends = |talk: &keizoku_proto::ingestion::ConversationItem| {
        let opened = talk.opened_at.as_ref().map(keizoku_convert::instant);
        let closed = talk.closed_at.as_ref().map(keizoku_convert::instant);
        opened <= Some(telling.now) && closed.is_none_or(|closed| Some(closed) >= opened && closed <= telling.now)
    };
    assert!(facts.conversations.len() > 300 && facts.conversations.iter().all(ends), "{}", facts.conversations.len());
    let is_japanese = |text: &str| text.chars().any(|letter| ('ぁ'..='ん').contains(&letter));
    let japanese = facts.conversations.iter().filter(|talk| is_japanese(&talk.text)).count();
    assert!(japanese > 100 && facts.conversations.len() - japanese > 50, "{japanese} of {}", facts.conversations.len());
    assert!(facts.contracts.iter().any(|contract| contract.trial) && !facts.cancellations.is_empty());
}

#[test]
fn how_it_was_told_can_be_read_from_the_first_account() {
    let telling = telling(20_260_101, 60, 0);
    let first = telling.facts().accounts.remove(0);
    assert_eq!(first.external_id.expect("an id").id, FIRST);
    let account = Account { attributes: first.attributes, ..Account::default() };
    assert_eq!(telling_of(&account, telling.now, telling.zone), Some(telling));
    assert_eq!(telling_of(&Account::default(), telling.now, telling.zone), None);
}

#[test]
fn a_workspace_of_real_data_is_refused() {
    let who = |synthetic| WhoAmIResponse {
        workspace: Some(keizoku_proto::ingestion::Workspace {
            time_zone: "UTC".to_owned(),
            synthetic,
            ..keizoku_proto::ingestion::Workspace::default()
        }),
        ..WhoAmIResponse::default()
    };
    assert!(synthetic_zone(&who(true)).is_ok());
    assert!(matches!(synthetic_zone(&who(false)), Err(Failure::Usage { .. })));
}

/// Counts what it is sent, by kind, and sees that kinds come in their order.
#[derive(Default)]
struct Counted {
    kinds: Vec<(Kind, usize)>,
}

impl Sink for Counted {
    async fn send(&mut self, batch: Batch) -> Result<Vec<Answered>, Failure> {
        let sent = batch.items.len();
        match self.kinds.last_mut() {
            Some((kind, count)) if *kind == batch.kind => *count += sent,
            _ => self.kinds.push((batch.kind, sent)),
        }
        Ok(vec![Answered { sent: sent as u64, stored: sent as u64, ..Answered::default() }])
    }

    async fn finish(&mut self) -> Result<Vec<Answered>, Failure> {
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn everything_told_is_sent_and_what_others_refer_to_first() {
    let telling = telling(7, 30, 0);
    let mut sink = Counted::default();
    let facts = telling.send_facts(&mut sink).await.expect("sent");
    let events = telling.send_events(&mut sink).await.expect("sent");
    let kinds: Vec<Kind> = sink.kinds.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(
        kinds,
        [
            Kind::Accounts,
            Kind::Contacts,
            Kind::Users,
            Kind::Contracts,
            Kind::Cancellations,
            Kind::Conversations,
            Kind::Events,
            Kind::Measurements,
        ]
    );
    let total: usize = sink.kinds.iter().map(|(_, count)| count).sum();
    assert_eq!(facts.and(events).sent, total as u64);
    assert!(facts.and(events).verdict().is_ok());
}

#[test]
fn the_shipped_documents_can_be_read() {
    let metrics = model::metrics().expect("metrics");
    assert!(metrics.len() >= 5 && metrics.iter().all(|metric| !metric.event_names.is_empty()));
}
