//! Mappings: what is refused, and what rows become.

use csv::StringRecord;
use keizoku_base::Zone;
use keizoku_proto::ingestion::{ContractItem, Event, event};
use keizoku_proto::types::value::Kind;

use super::row::{Row, Seen, Setting};
use super::table::Table;
use super::*;
use crate::import::mapping::field::FieldWrong;
use crate::import::target::Item;

type Made = Result<Option<Item>, Vec<FieldWrong>>;

/// A mapping of one file with the columns `a` to `d`, and of another to look into.
fn mapping(target: &str) -> String {
    format!(
        "\
mapping: 1
name: test
source: test
absent: [none]
files:
  main:
    match: main*.csv
    columns: [a, b, c, d]
{target}
  other:
    match: other.csv
    columns: [key, part, value]
"
    )
}

fn parsed(target: &str) -> Mapping {
    let text = mapping(target);
    Mapping::parse(&text, "test").unwrap_or_else(|failure| panic!("{:?}", failure.problems()))
}

fn problems(text: &str) -> Vec<String> {
    let failure = Mapping::parse(text, "test").expect_err("refused");
    failure.problems().into_iter().map(|problem| format!("{}: {}", problem.place, problem.text)).collect()
}

/// What rows become, with the other file's rows at hand.
fn make(mapping: &Mapping, rows: &[[&str; 4]], other: &[[&str; 3]]) -> Vec<Made> {
    let tables: Vec<Table> = mapping
        .tables
        .iter()
        .map(|spec| {
            let mut table = Table::default();
            other.iter().for_each(|row| table.add(&StringRecord::from(row.to_vec()), &[0, 1, 2], spec));
            table
        })
        .collect();
    let setting = Setting {
        places: &[0, 1, 2, 3],
        tables: &tables,
        zone: Zone::parse("Asia/Tokyo").expect("a zone"),
        absent: &mapping.absent,
        flags: &mapping.flags,
        seen: Seen::default(),
    };
    let file = mapping.files.iter().find(|file| file.name == "main").expect("the file");
    rows.iter()
        .map(|row| {
            let record = StringRecord::from(row.to_vec());
            file.targets[0].make(Row::new(&record, &setting), &mapping.sources)
        })
        .collect()
}

fn events(target: &str, rows: &[[&str; 4]], other: &[[&str; 3]]) -> Vec<Event> {
    let made = make(&parsed(target), rows, other);
    let events = made.into_iter().map(|made| match made {
        Ok(Some(Item::Event(event))) => event,
        other => panic!("no event: {other:?}"),
    });
    events.collect()
}

fn reasons(made: Made) -> Vec<(String, &'static str)> {
    match made {
        Err(wrongs) => wrongs.into_iter().map(|found| (found.field, found.wrong.reason)).collect(),
        other => panic!("not refused: {other:?}"),
    }
}

const EVENT: &str = "    events: {id: \"{a}\", account: \"{b}\", name: seen, on: \"{c}\"";

