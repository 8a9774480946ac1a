//! Whole imports: from files to what a server would get.

mod published;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;

use keizoku_testkit::TempDir;

use super::sink::{Answered, Batch};
use super::target::Item;
use super::*;
use crate::output::{Format, Language};
use crate::trial::Folder;

/// Keeps what it is sent; what it has already is a duplicate. It refuses ids that begin with `refuse`.
#[derive(Default)]
struct Kept {
    items: Vec<Item>,
    ids: BTreeSet<(&'static str, String)>,
    /// After how many batches it is gone.
    fails_after: Option<usize>,
    batches: usize,
}

impl Sink for Kept {
    async fn send(&mut self, batch: Batch) -> Result<Vec<Answered>, Failure> {
        if self.fails_after.is_some_and(|most| self.batches >= most) {
            return Err(Failure::NoServer);
        }
        self.batches += 1;
        let mut answered = Answered { through: batch.through, sent: batch.items.len() as u64, ..Answered::default() };
        for (item, line) in batch.items.into_iter().zip(batch.lines) {
            if item.id().starts_with("refuse") {
                answered.rejected += 1;
                let violation =
                    sink::Violation { field: "id".to_owned(), reason: "REFUSED".to_owned(), text: "is bad".to_owned() };
                answered.refused.push(sink::Refused { line, id: item.id().to_owned(), violations: vec![violation] });
            } else if self.ids.insert((batch.kind.name(), item.id().to_owned())) {
                answered.stored += 1;
                self.items.push(item);
            } else {
                answered.duplicate += 1;
            }
        }
        Ok(vec![answered])
    }

