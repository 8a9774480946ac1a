//! `docs/errors.md` explains every reason that the code can give, and no other.

use std::collections::{BTreeMap, BTreeSet};

use crate::assert_none;
use crate::lexer::texts;
use crate::sources::{SourceFile, files, product};

const DOCUMENT: &str = "docs/errors.md";

/// What may stand in the column `code`: a gRPC code, or where else the reason is met.
const CODES: [&str; 17] = [
    "INVALID_ARGUMENT",
    "UNAUTHENTICATED",
    "PERMISSION_DENIED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "RESOURCE_EXHAUSTED",
    "UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "INTERNAL",
    "answer",
    "as its cause",
    "field",
    "row",
    "start",
];

/// Words in capitals that are variables, not reasons.
const VARIABLES: [&str; 6] = ["OTEL_", "KEIZOKU_", "XDG_", "CARGO_", "OUT_DIR", "LC_"];

/// A line of the tables.
struct Row {
    reason: String,
    code: String,
    meaning: String,
    next: String,
}

#[test]
fn every_reason_has_its_line_and_every_line_its_reason() {
    let given = reasons();
    let rows = rows();
    let explained: BTreeSet<&String> = rows.iter().map(|row| &row.reason).collect();
    let missing = given.iter().filter(|(reason, _)| !explained.contains(reason));
    let mut findings: Vec<String> =
        missing.map(|(reason, place)| format!("{reason} has no line, but is given in {place}")).collect();
    let stale = explained.iter().filter(|reason| !given.contains_key(**reason));
    findings.extend(stale.map(|reason| format!("{reason} is explained, but nothing gives it")));
    if explained.len() < rows.len() {
        findings.push("a reason stands there twice".to_owned());
    }
    assert_none(DOCUMENT, &findings);
}

#[test]
fn every_line_says_what_it_means_and_what_to_do_next() {
    let wrong = |row: &Row| {
        let code = row.code.split(", ").all(|code| CODES.contains(&code));
        let sentences = [&row.meaning, &row.next].iter().all(|cell| cell.ends_with(['.', '?']));
        (!code || !sentences).then(|| format!("{}: a code, and two cells of sentences are wanted", row.reason))
    };
    assert_none(DOCUMENT, &rows().iter().filter_map(wrong).collect::<Vec<_>>());
}

#[test]
fn every_reason_that_the_protos_promise_is_explained() {
    let rows = rows();
    let mut findings = Vec::new();
    for file in files("proto/keizoku", &["proto"]) {
        let text = file.text.replace("\n  //", "").replace("\n//", "");
        for promised in text.split("reason `").skip(1).filter_map(|rest| rest.split('`').next()) {
            if !rows.iter().any(|row| row.reason == promised) {
                findings.push(format!("{}: {promised}", file.path));
            }
        }
    }
    assert_none("reasons that a proto names and docs/errors.md does not", &findings);
}

/// Every reason with a place that gives it.
fn reasons() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for file in sources() {
        // Where reasons are defined, one word is one, too.
        let home = file.path.ends_with("reason.rs") || file.text.contains("fn reason(");
        for text in texts(product(&file)) {
            let variable = VARIABLES.iter().any(|name| text.text.starts_with(name));
            let several = text.text.contains('_');
            if is_reason(&text.text) && (several || home) && !variable {
                found.entry(text.text).or_insert_with(|| format!("{}:{}", file.path, text.line));
            }
        }
    }
    found
}

/// Everything of the product that refuses something. The command line passes on what the server says; only its import has
/// reasons of its own.
fn sources() -> impl Iterator<Item = SourceFile> {
    let wanted = |file: &SourceFile| {
        let cli = file.path.starts_with("services/keizoku/") && !file.path.starts_with("services/keizoku/src/import/");
        file.path.contains("/src/") && !file.path.starts_with("shared/testkit/") && !cli
    };
    files("shared", &["rs"]).into_iter().chain(files("services", &["rs"])).filter(wanted)
}

fn is_reason(text: &str) -> bool {
    let words = || text.split('_');
    let letters = |word: &str| word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    text.len() > 3
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && words().all(|word| !word.is_empty() && letters(word))
}

fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(keizoku_tests::root().join(DOCUMENT)).expect("docs/errors.md is there");
    text.lines().filter_map(row).collect()
}

/// A line like `| `TOO_LONG` | field | … | … |`; other lines are nothing.
fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.strip_prefix("| `")?.strip_suffix('|')?.split(" | ").map(str::trim).collect();
    let &[reason, code, meaning, next] = cells.as_slice() else { panic!("four cells are wanted: {line}") };
    let reason = reason.strip_suffix('`').unwrap_or_else(|| panic!("one name is wanted: {line}"));
    Some(Row { reason: reason.to_owned(), code: code.to_owned(), meaning: meaning.to_owned(), next: next.to_owned() })
}

#[test]
fn words_in_capitals_are_reasons_and_others_are_not() {
    for (text, expected) in [
        ("TOO_LONG", true),
        ("REQUIRED", true),
        ("A_", false),
        ("Too_Long", false),
        ("TOO LONG", false),
        ("7_D", false),
    ] {
        assert_eq!(is_reason(text), expected, "{text}");
    }
}
