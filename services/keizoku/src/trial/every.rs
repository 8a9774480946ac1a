//! Every read in every form and language, on an answer with something in each part.

use keizoku_proto::google::Date;
use keizoku_proto::ingestion::timeline_entry::Entry;
use keizoku_proto::ingestion::{
    Account, AttributeChange, Cancellation, Contact, Contract, Conversation, EventCoverage, GetAccountResponse,
    GetCoverageResponse, GetMetricDaysResponse, GetReceiptResponse, Key, KindCoverage, ListAccountsResponse,
    ListKeysResponse, ListMembersResponse, ListMetricsResponse, ListTimelineResponse, ListWorkspacesResponse, Member,
    MetricDayValue, MetricDefinition, PropertyCoverage, Receipt, TimelineEntry, WhoAmIResponse, Workspace,
};
use keizoku_proto::scoring::contribution::Input;
use keizoku_proto::scoring::score::Result as Outcome;
use keizoku_proto::scoring::{
    Band, Composition, CompositionGroup, Contribution, GetCompositionResponse, GetHistoryResponse, GetModelResponse,
    GetScoreResponse, HealthModel, HistoryPoint, InputFreshness, ListCompositionSnapshotsResponse, ListModelsResponse,
    Measure, Score, Scored, Stage, UnscoredCount,
};
use keizoku_proto::types::{Attribute, BillingPeriod, ExternalId, Money};
use prost_types::Timestamp;
use serde_json::Value as Json;

use super::Server;
use crate::client::methods;

const DAY: Date = Date { year: 2024, month: 12, day: 31 };
const AT: Timestamp = Timestamp { seconds: 1_735_637_400, nanos: 0 };

fn external(id: &str) -> ExternalId {
    ExternalId { source: "crm".to_owned(), id: id.to_owned() }
}

fn money() -> Money {
    Money { minor_units: 123_450, currency_code: "USD".to_owned(), period: BillingPeriod::Month.into() }
}

fn workspace() -> Workspace {
    Workspace { display_name: "Trial".to_owned(), time_zone: "Asia/Tokyo".to_owned(), ..Workspace::default() }
}

fn account() -> Account {
    let attribute = Attribute { key: "industry".to_owned(), value: None, known_at: Some(AT) };
    Account {
        id: "acc_1".to_owned(),
        display_name: "株式会社さくら".to_owned(),
        external_ids: vec![external("42")],
        attributes: vec![attribute],
        ..Account::default()
    }
}

fn contract() -> Contract {
    Contract { external_id: Some(external("k1")), amount: Some(money()), starts_on: Some(DAY), ..Contract::default() }
}

fn timeline() -> ListTimelineResponse {
    let entries = [
        Entry::Conversation(Conversation { channel: "ticket".to_owned(), ..Conversation::default() }),
        Entry::ContractStarted(contract()),
        Entry::ContractEnded(contract()),
        Entry::Cancellation(Cancellation { reason: "budget".to_owned(), ..Cancellation::default() }),
        Entry::Attribute(AttributeChange::default()),
        Entry::ContactJoined(Contact::default()),
        Entry::ContactLeft(Contact::default()),
    ];
    let entries = entries.map(|entry| TimelineEntry { occurred_at: Some(AT), known_at: None, entry: Some(entry) });
    ListTimelineResponse { entries: entries.into(), next_page_token: String::new() }
}

fn coverage() -> GetCoverageResponse {
    let property = PropertyCoverage { key: "plan".to_owned(), kinds: vec!["text".to_owned()], event_count: 3 };
    let event = EventCoverage { name: "login".to_owned(), properties: vec![property], ..EventCoverage::default() };
    let kind = KindCoverage { kind: "event".to_owned(), covered_account_count: 1 };
    GetCoverageResponse { account_count: 2, kinds: vec![kind], events: vec![event], ..GetCoverageResponse::default() }
}

fn model() -> HealthModel {
    let key = |key: &str| key.to_owned();
    HealthModel {
        key: key("main"),
        version: 2,
        measures: vec![Measure { key: key("usage"), weight: 1.0, ..Measure::default() }],
        bands: vec![Band { key: key("good"), ..Band::default() }],
        stages: vec![Stage { key: key("adoption"), ..Stage::default() }],
        ..HealthModel::default()
    }
}

fn score() -> Score {
    let part = Contribution { measure: "usage".to_owned(), input: Some(Input::Value(3.0)), ..Contribution::default() };
    let scored = Scored { value_millis: 60_000, contributions: vec![part], ..Scored::default() };
    let input = InputFreshness { source: "crm".to_owned(), oldest_on: Some(DAY), newest_on: Some(DAY) };
    Score {
        account_id: "acc_1".to_owned(),
        result: Some(Outcome::Scored(scored)),
        inputs: vec![input],
        monthly_revenue: vec![money()],
        ..Score::default()
    }
}

fn composition() -> Composition {
    let group = CompositionGroup { stage: "adoption".to_owned(), account_count: 1, ..CompositionGroup::default() };
    Composition {
        model: "main".to_owned(),
        day: Some(DAY),
        total: Some(group.clone()),
        stages: vec![group],
        unscored: vec![UnscoredCount { reason: "EXCLUDED".to_owned(), account_count: 1 }],
        ..Composition::default()
    }
}