    async fn finish(&mut self) -> Result<Vec<Answered>, Failure> {
        Ok(Vec::new())
    }
}

const STYLE: Style = Style { format: Format::Table, language: Language::English, colour: false, terminal: false };

const MAPPING: &str = "\
mapping: 1
name: test
source: test
files:
  main:
    match: main*.csv
    columns: [id, account, day, text]
    events:
      id: \"{id}\"
      account: \"{account}\"
      name: seen
      on: \"{day}\"
      properties: [{key: text, text: \"{text}\"}]
";

fn place(etag: &str) -> Place {
    Place { workspace: "ws_1".to_owned(), etag: etag.to_owned(), zone: Zone::UTC }
}

async fn import(
    mapping: &str,
    files: &[PathBuf],
    order: &Order,
    etag: &str,
    state: &TempDir,
    sink: &mut Kept,
) -> Result<Outcome, Failure> {
    let mapping = Mapping::parse(mapping, "test").expect("a mapping");
    let state = state.path().to_str().expect("a path in Unicode");
    let mut shell = Folder::new().shell(&[("XDG_STATE_HOME", state)]);
    let import = Import::prepare(mapping, files)?;
    import.run(order, Some(&place(etag)), sink, &STYLE, &mut shell).await
}

async fn simple(folder: &TempDir, bytes: &[u8], sink: &mut Kept) -> Result<Outcome, Failure> {
    let path = folder.join("main.csv");
    std::fs::write(&path, bytes).expect("a file");
    let order = Order { rejects: Some(folder.join("rejects.jsonl")), restart: false };
    import(MAPPING, &[path], &order, "1", folder, sink).await
}

fn rejects(folder: &TempDir) -> Vec<(u64, String, String)> {
    let text = std::fs::read_to_string(folder.join("rejects.jsonl")).expect("a file");
    let parsed = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    parsed.map(|found| (found["line"].as_u64().unwrap_or(0), word(&found["field"]), word(&found["reason"]))).collect()
}

fn texts(sink: &Kept) -> Vec<(String, String)> {
    let text = |item: &Item| {
        let Item::Event(event) = item else { panic!("no event: {item:?}") };
        let kind = event.properties.first().and_then(|property| property.value.clone()).and_then(|value| value.kind);
        match kind {
            Some(keizoku_proto::types::value::Kind::Text(text)) => text,
            _ => String::new(),
        }
    };
    sink.items.iter().map(|item| (item.id().to_owned(), text(item))).collect()
}

#[tokio::test]
async fn odd_but_lawful_files_are_read() {
    let row = |id: &str, text: &str| (id.to_owned(), text.to_owned());
    for (bytes, expected) in [
        // A byte-order mark, CRLF, a column nobody asked for, another order of columns.
        (&b"\xef\xbb\xbfday,extra,account,id,text\r\n2024-01-01,x,a,1,hi\r\n"[..], vec![row("1", "hi")]),
        // Quoted delimiters, doubled quotes, quoted newlines, then a row on a later line.
        (
            b"id,account,day,text\n1,a,2024-01-01,\"a, \"\"b\"\"\nc\"\n2,a,2024-01-02,\n",
            vec![row("1", "a, \"b\"\nc"), row("2", "")],
        ),
        (b"id,account,day,text\r\n1,a,2024-01-01,\"x\r\ny\"\r\n", vec![row("1", "x\r\ny")]),
        // Spaces around names and cells, empty lines, no newline at the end, no rows at all.
        (
            b" id , account,day ,text\n\n 1 ,a, 2024-01-01 , x y \n\n2,b,2024-01-01,z",
            vec![row("1", "x y"), row("2", "z")],
        ),
        (b"id,account,day,text\n", vec![]),
        ("id,account,day,text\n1,株式会社,2024-01-01,😀é\n".as_bytes(), vec![row("1", "😀é")]),
    ] {
        let (folder, mut sink) = (TempDir::new(), Kept::default());
        let outcome = simple(&folder, bytes, &mut sink).await.expect("imported");
        assert_eq!(texts(&sink), expected, "{}", String::from_utf8_lossy(bytes));
        assert!(outcome.verdict().is_ok() && rejects(&folder).is_empty());
    }
}

#[tokio::test]
async fn each_bad_row_is_rejected_with_its_line_and_the_rest_goes_on() {
    let mut bytes =
        b"id,account,day,text\n1,a,2024-01-01,ok\n2,a,2024-13-01,\n,,2024-01-01,\n4,a\n5,a,2024-01-01,x,y\n".to_vec();
    bytes.extend(b"6,a,2024-01-01,\xff\xfe\n\"7\nx\",a,2024-01-01,\nrefuse8,a,2024-01-01,\n9,a,2024-01-01,ok\n");
    let (folder, mut sink) = (TempDir::new(), Kept::default());
    let outcome = simple(&folder, &bytes, &mut sink).await.expect("imported");
    let found = rejects(&folder);
    let expected = [
        (3, "on", "NOT_A_DATE"),
        (4, "id", "REQUIRED"),
        (4, "account", "REQUIRED"),
        (5, "", "CSV_MALFORMED"),
        (6, "", "CSV_MALFORMED"),
        (7, "", "NOT_UTF8"),
        (10, "id", "REFUSED"),
    ];
    assert_eq!(found, expected.map(|(line, field, reason)| (line, field.to_owned(), reason.to_owned())));
    assert_eq!(texts(&sink).len(), 3);
    let tally = &outcome.tallies[0];
    assert_eq!((tally.rows, tally.unreadable, tally.sent, tally.stored, tally.rejected), (9, 5, 4, 3, 1));
    assert!(matches!(outcome.verdict(), Err(Failure::Rejected { rejected: 6, sent: 9 })));
}

#[tokio::test]
async fn a_row_too_long_to_be_sent_does_not_keep_the_others_back() {
    let long = "x".repeat(3 << 20);
    let bytes = format!("id,account,day,text\n1,a,2024-01-01,{long}\n2,a,2024-01-01,y\n");
    let (folder, mut sink) = (TempDir::new(), Kept::default());
    let outcome = simple(&folder, bytes.as_bytes(), &mut sink).await.expect("imported");
    assert_eq!(rejects(&folder), [(2, String::new(), "TOO_LONG".to_owned())]);
    assert_eq!((sink.items.len(), outcome.tallies[0].unreadable), (1, 1));
}

#[tokio::test]
async fn gzipped_files_are_read_even_in_several_members() {
    let folder = TempDir::new();
    let path = folder.join("main-1.csv.gz");
    let mut bytes = Vec::new();
    for text in ["id,account,day,text\n1,a,2024-01-01,x\n", "2,a,2024-01-01,y\n"] {
        let mut member = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        member.write_all(text.as_bytes()).expect("packed");
        bytes.extend(member.finish().expect("packed"));
    }
    std::fs::write(&path, bytes).expect("a file");
    let mut sink = Kept::default();
    let order = Order { rejects: None, restart: false };
    import(MAPPING, &[path], &order, "1", &folder, &mut sink).await.expect("imported");
    assert_eq!(texts(&sink).len(), 2);
}

#[tokio::test]
async fn nothing_is_sent_where_a_file_does_not_fit_and_everything_is_named() {
    let folder = TempDir::new();
    let file = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).expect("a file");
        folder.join(name)
    };
    let lookup = MAPPING
        .replace("account: \"{account}\"", "account: {lookup: {in: other, where: {id: \"{account}\"}, take: account}}")
        + "  other: {match: [other.csv, m*2.csv], columns: [id, account]}\n";
    let files = [
        file("main1.csv", "id,account,day,id\n"),
        file("main2.csv", "id,account,day,text\n"),
        file("what.csv", "x\n"),
        folder.join("main3.csv"),
    ];
    let mapping = Mapping::parse(&lookup, "test").expect("a mapping");
    let failure = Import::prepare(mapping, &files).err().expect("refused");
    let found: Vec<String> =
        failure.problems().into_iter().map(|problem| problem.place + ": " + &problem.text).collect();
    assert_eq!(failure.exit_code(), 4);
    for expected in ["\"id\" twice", "\"text\" is missing", "fits several", "fits none", "No such file"] {
        assert!(found.iter().any(|line| line.contains(expected)), "{expected}: {found:#?}");
    }
    let mapping = Mapping::parse(&lookup, "test").expect("a mapping");
    let good = file("main.csv", "id,account,day,text\n");
    let failure = Import::prepare(mapping, &[good]).err().expect("refused");
    assert!(failure.problems()[0].text.contains("looked into"), "{:?}", failure.problems());
}

#[tokio::test]
async fn an_interrupted_import_goes_on_and_sending_twice_changes_nothing() {
    let folder = TempDir::new();
    let path = folder.join("main.csv");
    let rows: String = (0..12_000).map(|number| format!("{number},a,2024-01-01,\n")).collect();
    std::fs::write(&path, "id,account,day,text\n".to_owned() + &rows).expect("a file");
    let files = [path];
    let (on, anew) = (Order { rejects: None, restart: false }, Order { rejects: None, restart: true });
    let mut sink = Kept { fails_after: Some(1), ..Kept::default() };
    assert!(import(MAPPING, &files, &on, "1", &folder, &mut sink).await.is_err());
    assert_eq!(sink.items.len(), 5_000);

    sink.fails_after = Some(2);
    assert!(import(MAPPING, &files, &on, "1", &folder, &mut sink).await.is_err());
    sink.fails_after = None;
    // Another etag: the workspace was reset in between, and the journal no longer holds.
    let mut reset = Kept::default();
    import(MAPPING, &files, &on, "2", &TempDir::new(), &mut reset).await.expect("imported");
    assert_eq!(reset.items.len(), 12_000);

    let outcome = import(MAPPING, &files, &on, "1", &folder, &mut sink).await.expect("imported");
    let tally = &outcome.tallies[0];
    // The journal is written once a second at the most, so the second batch may be sent again, and is then a duplicate.
    assert!(tally.earlier >= 5_000 && tally.earlier + tally.sent == 12_000, "{tally:?}");
    assert_eq!((sink.items.len(), tally.duplicate), (12_000, 10_000 - tally.earlier));
    for order in [on, anew] {
        let again = import(MAPPING, &files, &order, "1", &folder, &mut sink).await.expect("imported");
        let tally = &again.tallies[0];
        assert_eq!((tally.earlier, tally.stored, tally.duplicate), (0, 0, 12_000));
    }
}

#[tokio::test]
async fn numbers_of_equal_rows_come_out_the_same_after_an_interruption() {
    let folder = TempDir::new();
    let path = folder.join("main.csv");
    // 6,000 rows of three contents: the journal ends in the middle of them.
    let rows: String = (0..6_000).map(|number| format!("x,a,2024-01-0{},\n", 1 + number % 3)).collect();
    std::fs::write(&path, "id,account,day,text\n".to_owned() + &rows).expect("a file");
    let mapping = MAPPING.replace("id: \"{id}\"", "id: {hash: [\"{id}\", \"{day}\"], numbered: true}");
    let order = Order { rejects: None, restart: false };
    let mut sink = Kept { fails_after: Some(1), ..Kept::default() };
    assert!(import(&mapping, std::slice::from_ref(&path), &order, "1", &folder, &mut sink).await.is_err());
    sink.fails_after = None;
    import(&mapping, &[path], &order, "1", &folder, &mut sink).await.expect("imported");
    assert_eq!(sink.items.len(), 6_000);
}

#[tokio::test]
async fn a_rehearsal_reads_everything_and_leaves_no_trace() {
    let folder = TempDir::new();
    let path = folder.join("main.csv");
    std::fs::write(&path, "id,account,day,text\n1,a,2024-01-01,\n2,a,x,\n").expect("a file");
    let import = Import::prepare(Mapping::parse(MAPPING, "test").expect("a mapping"), &[path]).expect("prepared");
    let state = folder.join("state");
    let mut shell = Folder::new().shell(&[("XDG_STATE_HOME", state.to_str().expect("a path in Unicode"))]);
    let order = Order { rejects: None, restart: false };
    let outcome = import.run(&order, None, &mut sink::Rehearsal, &STYLE, &mut shell).await.expect("read");
    assert_eq!((outcome.tallies[0].rows, outcome.tallies[0].unreadable, outcome.tallies[0].sent), (2, 1, 0));
    assert!(outcome.verdict().is_err() && !state.exists());
}
