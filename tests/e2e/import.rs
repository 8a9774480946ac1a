//! Published data of a real layout, from its CSV files to scores: what the guide on importing promises.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use keizoku_proto::ingestion::timeline_entry::Entry;
use keizoku_proto::ingestion::{GetAccountRequest, GetCoverageResponse, ListTimelineRequest};
use keizoku_proto::types::{AccountRef, BillingPeriod, ExternalId, account_ref};
use keizoku_testkit::{TempDir, eventually, shared_data};
use keizoku_tests::{Options, Sandbox, User, root};
use serde_json::Value as Json;

/// The day on which the data end.
const LAST_DAY: &str = "2024-12-31";

const SKIPPED: &str = "SKIPPED: there are no published data on this machine";

/// What the files hold, target by target.
const TARGETS: [(&str, u64); 6] = [
    ("accounts", 500),
    ("contracts", 5_000),
    ("cancellations", 600),
    ("conversations", 2_000),
    ("events", 25_000),
    ("measurements", 1_175),
];

/// What is known of one customer.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Customer {
    /// Dollar cents per month.
    revenue: i64,
    tickets: usize,
    /// Why it cancelled, sorted.
    reasons: Vec<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn published_data_are_imported_scored_and_right_to_the_cent() {
    let Some(folder) = shared_data("ravenstack") else {
        println!("{SKIPPED}");
        return;
    };
    let sandbox = in_utc().await;
    let user = User::new(&sandbox.client());
    assert_eq!(sandbox.run(&["workspaces", "set-clock", LAST_DAY]).2, 0);

    let first = import(&sandbox, &files(&folder));
    assert_eq!((first.code, first.counts("stored")), (0, expected_counts()), "{}", first.said);
    assert!(!first.said.contains("days before the workspace's present"), "{}", first.said);
    assert!(first.said.contains("keizoku model init"), "{}", first.said);
    let coverage = counted(&user).await;
    assert_eq!(covered(&coverage), [500, 466, 500, 0, 0, 492, 352]);

    let expected = customers_of(&folder);
    assert_eq!(expected.len(), 500);
    assert_eq!(expected.values().map(|customer| customer.tickets).sum::<usize>(), 2_000);
    assert_eq!(expected.values().map(|customer| customer.reasons.len()).sum::<usize>(), 600);
    let known = customers_known(&user, &expected).await;
    assert_eq!(known, expected);

    every_account_has_its_health(&sandbox, &expected).await;

    let again = import(&sandbox, &files(&folder));
    assert_eq!((again.code, again.counts("duplicate")), (0, expected_counts()), "{}", again.said);
    assert_eq!(again.counts("stored").values().sum::<u64>(), 0);
    assert_eq!(without_position(counted(&user).await), without_position(coverage));
    assert_eq!(customers_known(&user, &expected).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_of_old_data_says_that_they_are_old() {
    let Some(folder) = shared_data("ravenstack") else {
        println!("{SKIPPED}");
        return;
    };
    let sandbox = in_utc().await;
    let few: Vec<PathBuf> = files(&folder)
        .into_iter()
        .filter(|file| ["accounts", "support_tickets"].iter().any(|name| file.to_string_lossy().contains(name)))
        .collect();
    assert_eq!(few.len(), 2);
    let imported = import(&sandbox, &few);
    assert_eq!(imported.code, 0, "{}", imported.said);
    let cure = format!("keizoku workspaces set-clock {LAST_DAY}");
    assert!(imported.said.contains("days before the workspace's present"), "{}", imported.said);
    assert!(imported.said.contains(&cure), "{}", imported.said);
}

/// What an import printed.
struct Imported {
    rows: Vec<Json>,
    said: String,
    code: i32,
}

impl Imported {
    /// One of the counts, target by target.
    fn counts(&self, name: &str) -> BTreeMap<String, u64> {
        let count = |row: &Json| Some((row["target"].as_str()?.to_owned(), row[name].as_u64()?));
        self.rows.iter().map(|row| count(row).expect("a target and its counts")).collect()
    }
}

fn import(sandbox: &Sandbox, files: &[PathBuf]) -> Imported {
    let mapping = root().join("mappings/ravenstack.yaml");
    let mut arguments = vec!["import", "-o", "json", "--mapping", text(&mapping)];
    arguments.extend(files.iter().map(|file| text(file)));
    let (out, said, code) = sandbox.run(&arguments);
    let rows: Vec<Json> = serde_json::from_str(&out).unwrap_or_else(|fault| panic!("{fault}: {out}\n{said}"));
    for row in &rows {
        let [total, left_out, unreadable, sent, stored, duplicate, rejected] =
            ["rows", "leftOut", "unreadable", "sent", "stored", "duplicate", "rejected"]
                .map(|name| row[name].as_u64().expect("a count"));
        assert_eq!(total, left_out + unreadable + sent, "{row}");
        assert_eq!(sent, stored + duplicate + rejected, "{row}");
        assert_eq!((unreadable, rejected), (0, 0), "{row}\n{said}");
    }
    Imported { rows, said, code }
}

/// From the draft of a model to a score, or the reason for none, of each account.
async fn every_account_has_its_health(sandbox: &Sandbox, expected: &BTreeMap<String, Customer>) {
    let folder = TempDir::new();
    let (draft, said, code) = sandbox.run(&["model", "init"]);
    assert_eq!(code, 0, "{said}");
    for metric in ["feature_uses", "ticket_satisfaction"] {
        assert!(draft.contains(&format!("window: {{metric: {metric},")), "{metric} is not drafted: {draft}");
    }
    assert!(draft.contains("10th percentile") && draft.contains("500 of 500 accounts"), "{draft}");
    std::fs::write(folder.join("health.yaml"), &draft).expect("a folder of ours");
    let (_, said, code) = sandbox.run(&["apply", "-f", text(&folder.join("health.yaml"))]);
    assert_eq!(code, 0, "{said}\n{draft}");

    let scores = eventually(Duration::from_secs(30), || {
        let (out, _, code) = sandbox.run(&["scores", "list", "--all", "-o", "json"]);
        async move {
            let scores: Vec<Json> = serde_json::from_str(&out).ok().filter(|_| code == 0)?;
            let settled = |score: &Json| score["unscored"]["reason"] != "REASON_NOT_YET_COMPUTED";
            (scores.len() == 500 && scores.iter().all(settled)).then_some(scores)
        }
    })
    .await;
    for score in &scores {
        let reason = score["unscored"]["reason"].as_str().filter(|reason| *reason != "REASON_UNSPECIFIED");
        assert!(score["scored"]["valueMillis"].is_i64() || reason.is_some(), "{score}");
    }
    assert!(scores.iter().any(|score| score["scored"].is_object()), "no account has a score");
    let revenue: i64 = scores.iter().map(revenue_of_score).sum();
    assert_eq!(revenue, expected.values().map(|customer| customer.revenue).sum::<i64>(), "as scoring knows it");
}

fn revenue_of_score(score: &Json) -> i64 {
    let amounts = score["monthlyRevenue"].as_array().expect("a list");
    amounts.iter().map(|money| money["minorUnits"].as_str().expect("units").parse::<i64>().expect("a number")).sum()
}

/// What arrived, once all of it is counted.
async fn counted(user: &User) -> GetCoverageResponse {
    eventually(Duration::from_secs(30), || {
        let mut user = user.clone();
        async move {
            let coverage = user.coverage().await.ok()?;
            let counts: Vec<(&str, i64)> =
                coverage.events.iter().map(|event| (event.name.as_str(), event.event_count)).collect();
            (counts == [("feature_used", 25_000), ("ticket_satisfaction", 1_175)]).then_some(coverage)
        }
    })
    .await
}

/// Accounts with at least one event, measurement, contract, contact, user, conversation, cancellation.
fn covered(coverage: &GetCoverageResponse) -> Vec<i64> {
    assert_eq!(coverage.account_count, 500);
    coverage.kinds.iter().map(|kind| kind.covered_account_count).collect()
}

fn without_position(coverage: GetCoverageResponse) -> GetCoverageResponse {
    GetCoverageResponse { position: Vec::new().into(), ..coverage }
}

/// What the server knows of the customers.
async fn customers_known(user: &User, of: &BTreeMap<String, Customer>) -> BTreeMap<String, Customer> {
    let known = futures::stream::iter(of.keys().cloned())
        .map(|id| {
            let user = user.clone();
            async move { customer_known(user, &id).await.map(|customer| (id, customer)) }
        })
        .buffer_unordered(8);
    known.try_collect().await.expect("every account is known")
}

async fn customer_known(mut user: User, id: &str) -> Result<Customer, tonic::Status> {
    let external = ExternalId { source: "ravenstack".to_owned(), id: id.to_owned() };
    let account = Some(AccountRef { r#ref: Some(account_ref::Ref::External(external)) });
    let found = user.accounts.get_account(GetAccountRequest { account: account.clone() }).await?.into_inner();
    let mut customer = Customer::default();
    for money in &found.monthly_revenue {
        assert_eq!((money.currency_code.as_str(), money.period()), ("USD", BillingPeriod::Month));
        customer.revenue += money.minor_units;
    }
    let request = ListTimelineRequest { account, page_size: 1_000, ..ListTimelineRequest::default() };
    let timeline = user.accounts.list_timeline(request).await?.into_inner();
    assert_eq!(timeline.next_page_token, "", "{id} has a longer timeline than a page");
    for entry in timeline.entries.into_iter().filter_map(|entry| entry.entry) {
        match entry {
            Entry::Conversation(ticket) if ticket.channel == "ticket" => customer.tickets += 1,
            Entry::Cancellation(cancellation) => customer.reasons.push(cancellation.reason),
            Entry::Conversation(_)
            | Entry::ContractStarted(_)
            | Entry::ContractEnded(_)
            | Entry::Attribute(_)
            | Entry::ContactJoined(_)
            | Entry::ContactLeft(_) => {}
        }
    }
    customer.reasons.sort();
    Ok(customer)
}

/// What the files say of the customers, read without the mapping.
fn customers_of(folder: &Path) -> BTreeMap<String, Customer> {
    let mut customers = BTreeMap::new();
    for row in rows(folder, "accounts") {
        customers.insert(row["account_id"].clone(), Customer::default());
    }
    let mut of = |row: &BTreeMap<String, String>, tell: &dyn Fn(&mut Customer)| {
        tell(customers.get_mut(&row["account_id"]).expect("rows are of known accounts"));
    };
    for row in rows(folder, "subscriptions") {
        let (start, end) = (row["start_date"].as_str(), row["end_date"].as_str());
        let in_force = start <= LAST_DAY && (end.is_empty() || LAST_DAY <= end);
        if in_force && !row["is_trial"].eq_ignore_ascii_case("true") {
            of(&row, &|customer| customer.revenue += cents(&row["mrr_amount"]));
        }
    }
    for row in rows(folder, "support_tickets") {
        of(&row, &|customer| customer.tickets += 1);
    }
    for row in rows(folder, "churn_events") {
        of(&row, &|customer| customer.reasons.push(row["reason_code"].clone()));
    }
    customers.values_mut().for_each(|customer| customer.reasons.sort());
    customers
}

fn rows(folder: &Path, name: &str) -> Vec<BTreeMap<String, String>> {
    let path = folder.join(format!("ravenstack_{name}.csv"));
    let mut reader = csv::Reader::from_path(path).expect("the file is there");
    reader.deserialize().map(|row| row.expect("a row of named cells")).collect()
}

fn cents(amount: &str) -> i64 {
    let (whole, part) = amount.split_once('.').unwrap_or((amount, ""));
    format!("{whole}{part:0<2}").parse().expect("dollars with at most two decimals")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let names = ["feature_usage", "support_tickets", "churn_events", "subscriptions", "accounts"];
    names.map(|name| folder.join(format!("ravenstack_{name}.csv"))).to_vec()
}

fn expected_counts() -> BTreeMap<String, u64> {
    TARGETS.map(|(target, count)| (target.to_owned(), count)).into()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of UTF-8")
}

/// The files name no zone and the mapping takes them for UTC, so that their last day is the workspace's too.
async fn in_utc() -> Sandbox {
    Sandbox::start_with(Options { zone: "UTC", ..Options::default() }).await
}
