//! The shipped mappings over the published data they are for. The numbers were counted by another program.

use std::collections::BTreeMap;
use std::path::Path;

use keizoku_base::Day;
use keizoku_proto::types::value::Kind as ValueKind;
use keizoku_testkit::shared_data;

use super::*;
use crate::import::target::Kind;

async fn shipped(name: &str, folder: &Path, files: &[&str]) -> (Outcome, Kept) {
    let files: Vec<PathBuf> = files.iter().map(|file| folder.join(file)).collect();
    let import = Import::prepare(find(name).expect("a mapping"), &files).expect("the files fit");
    let mut sink = Kept::default();
    let order = Order { rejects: None, restart: false };
    let mut shell = Folder::new().shell(&[]);
    let outcome = import.run(&order, Some(&place("1")), &mut sink, &STYLE, &mut shell).await.expect("imported");
    outcome.verdict().expect("nothing is rejected");
    (outcome, sink)
}

fn counts(sink: &Kept) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    sink.ids.iter().for_each(|(kind, _)| *counts.entry(*kind).or_default() += 1);
    counts
}

const RAVENSTACK: [&str; 5] = [
    "ravenstack_feature_usage.csv",
    "ravenstack_support_tickets.csv",
    "ravenstack_churn_events.csv",
    "ravenstack_subscriptions.csv",
    "ravenstack_accounts.csv",
];

#[tokio::test]
async fn ravenstack_arrives_whole_and_to_the_cent() {
    let Some(folder) = shared_data("ravenstack") else {
        println!("SKIPPED: there are no published data on this machine");
        return;
    };
    let (outcome, sink) = shipped("ravenstack", &folder, &RAVENSTACK).await;
    let expected = [
        ("accounts", 500),
        ("cancellations", 600),
        ("contracts", 5_000),
        ("conversations", 2_000),
        ("events", 25_000),
        ("measurements", 1_175),
    ];
    assert_eq!(counts(&sink).into_iter().collect::<Vec<_>>(), expected);
    let order: Vec<Kind> = outcome.tallies.iter().map(|tally| tally.kind).collect();
    assert!(order.is_sorted(), "{order:?}");
    assert_eq!(outcome.newest.map(|at| Zone::UTC.day_of(at)), Day::parse("2024-12-31"));

    let (mut monthly, mut trials, mut open, mut refunds, mut reasons) = (0, 0, 0, 0, 0);
    let (mut uses, mut beta, mut satisfaction) = (0.0, 0, 0.0);
    for item in &sink.items {
        match item {
            Item::Contract(item) => {
                let amount = item.amount.as_ref().expect("an amount");
                assert_eq!((amount.currency_code.as_str(), item.trial), ("USD", amount.minor_units == 0));
                monthly += amount.minor_units;
                trials += i32::from(item.trial);
                open += i32::from(item.ends_on.is_none());
            }
            Item::Cancellation(item) => {
                refunds += item.refund.as_ref().expect("a refund").minor_units;
                reasons += i32::from(!item.reason.is_empty());
            }
            Item::Event(event) => {
                uses += event.value.expect("a value");
                let flag = event.properties.iter().find(|property| property.key == "is_beta_feature");
                let flag = flag.and_then(|property| property.value.clone()).and_then(|value| value.kind);
                beta += i32::from(flag == Some(ValueKind::Flag(true)));
            }
            Item::Measurement(measurement) => satisfaction += measurement.value.expect("a value"),
            Item::Account(_) | Item::Contact(_) | Item::User(_) | Item::Conversation(_) => {}
        }
    }
    assert_eq!((monthly, trials, open), (1_133_874_700, 778, 4_514));
    assert_eq!((refunds, reasons, beta), (865_225, 600, 2_544));
    assert!((uses - 250_525.0).abs() < 0.5 && (satisfaction - 4_678.0).abs() < 0.5, "{uses} {satisfaction}");
}

#[tokio::test]
async fn churnsim_has_a_contract_per_renewal_and_an_event_per_row() {
    let Some(folder) = shared_data("churnsim_crm5_dev") else {
        println!("SKIPPED: there are no published data on this machine");
        return;
    };
    let (_, sink) = shipped("churnsim", &folder, &["accounts.csv", "subscriptions.csv"]).await;
    assert_eq!(counts(&sink).into_iter().collect::<Vec<_>>(), [("accounts", 191), ("contracts", 973)]);
    let amounts = sink.items.iter().map(|item| {
        let Item::Contract(item) = item else { return 0 };
        item.amount.as_ref().expect("an amount").minor_units
    });
    // All three rows of a renewal: the add-ons are no contracts, but they are paid.
    assert_eq!(amounts.sum::<i64>(), 103_642_700);
}

/// Two million rows take a minute without optimisation, so a part of them stands for all.
#[tokio::test]
async fn the_first_events_of_churnsim_have_ids_of_their_own() {
    let Some(folder) = shared_data("churnsim_crm5_dev") else {
        println!("SKIPPED: there are no published data on this machine");
        return;
    };
    let mapping = find("churnsim").expect("a mapping");
    let mut rows = reader::Rows::open(&folder.join("events.csv.gz"), &mapping).expect("a file");
    let cut = TempDir::new();
    let mut writer = csv::Writer::from_path(cut.join("events.csv")).expect("a file");
    writer.write_record(rows.header()).expect("written");
    for _ in 0..100_000 {
        let line = rows.next().expect("readable").expect("a row");
        writer.write_record(&line.cells.expect("UTF-8")).expect("written");
    }
    writer.flush().expect("written");
    let (outcome, sink) = shipped("churnsim", cut.path(), &["events.csv"]).await;
    assert_eq!((outcome.tallies[0].stored, sink.items.len()), (100_000, 100_000));
}