#[test]
fn everything_wrong_with_a_mapping_is_named_at_once() {
    let text = "\
mapping: 2
name: test
source: Test
times: {zone: Mars/Phobos, dates: [yyyy]}
metrics:
  - {key: m, event_names: [e], aggregation: average}
files:
  main:
    match: []
    columns: [a, a, \"{\"]
    events:
      id: {from: \"{x}\", hash: [\"{a}\"]}
      account: {lookup: {in: nowhere, where: {k: \"{a}\"}, take: v}}
      name: {from: \"{a\", lower: true, otherwise: y}
      value: {from: \"{a}\", shapes: [unix]}
      properties:
        - {key: Key, text: \"{a}\", flag: \"{a}\"}
        - {key: p, text: \"{y}\", known_at: \"{a}\"}
    contracts:
      id: {hash: [\"{a}\"], numbered: true}
      accounts: []
      starts_on: {from: \"{a}\", plus_minutes: 1}
      amount: {of: [], currency: dollars, period: month}
      seats: {from: \"{a}\", numbered: true}
    accounts:
      id: \"{a}\"
      when: [{value: \"{a}\", is: x, present: true}]
";
    let found = problems(text);
    for expected in [
        "mapping: is 2",
        "source: must be a key",
        "times.zone",
        "metrics[0].aggregation",
        "files.main.match",
        "\"a\" twice",
        "has a brace",
        "events.id: takes exactly one",
        "events.account: looks into \"nowhere\"",
        "partner",
        "`otherwise` goes with `map`",
        "events.value: shapes",
        "is no key",
        "takes exactly one of text",
        "list \"y\"",
        "has no known_at",
        "events.at: takes either",
        "contracts.accounts: needs",
        "moved by plus_days only",
        "is no currency",
        "needs at least one part",
        "contracts.seats: `numbered`",
        "accounts.when: takes exactly one",
        "is no shape of a date",
    ] {
        assert!(found.iter().any(|line| line.contains(expected)), "{expected} is not in {found:#?}");
    }
}

#[test]
fn what_is_not_of_the_outline_is_refused_with_its_line() {
    for (text, expected) in [
        ("mapping: 1\nname: x\nsource: x\nfile: {}\n", "unknown field `file`"),
        (&*mapping("    events: {id: {from: \"{a}\", upper: true}}"), "upper"),
        (&*mapping("    events: [{id: \"{a}\"}]"), "missing field"),
        (&*mapping("    events: {id: {a}}"), "unknown field `a`"),
        ("a: [", "line"),
    ] {
        let found = problems(text);
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    }
}

#[test]
fn texts_are_trimmed_mapped_and_made_into_keys() {
    let target = "    conversations:
      id: \"{a}/{b}\"
      account: {from: \"{a}\", lower: true}
      channel: {from: \"{b}\", as_key: true}
      subject: {from: \"{c}\", map: {1: one, two: 2}, otherwise: many}
      text: {from: \"{d}\", default: nothing}
      opened_at: \"2024-01-02 3:04\"
      started_by_customer: true
";
    let rows = [[" X ", "Phone-Call: 2", "1", ""], ["Y", "mail", "9", "none"], ["Z", "mail", "", "x"]];
    let made = make(&parsed(target), &rows, &[]);
    let told: Vec<_> = made
        .into_iter()
        .map(|made| match made {
            Ok(Some(item @ Item::Conversation(_))) => {
                let id = item.id().to_owned();
                let Item::Conversation(item) = item else { panic!("matched above") };
                (id, item.channel, item.subject, item.text, item.opened_at.map(|at| at.seconds))
            }
            other => panic!("no conversation: {other:?}"),
        })
        .collect();
    let at = Some(1_704_132_240);
    let row = |id: &str, channel: &str, subject: &str, text: &str| {
        (id.to_owned(), channel.to_owned(), subject.to_owned(), text.to_owned(), at)
    };
    assert_eq!(
        told,
        [
            row("X/Phone-Call: 2", "phone_call_2", "one", "nothing"),
            row("Y/mail", "mail", "many", "nothing"),
            row("Z/mail", "mail", "", "x"),
        ]
    );
}

#[test]
fn every_field_that_cannot_be_read_is_named() {
    let target = "    contracts:
      id: \"{a}\"
      accounts: \"{a}\"
      trial: \"{b}\"
      amount: {of: \"{c}\", currency: USD, period: month}
      seats: \"{b}\"
      starts_on: \"{d}\"
      plan: {from: \"{b}\", map: {x: y}}
      attributes: [{key: n, number: \"{c}\"}]
";
    let mut made = make(&parsed(target), &[["", "maybe", "1.005", "31.12.2024"]], &[]);
    let found = reasons(made.remove(0));
    let expected = [
        ("id", "REQUIRED"),
        ("accounts", "REQUIRED"),
        ("plan", "NOT_MAPPED"),
        ("trial", "NOT_A_FLAG"),
        ("amount", "NOT_AN_AMOUNT"),
        ("seats", "NOT_A_WHOLE_NUMBER"),
        ("starts_on", "NOT_A_DATE"),
    ];
    assert_eq!(found, expected.map(|(field, reason)| (field.to_owned(), reason)));
}

fn contract(target: &str, row: [&str; 4], other: &[[&str; 3]]) -> ContractItem {
    match make(&parsed(target), &[row], other).remove(0) {
        Ok(Some(Item::Contract(item))) => item,
        other => panic!("no contract: {other:?}"),
    }
}

#[test]
fn money_is_exact_and_parts_are_added() {
    let target = |currency: &str| {
        format!(
            "    contracts: {{id: \"{{a}}\", accounts: \"{{a}}\", starts_on: 2024-01-01, amount: {{of: [\"{{b}}\", \"{{c}}\"], currency: {currency}, period: year}}}}"
        )
    };
    for (currency, parts, expected) in [
        ("USD", ["0.10", "0.2"], Some(30)),
        ("USD", ["90071992547409.91", ""], Some(9_007_199_254_740_991)),
        ("USD", ["0", "none"], Some(0)),
        ("USD", ["", ""], None),
        ("JPY", ["980", "20.00"], Some(1_000)),
        ("KWD", ["1.234", ""], Some(1_234)),
        ("\"{d}\"", ["5", ""], Some(500)),
    ] {
        let found = contract(&target(currency), ["1", parts[0], parts[1], "EUR"], &[]);
        assert_eq!(found.amount.as_ref().map(|money| money.minor_units), expected, "{currency} {parts:?}");
        assert!(found.amount.is_none_or(|money| money.period() == keizoku_proto::types::BillingPeriod::Year));
    }
}

#[test]
fn an_empty_end_is_open_and_a_last_day_can_be_made_the_first_one_after() {
    let target = "    contracts: {id: \"{a}\", accounts: \"{a}\", starts_on: \"{b}\", ends_on: {from: \"{c}\", plus_days: 1}, trial: \"{d}\"}";
    let end = |row| contract(target, row, &[]).ends_on.map(|date| (date.year, date.month, date.day));
    assert_eq!(end(["1", "2024-02-28", "2024-02-28", "TRUE"]), Some((2024, 2, 29)));
    assert_eq!(end(["1", "2024-02-28", "", "False"]), None);
    for (text, expected) in
        [("TRUE", true), ("True", true), ("1", true), ("y", true), ("FALSE", false), ("0", false), ("", false)]
    {
        assert_eq!(contract(target, ["1", "2024-01-01", "", text], &[]).trial, expected, "{text}");
    }
}

#[test]
fn rows_are_joined_by_several_columns_and_a_contradiction_is_named() {
    let target =
        format!("{EVENT}, value: {{lookup: {{in: other, where: {{key: \"{{a}}\", part: x}}, take: value}}}}}}");
    let rows = [["1", "acc", "2024-01-01", ""], ["2", "acc", "2024-01-01", ""], ["3", "acc", "2024-01-01", ""]];
    let other = [["1", "x", "5"], ["1", "y", "6"], ["3", "x", "none"]];
    let found: Vec<Option<f64>> = events(&target, &rows, &other).into_iter().map(|event| event.value).collect();
    assert_eq!(found, [Some(5.0), None, None]);
    let twice = [["1", "x", "5"], ["1", "x", "7"]];
    let made = make(&parsed(&target), &rows[..1], &twice).remove(0);
    assert_eq!(reasons(made), [("value".to_owned(), "LOOKUP_AMBIGUOUS")]);
}

#[test]
fn a_required_value_that_no_row_of_the_other_file_gives_is_named() {
    let target = "    events: {id: \"{a}\", account: {lookup: {in: other, where: {key: \"{b}\"}, take: value}}, name: seen, on: \"{c}\"}";
    let made = make(&parsed(target), &[["1", "x", "2024-01-01", ""]], &[]).remove(0);
    let Err(wrongs) = made else { panic!("not refused") };
    assert_eq!((wrongs[0].field.as_str(), wrongs[0].wrong.reason), ("account", "REQUIRED"));
    assert!(wrongs[0].wrong.text.contains("value of other"), "{}", wrongs[0].wrong.text);
}

#[test]
fn ids_are_made_of_several_columns_and_rows_of_the_same_content_are_numbered() {
    let target = "    events: {id: {hash: [\"{a}\", \"{b}\"], numbered: true}, account: acc, name: seen, at: \"{c}\"}";
    let time = "2024-01-01 10:00:00";
    let rows = [
        ["1", "23", time, ""],
        ["12", "3", time, ""],
        ["1", "23", time, ""],
        ["1", "", time, ""],
        ["1", "23", time, ""],
    ];
    let ids: Vec<String> = events(target, &rows, &[]).into_iter().map(|event| event.id).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 5);
    assert_eq!((&*ids[2], &*ids[4]), (&*format!("{}-2", ids[0]), &*format!("{}-3", ids[0])));
    let again: Vec<String> = events(target, &rows, &[]).into_iter().map(|event| event.id).collect();
    assert_eq!(ids, again);
}

#[test]
fn conditions_leave_rows_out() {
    let cases = [
        ("{value: \"{d}\", is: [x, 1]}", [true, true, false, false]),
        ("{value: \"{d}\", is_not: x}", [false, true, true, true]),
        ("{value: \"{d}\", present: true}", [true, true, true, false]),
        ("{value: \"{d}\", present: false}", [false, false, false, true]),
    ];
    for (condition, expected) in cases {
        let rows = ["x", "1", "z", "none"].map(|text| ["1", "acc", "2024-01-01", text]);
        let made = make(&parsed(&format!("{EVENT}, when: [{condition}]}}")), &rows, &[]);
        let sent: Vec<bool> = made.iter().map(|made| matches!(made, Ok(Some(_)))).collect();
        assert_eq!(sent, expected, "{condition}");
        assert!(made.iter().all(Result::is_ok));
    }
}

#[test]
fn attributes_and_properties_have_types_and_absent_ones_are_left_out() {
    let target = format!(
        "{EVENT}, properties: [{{key: t, text: \"{{d}}\"}}, {{key: w, whole: \"{{a}}\"}}, {{key: n, number: \"{{a}}\"}}, \
         {{key: f, flag: \"{{a}}\"}}, {{key: d, date: \"{{c}}\"}}, {{key: i, instant: \"{{c}}\"}}]}}"
    );
    let event = events(&target, &[["1", "acc", "2024-01-01", "none"]], &[]).remove(0);
    let kinds: Vec<(&str, Kind)> = event
        .properties
        .iter()
        .filter_map(|property| Some((property.key.as_str(), property.value.clone()?.kind?)))
        .collect();
    assert_eq!(kinds[..3], [("w", Kind::Integer(1)), ("n", Kind::Number(1.0)), ("f", Kind::Flag(true))]);
    assert!(matches!(kinds[3], ("d", Kind::Date(date)) if (date.year, date.month, date.day) == (2024, 1, 1)));
    // A day is its first instant in the workspace's zone, where the mapping names none.
    assert!(matches!(kinds[4], ("i", Kind::Instant(at)) if at.seconds == 1_704_034_800), "{kinds:?}");
    assert!(matches!(event.when, Some(event::When::OccurredOn(_))));
}

#[test]
fn a_minute_can_be_added_and_an_unknown_number_of_them_is_no_time() {
    let target = "    conversations: {id: \"{a}\", account: x, channel: c, opened_at: \"{c}\", first_reply_at: {from: \"{c}\", plus_minutes: \"{d}\"}}";
    let replied = |minutes| match make(&parsed(target), &[["1", "", "2024-01-01", minutes]], &[]).remove(0) {
        Ok(Some(Item::Conversation(item))) => {
            item.first_reply_at.zip(item.opened_at).map(|(reply, open)| reply.seconds - open.seconds)
        }
        other => panic!("no conversation: {other:?}"),
    };
    assert_eq!((replied("74"), replied("")), (Some(74 * 60), None));
}

#[test]
fn a_file_is_known_by_its_name() {
    let mapping = parsed(&format!("{EVENT}}}"));
    let name = |file: &str| mapping.file_of(file).map(|place| mapping.files[place].name.clone());
    assert_eq!(name("main.csv"), Ok("main".to_owned()));
    assert_eq!(name("main-2024.csv.gz"), Ok("main".to_owned()));
    assert_eq!(name("other.csv"), Ok("other".to_owned()));
    for wrong in ["xmain.csv", "main.txt", "other.csv.csv", ""] {
        assert_eq!(name(wrong), Err(Vec::new()), "{wrong}");
    }
    for (pattern, file, expected) in [
        ("*a*b.csv", "xaxxb.csv", true),
        ("*a*b.csv", "b.csv", false),
        ("a*", "a", true),
        ("a*a", "a", false),
        ("*", "", true),
    ] {
        assert_eq!(like(pattern, file), expected, "{pattern} {file}");
    }
}

#[test]
fn the_mapping_of_the_guide_can_be_used() {
    let guide = include_str!("../../../../../docs/guides/import.md");
    let examples: Vec<&str> = guide.split("```yaml\n").skip(1).filter_map(|part| part.split("```").next()).collect();
    let whole = examples.iter().find(|example| example.starts_with("mapping: 1")).expect("an example");
    let mapping = Mapping::parse(whole, "guide").unwrap_or_else(|failure| panic!("{:?}", failure.problems()));
    assert_eq!((mapping.name.as_str(), mapping.metrics.len(), mapping.files.len()), ("shop", 1, 1));
    assert_eq!((mapping.delimiter, mapping.sources.account.as_str()), (b';', "crm"));
}
