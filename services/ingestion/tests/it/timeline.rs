//! A customer's history.

use keizoku_proto::google::Date;
use keizoku_proto::ingestion::timeline_entry::Entry;
use keizoku_proto::ingestion::{
    AccountItem, CancellationItem, ContactItem, ContractItem, ConversationItem, ListTimelineRequest,
    ListTimelineResponse, PutCancellationsRequest, PutContactsRequest, PutContractsRequest, PutConversationsRequest,
    TimelineEntry,
};
use keizoku_proto::types::Attribute;
use prost_types::Timestamp;
use tonic::Code;

use crate::accounts::{attribute, item, put};
use crate::rig::{Rig, account, external, reason};

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

fn conversation(id: &str, seconds: i64, subject: &str, text: &str) -> ConversationItem {
    ConversationItem {
        external_id: Some(external("desk", id)),
        account: Some(account("crm", "1")),
        channel: "ticket".to_owned(),
        subject: subject.to_owned(),
        text: text.to_owned(),
        opened_at: at(seconds),
        ..ConversationItem::default()
    }
}

async fn say(rig: &Rig, items: Vec<ConversationItem>) {
    let request = PutConversationsRequest { items, ..PutConversationsRequest::default() };
    rig.accounts().put_conversations(request).await.expect("an answer");
}

async fn list(rig: &Rig, request: ListTimelineRequest) -> ListTimelineResponse {
    let request = ListTimelineRequest { account: Some(account("crm", "1")), ..request };
    rig.accounts().list_timeline(request).await.expect("an answer").into_inner()
}

fn told(entry: &TimelineEntry) -> (i64, String) {
    let what = match entry.entry.as_ref().expect("an answer") {
        Entry::Conversation(conversation) => format!("said {}", conversation.subject),
        Entry::ContractStarted(contract) => format!("started {}", contract.plan),
        Entry::ContractEnded(contract) => format!("ended {}", contract.plan),
        Entry::Cancellation(cancellation) => format!("cancelled {}", cancellation.reason),
        Entry::Attribute(change) => {
            format!(
                "{} {:?}",
                change.attribute.as_ref().expect("an answer").key,
                change.previous.as_ref().map(|was| &was.kind)
            )
        }
        Entry::ContactJoined(contact) => format!("joined {}", contact.display_name),
        Entry::ContactLeft(contact) => format!("left {}", contact.display_name),
    };
    (entry.occurred_at.as_ref().expect("an answer").seconds, what)
}

/// Seconds of the start of a day of May 2024 in Tokyo.
fn may(day: i64) -> i64 {
    1_714_489_200 + (day - 1) * 86_400
}

fn date(day: i32) -> Option<Date> {
    Some(Date { year: 2024, month: 5, day })
}

