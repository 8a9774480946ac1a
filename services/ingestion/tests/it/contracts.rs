//! Contracts, what they bring in, and how they end.

use keizoku_proto::google::Date;
use keizoku_proto::ingestion::{
    CancellationItem, ContractItem, GetAccountRequest, GetAccountResponse, ItemResult, Outcome,
    PutCancellationsRequest, PutContractsRequest, SetClockRequest,
};
use keizoku_proto::types::{BillingPeriod, Money};
use prost_types::Timestamp;

use crate::accounts::{attribute, item, outcomes, put as put_accounts};
use crate::rig::{Rig, account, external};

fn date(year: i32, month: i32, day: i32) -> Option<Date> {
    Some(Date { year, month, day })
}

fn money(minor_units: i64, currency: &str, period: BillingPeriod) -> Option<Money> {
    Some(Money { minor_units, currency_code: currency.to_owned(), period: period.into() })
}

/// A contract of 2024 with account 1.
fn contract(id: &str) -> ContractItem {
    ContractItem {
        external_id: Some(external("billing", id)),
        accounts: vec![account("crm", "1")],
        plan: "pro".to_owned(),
        amount: money(12_000, "USD", BillingPeriod::Year),
        seats: Some(10),
        starts_on: date(2024, 1, 1),
        ends_on: date(2025, 1, 1),
        ..ContractItem::default()
    }
}

async fn put(rig: &Rig, items: Vec<ContractItem>) -> Vec<ItemResult> {
    let request = PutContractsRequest { items, ..PutContractsRequest::default() };
    rig.accounts().put_contracts(request).await.expect("an answer").into_inner().results
}

async fn whole(rig: &Rig, id: &str) -> GetAccountResponse {
    let request = GetAccountRequest { account: Some(account("crm", id)) };
    rig.accounts().get_account(request).await.expect("an answer").into_inner()
}

