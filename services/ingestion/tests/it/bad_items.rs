//! What is refused, and that it keeps nothing else back.

use keizoku_proto::google::Date;
use keizoku_proto::ingestion::{
    AccountItem, CancellationItem, ContactItem, ContractItem, ConversationItem, Outcome, PutAccountsRequest,
    PutCancellationsRequest, PutContactsRequest, PutContractsRequest, PutConversationsRequest, PutUsersRequest,
    UserItem,
};
use keizoku_proto::types::{AccountRef, Attribute, BillingPeriod, Money, Value, account_ref, value};
use prost_types::Timestamp;
use tonic::Code;

use crate::accounts::{get, item, outcomes, put};
use crate::rig::{Rig, account, external, refusal, violations};

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(field, reason)| ((*field).to_owned(), (*reason).to_owned())).collect()
}

fn date(year: i32, month: i32, day: i32) -> Option<Date> {
    Some(Date { year, month, day })
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_item_is_named_whole_and_the_others_are_stored() {
    let rig = Rig::start().await;
    let number = Value { kind: Some(value::Kind::Number(f64::NAN)) };
    let bad = AccountItem {
        external_id: Some(external("CRM", "")),
        display_name: Some("x".repeat(256)),
        parent: Some(AccountRef { r#ref: Some(account_ref::Ref::Id("4711".to_owned())) }),
        attributes: vec![Attribute { key: "Size".to_owned(), value: Some(number), known_at: None }],
        ..AccountItem::default()
    };
    let results = put(&rig, vec![item("1", "One"), bad, item("2", "Two")]).await;
    assert_eq!(outcomes(&results), [Outcome::Stored, Outcome::Rejected, Outcome::Stored]);
    assert_eq!(results[1].id, "");
    let named = pairs(&[
        ("external_id.source", "NOT_A_KEY"),
        ("external_id.id", "REQUIRED"),
        ("display_name", "TOO_LONG"),
        ("parent.id", "NOT_AN_ID"),
        ("attributes[0].key", "NOT_A_KEY"),
        ("attributes[0].value.number", "NOT_A_NUMBER"),
    ]);
    assert_eq!(refusal(&results[1]), (Code::InvalidArgument, named));
    assert_eq!((get(&rig, "1").await.display_name, get(&rig, "2").await.display_name), ("One".into(), "Two".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_leans_on_a_refused_one_is_refused_too() {
    let rig = Rig::start().await;
    let stray = AccountItem { same_as: Some(account("crm", "nobody")), ..item("a", "A") };
    let child = AccountItem { parent: Some(account("crm", "a")), ..item("b", "B") };
    let results = put(&rig, vec![stray, child, item("c", "C")]).await;
    assert_eq!(outcomes(&results), [Outcome::Rejected, Outcome::Rejected, Outcome::Stored]);
    assert_eq!(refusal(&results[0]).1, pairs(&[("same_as", "ACCOUNT_UNKNOWN")]));
    assert_eq!(refusal(&results[1]).1, pairs(&[("parent", "ACCOUNT_UNKNOWN")]));
    put(&rig, vec![AccountItem { same_as: Some(account("crm", "c")), ..item("d", "C") }]).await;
    let itself = AccountItem { parent: Some(account("crm", "d")), ..item("c", "C") };
    assert_eq!(refusal(&put(&rig, vec![itself]).await[0]).1, pairs(&[("parent", "REFERS_TO_ITSELF")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_item_names_what_is_wrong_with_it() {
    let rig = Rig::start().await;
    let mut client = rig.accounts();
    let some = || Some(account("crm", "1"));
    let own = || Some(external("crm", "x"));
    let amount = Money { minor_units: -1, currency_code: "$".to_owned(), period: BillingPeriod::Unspecified.into() };
    let contract = ContractItem {
        external_id: own(),
        amount: Some(amount),
        seats: Some(-5),
        starts_on: date(0, 1, 1),
        ends_on: date(9999, 12, 31),
        ..ContractItem::default()
    };
    let request = PutContractsRequest { items: vec![contract], ..Default::default() };
    let found = client.put_contracts(request).await.unwrap().into_inner().results;
    let named = pairs(&[
        ("accounts", "REQUIRED"),
        ("amount.minor_units", "OUT_OF_RANGE"),
        ("amount.currency_code", "NOT_A_CURRENCY"),
        ("amount.period", "REQUIRED"),
        ("seats", "OUT_OF_RANGE"),
        ("starts_on", "DATE_DOES_NOT_EXIST"),
        ("ends_on", "OUT_OF_RANGE"),
    ]);
    assert_eq!(refusal(&found[0]).1, named);

    let contact = ContactItem { external_id: own(), email: "x".repeat(300), ..ContactItem::default() };
    let request = PutContactsRequest { items: vec![contact], ..Default::default() };
    let found = client.put_contacts(request).await.unwrap().into_inner().results;
    assert_eq!(refusal(&found[0]).1, pairs(&[("account", "REQUIRED"), ("email", "TOO_LONG")]));

    let user = UserItem { account: some(), display_name: "\0".to_owned(), ..UserItem::default() };
    let request = PutUsersRequest { items: vec![user], ..Default::default() };
    let found = client.put_users(request).await.unwrap().into_inner().results;
    assert_eq!(refusal(&found[0]).1, pairs(&[("external_id", "REQUIRED"), ("display_name", "HOLDS_NUL")]));

    let conversation = ConversationItem {
        external_id: own(),
        account: some(),
        text: "x".repeat(5_000_000),
        opened_at: Some(Timestamp { seconds: -1, nanos: 0 }),
        ..ConversationItem::default()
    };
    let request = PutConversationsRequest { items: vec![conversation], ..Default::default() };
    let found = client.put_conversations(request).await.unwrap().into_inner().results;
    let named = pairs(&[("channel", "REQUIRED"), ("text", "TOO_LONG"), ("opened_at", "OUT_OF_RANGE")]);
    assert_eq!(refusal(&found[0]).1, named);

    let cancellation = CancellationItem { external_id: own(), account: some(), ..CancellationItem::default() };
    let request = PutCancellationsRequest { items: vec![cancellation], ..Default::default() };
    let found = client.put_cancellations(request).await.unwrap().into_inner().results;
    assert_eq!(refusal(&found[0]).1, pairs(&[("effective_on", "REQUIRED")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_takes_one_to_a_thousand_items() {
    let rig = Rig::start().await;
    let call = async |count| {
        let items = vec![item("1", "One"); count];
        rig.accounts().put_accounts(PutAccountsRequest { items, ..Default::default() }).await
    };
    assert_eq!(violations(&call(0).await.unwrap_err()), pairs(&[("items", "REQUIRED")]));
    assert_eq!(violations(&call(1001).await.unwrap_err()), pairs(&[("items", "TOO_MANY")]));
    let results = call(1000).await.unwrap().into_inner().results;
    assert_eq!(results.iter().filter(|result| result.outcome() == Outcome::Stored).count(), 1);
}