/// Every kind of entry; on 3 May several at the same instant.
async fn live(rig: &Rig) -> Vec<(i64, String)> {
    let seats = |count, seconds| Attribute { known_at: at(seconds), ..attribute("seats", count) };
    put(rig, vec![AccountItem { attributes: vec![seats(1, may(1) - 60)], ..item("1", "One") }]).await;
    put(rig, vec![AccountItem { attributes: vec![seats(2, may(2))], ..item("1", "One") }]).await;
    let contract = ContractItem {
        external_id: Some(external("billing", "c1")),
        accounts: vec![account("crm", "1")],
        plan: "pro".to_owned(),
        starts_on: date(1),
        ends_on: date(3),
        ..ContractItem::default()
    };
    let request = PutContractsRequest { items: vec![contract], ..Default::default() };
    rig.accounts().put_contracts(request).await.expect("an answer");
    let contact = ContactItem {
        external_id: Some(external("crm", "p1")),
        account: Some(account("crm", "1")),
        display_name: "咲".to_owned(),
        joined_on: date(1),
        left_on: date(3),
        ..ContactItem::default()
    };
    rig.accounts()
        .put_contacts(PutContactsRequest { items: vec![contact], ..Default::default() })
        .await
        .expect("an answer");
    let cancellation = CancellationItem {
        external_id: Some(external("crm", "x1")),
        account: Some(account("crm", "1")),
        effective_on: date(3),
        reason: "price".to_owned(),
        ..CancellationItem::default()
    };
    let request = PutCancellationsRequest { items: vec![cancellation], ..Default::default() };
    rig.accounts().put_cancellations(request).await.expect("an answer");
    let items = vec![
        conversation("t1", may(3), "at the end", "the Price is too high"),
        conversation("t2", may(1) + 1, "契約について", "価格が高すぎる。解約したい。"),
    ];
    say(rig, items).await;
    vec![
        (may(3), "said at the end".to_owned()),
        (may(3), "ended pro".to_owned()),
        (may(3), "cancelled price".to_owned()),
        (may(3), "left 咲".to_owned()),
        (may(2), "seats Some(Some(Integer(1)))".to_owned()),
        (may(1) + 1, "said 契約について".to_owned()),
        (may(1), "started pro".to_owned()),
        (may(1), "joined 咲".to_owned()),
        (may(1) - 60, "seats None".to_owned()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_told_newest_first_and_the_same_in_pages_of_any_size() {
    let rig = Rig::start().await;
    let expected = live(&rig).await;
    let whole = list(&rig, ListTimelineRequest::default()).await;
    assert_eq!(whole.entries.iter().map(told).collect::<Vec<_>>(), expected);
    assert_eq!(whole.next_page_token, "");
    for page_size in [1, 2, 3, 5, 8, 9] {
        let (mut token, mut entries) = (String::new(), Vec::new());
        loop {
            let page_token = std::mem::take(&mut token);
            let page = list(&rig, ListTimelineRequest { page_size, page_token, ..Default::default() }).await;
            assert!(page.entries.len() <= usize::try_from(page_size).unwrap());
            entries.extend(page.entries);
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(entries, whole.entries, "pages of {page_size}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_and_until_bound_instants_and_days_alike() {
    let rig = Rig::start().await;
    let expected = live(&rig).await;
    for (from, until) in [(may(1), may(3)), (may(1) + 1, may(3) + 1), (may(2), may(2)), (may(2), may(2) + 1)] {
        let request = ListTimelineRequest { from: at(from), until: at(until), ..Default::default() };
        let found: Vec<_> = list(&rig, request).await.entries.iter().map(told).collect();
        let within: Vec<_> = expected.iter().filter(|(at, _)| (from..until).contains(at)).cloned().collect();
        assert_eq!(found, within, "{from} to {until}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_are_found_by_what_was_said_in_any_script() {
    let rig = Rig::start().await;
    live(&rig).await;
    say(&rig, vec![conversation("t3", may(2), "100%", "snake_case")]).await;
    let search = async |contains: &str| {
        let request = ListTimelineRequest { contains: contains.to_owned(), ..Default::default() };
        list(&rig, request).await.entries.iter().map(|entry| told(entry).1).collect::<Vec<_>>()
    };
    assert_eq!(search("解約").await, ["said 契約について"]);
    assert_eq!(search("契約").await, ["said 契約について"]);
    assert_eq!(search("pRICE").await, ["said at the end"]);
    assert_eq!(search("0%").await, ["said 100%"]);
    assert_eq!(search("e_c").await, ["said 100%"]);
    assert_eq!(search("解決").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_long_conversations_ends_early() {
    let rig = Rig::start().await;
    let text = "あ".repeat(21_000);
    say(&rig, (0..40).map(|number| conversation(&format!("t{number}"), may(1) + number, "s", &text)).collect()).await;
    let (mut token, mut found, mut pages) = (String::new(), Vec::new(), 0);
    loop {
        let page_token = std::mem::take(&mut token);
        let page = list(&rig, ListTimelineRequest { page_size: 100, page_token, ..Default::default() }).await;
        found.extend(page.entries.iter().map(|entry| told(entry).0));
        (token, pages) = (page.next_page_token, pages + 1);
        if token.is_empty() {
            break;
        }
    }
    let expected: Vec<_> = (0..40).rev().map(|number| may(1) + number).collect();
    assert_eq!((found, pages), (expected, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_account_is_not_found_and_a_foreign_token_is_refused() {
    let rig = Rig::start().await;
    live(&rig).await;
    let request = ListTimelineRequest { account: Some(account("crm", "nobody")), ..Default::default() };
    let refused = rig.accounts().list_timeline(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "ACCOUNT_UNKNOWN"));
    let page_token = list(&rig, ListTimelineRequest { page_size: 1, ..Default::default() }).await.next_page_token;
    let request = ListTimelineRequest {
        account: Some(account("crm", "1")),
        contains: "x".to_owned(),
        page_token,
        ..Default::default()
    };
    assert_eq!(rig.accounts().list_timeline(request).await.unwrap_err().code(), Code::InvalidArgument);
}