fn ingestion(server: Server) -> Server {
    let end = String::new;
    server
        .on(&methods::WHO_AM_I, |_| {
            Ok(WhoAmIResponse { workspace: Some(workspace()), now: Some(AT), ..WhoAmIResponse::default() })
        })
        .on(&methods::LIST_WORKSPACES, move |_| {
            Ok(ListWorkspacesResponse { workspaces: vec![workspace()], next_page_token: end() })
        })
        .on(&methods::LIST_KEYS, move |_| Ok(ListKeysResponse { keys: vec![Key::default()], next_page_token: end() }))
        .on(&methods::LIST_MEMBERS, move |_| {
            Ok(ListMembersResponse { members: vec![Member::default()], next_page_token: end() })
        })
        .on(&methods::LIST_ACCOUNTS, move |_| {
            let stub = Account { stub: true, ..Account::default() };
            Ok(ListAccountsResponse { accounts: vec![account(), stub], next_page_token: end() })
        })
        .on(&methods::GET_ACCOUNT, |_| {
            let (contracts, contacts) = (vec![contract()], vec![Contact::default()]);
            Ok(GetAccountResponse { account: Some(account()), contracts, contacts, ..GetAccountResponse::default() })
        })
        .on(&methods::LIST_TIMELINE, |_| Ok(timeline()))
        .on(&methods::GET_COVERAGE, |_| Ok(coverage()))
        .on(&methods::GET_RECEIPT, |_| {
            let hour = Receipt { hour: Some(AT), sent_count: 3, stored_count: 3, ..Receipt::default() };
            Ok(GetReceiptResponse { total: Some(Receipt { hour: None, ..hour }), hours: vec![hour] })
        })
        .on(&methods::LIST_METRICS, move |_| {
            Ok(ListMetricsResponse { metrics: vec![MetricDefinition::default()], next_page_token: end() })
        })
        .on(&methods::GET_METRIC_DAYS, |_| {
            Ok(GetMetricDaysResponse { days: vec![MetricDayValue { day: Some(DAY), value: 2.5 }], version: 1 })
        })
}

fn scoring(server: Server) -> Server {
    let end = String::new;
    server
        .on(&methods::LIST_MODELS, move |_| Ok(ListModelsResponse { models: vec![model()], next_page_token: end() }))
        .on(&methods::GET_MODEL, |_| Ok(GetModelResponse { model: Some(model()) }))
        .on(&methods::GET_SCORE, |_| Ok(GetScoreResponse { score: Some(score()), ..GetScoreResponse::default() }))
        .on(&methods::GET_HISTORY, |_| {
            let points = vec![HistoryPoint { day: Some(DAY), value_millis: Some(60_000), ..HistoryPoint::default() }];
            Ok(GetHistoryResponse { points })
        })
        .on(&methods::GET_COMPOSITION, |_| Ok(GetCompositionResponse { composition: Some(composition()) }))
        .on(&methods::LIST_COMPOSITION_SNAPSHOTS, move |_| {
            Ok(ListCompositionSnapshotsResponse { compositions: vec![composition()], next_page_token: end() })
        })
}

const READS: [&str; 18] = [
    "whoami",
    "workspaces list",
    "keys list",
    "members list",
    "accounts list",
    "accounts get crm:42",
    "accounts timeline crm:42 --from 2024-01-01",
    "coverage",
    "receipts crm --until 2024-12-31",
    "metrics list",
    "metrics days logins crm:42",
    "models list",
    "models get main",
    "scores get crm:42",
    "scores explain crm:42",
    "scores history crm:42",
    "report composition",
    "report composition --snapshots",
];

#[tokio::test]
async fn every_read_has_every_form() {
    let server = scoring(ingestion(Server::default())).start().await;
    for read in READS {
        for language in ["en", "ja"] {
            for form in ["table", "json", "jsonl", "csv"] {
                let words: Vec<&str> = read.split(' ').chain(["--lang", language, "-o", form]).collect();
                let told = server.run(&words).await;
                assert_eq!((told.code, told.notes.as_str()), (0, ""), "{words:?}");
                assert!(told.output.ends_with('\n') && told.output.len() > 10, "{words:?}: {:?}", told.output);
                match form {
                    "json" => drop(serde_json::from_str::<Json>(&told.output).expect("one document")),
                    "jsonl" => {
                        told.output.lines().for_each(|line| drop(serde_json::from_str::<Json>(line).expect(read)))
                    }
                    "csv" => assert!(told.output.lines().count() > 1, "{words:?}: {:?}", told.output),
                    _ => assert!(!told.output.contains('\u{1b}'), "{words:?}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn every_read_shows_its_request() {
    let server = scoring(ingestion(Server::default())).start().await;
    for read in READS {
        let words: Vec<&str> = read.split(' ').chain(["--show-request"]).collect();
        let told = server.run(&words).await;
        assert_eq!((told.code, told.output.lines().count()), (0, 1), "{words:?}");
        assert!(told.output.starts_with("grpcurl -plaintext -H ") && told.output.contains(" keizoku."), "{words:?}");
    }
}