fn sums(answer: &GetAccountResponse) -> Vec<(&str, i64)> {
    answer.monthly_revenue.iter().map(|sum| (sum.currency_code.as_str(), sum.minor_units)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_of_two_accounts_is_shown_with_both_and_paid_by_the_first() {
    let rig = Rig::start().await;
    put_accounts(&rig, vec![item("1", "One"), item("2", "Two"), item("3", "Three")]).await;
    let shared = ContractItem { accounts: vec![account("crm", "1"), account("crm", "2")], ..contract("c1") };
    let stored = put(&rig, vec![shared.clone()]).await;
    assert_eq!(outcomes(&stored), [Outcome::Stored]);
    assert_eq!(outcomes(&put(&rig, vec![shared]).await), [Outcome::Duplicate]);
    let (first, second) = (whole(&rig, "1").await, whole(&rig, "2").await);
    assert_eq!((&first.contracts, first.contracts.len()), (&second.contracts, 1));
    assert_eq!(
        first.contracts[0].account_ids,
        [first.account.as_ref().unwrap().id.clone(), second.account.as_ref().unwrap().id.clone()]
    );
    assert_eq!((first.contracts[0].id.as_str(), first.contracts[0].seats), (stored[0].id.as_str(), Some(10)));
    assert_eq!((sums(&first), sums(&second)), (vec![("USD", 1_000)], vec![]));

    let moved = ContractItem { accounts: vec![account("crm", "2"), account("crm", "3")], ..contract("c1") };
    assert_eq!(outcomes(&put(&rig, vec![moved]).await), [Outcome::Stored]);
    assert_eq!(whole(&rig, "1").await.contracts, []);
    assert_eq!((sums(&whole(&rig, "2").await), whole(&rig, "3").await.contracts.len()), (vec![("USD", 1_000)], 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_names_of_one_account_are_no_two_accounts_of_a_contract() {
    let rig = Rig::start().await;
    let results = put_accounts(&rig, vec![item("1", "One")]).await;
    let id = keizoku_proto::types::account_ref::Ref::Id(results[0].id.clone());
    let by_id = keizoku_proto::types::AccountRef { r#ref: Some(id) };
    let twice = ContractItem { accounts: vec![account("crm", "1"), by_id], ..contract("c1") };
    let refused = put(&rig, vec![twice]).await;
    let named = vec![("accounts[1]".to_owned(), "DUPLICATE_KEY".to_owned())];
    assert_eq!(crate::rig::refusal(&refused[0]).1, named);
}

#[tokio::test(flavor = "multi_thread")]
async fn revenue_is_exact_and_rounded_once() {
    let rig = Rig::start().await;
    let of = |id: &str, amount| ContractItem { amount, ..contract(id) };
    let items = vec![
        of("y1", money(18, "USD", BillingPeriod::Year)),
        of("y2", money(18, "USD", BillingPeriod::Year)),
        of("m1", money(999_999_999_999, "JPY", BillingPeriod::Month)),
        of("m2", money(1, "JPY", BillingPeriod::Month)),
        of("once", money(5_000, "USD", BillingPeriod::OneOff)),
        of("unknown", None),
        ContractItem { trial: true, ..contract("trial") },
        ContractItem { starts_on: date(2024, 5, 2), ..contract("tomorrow") },
        ContractItem { ends_on: date(2024, 5, 1), ..contract("ended") },
    ];
    assert!(put(&rig, items).await.iter().all(|result| result.outcome() == Outcome::Stored));
    assert_eq!(sums(&whole(&rig, "1").await), [("JPY", 1_000_000_000_000), ("USD", 3)]);
    // 2024-05-01T15:00Z is the second of May in Tokyo.
    rig.control()
        .set_clock(SetClockRequest { now: Some(Timestamp { seconds: 1_714_575_600, nanos: 0 }) })
        .await
        .unwrap();
    assert_eq!(sums(&whole(&rig, "1").await), [("JPY", 1_000_000_000_000), ("USD", 1_003)]);
    assert_eq!(whole(&rig, "1").await.contracts.len(), 9);
    assert_eq!(whole(&rig, "1").await.contracts[0].starts_on, date(2024, 5, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_contract_ends_where_it_is_cancelled() {
    let rig = Rig::start().await;
    put(&rig, vec![ContractItem { ends_on: None, ..contract("c1") }]).await;
    assert_eq!(sums(&whole(&rig, "1").await), [("USD", 1_000)]);
    let cancelled = CancellationItem {
        external_id: Some(external("billing", "x1")),
        account: Some(account("crm", "1")),
        contract_external_id: Some(external("billing", "c1")),
        effective_on: date(2024, 5, 1),
        reason: "price".to_owned(),
        ..CancellationItem::default()
    };
    let request = PutCancellationsRequest { items: vec![cancelled], ..Default::default() };
    let results = rig.accounts().put_cancellations(request.clone()).await.unwrap().into_inner().results;
    assert_eq!(outcomes(&results), [Outcome::Stored]);
    let again = rig.accounts().put_cancellations(request).await.unwrap().into_inner().results;
    assert_eq!((outcomes(&again), &again[0].id), (vec![Outcome::Duplicate], &results[0].id));
    assert_eq!(sums(&whole(&rig, "1").await), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_told_in_any_order_end_the_same() {
    let rig = Rig::start().await;
    let known = |seconds| Some(Timestamp { seconds, nanos: 0 });
    let old = ContractItem { known_at: known(1_700_000_000), attributes: vec![attribute("tier", 1)], ..contract("c1") };
    let new = ContractItem { known_at: known(1_710_000_000), seats: Some(20), ..contract("c1") };
    assert_eq!(outcomes(&put(&rig, vec![new.clone()]).await), [Outcome::Stored]);
    assert_eq!(outcomes(&put(&rig, vec![old.clone()]).await), [Outcome::Stored]);
    let shown = whole(&rig, "1").await.contracts.remove(0);
    assert_eq!((shown.seats, shown.known_at), (Some(20), known(1_710_000_000)));
    assert_eq!(outcomes(&put(&rig, vec![old, new]).await), [Outcome::Duplicate; 2]);
    assert_eq!(whole(&rig, "1").await.contracts, [shown]);
}
