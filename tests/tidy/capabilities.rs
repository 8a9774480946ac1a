//! `docs/capabilities.md` names every capability and result, and what it names exists.

use std::collections::BTreeSet;
use std::process::Command;

use crate::assert_none;
use crate::lexer::code_lines;
use crate::sources::files;

const DOCUMENT: &str = "docs/capabilities.md";

/// How many ids each family has, and how many digits they are written with.
const FAMILIES: [(&str, usize, usize); 6] =
    [("ING", 12, 1), ("SCO", 23, 1), ("VOC", 12, 1), ("ENG", 18, 1), ("X", 12, 1), ("R", 26, 2)];

const NOT_YET: &str = "not yet";

/// A line of the table: the names in each cell, without the marks around them.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    id: String,
    calls: Vec<String>,
    commands: Vec<String>,
    tests: Vec<String>,
}

#[test]
fn every_capability_has_its_line_once() {
    let found: Vec<String> = rows().into_iter().map(|row| row.id).collect();
    let once: BTreeSet<&String> = found.iter().collect();
    assert_eq!(once.len(), found.len(), "an id stands twice in {DOCUMENT}");
    let expected = expected_ids();
    let missing = expected.iter().filter(|id| !found.contains(id)).map(|id| format!("{id} is missing"));
    let unknown = found.iter().filter(|id| !expected.contains(id)).map(|id| format!("{id} is not a capability"));
    assert_none(DOCUMENT, &missing.chain(unknown).collect::<Vec<_>>());
}

#[test]
fn every_call_named_exists() {
    let methods: Vec<String> = keizoku_proto::pool()
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .map(|m| m.full_name().to_owned())
        .collect();
    let exists =
        |call: &str| methods.iter().any(|m| m == call || m.strip_suffix(call).is_some_and(|p| p.ends_with('.')));
    let findings: Vec<String> = named(|row| &row.calls)
        .filter(|(_, call)| !exists(call))
        .map(|(id, call)| format!("{id}: no rpc {call}"))
        .collect();
    assert_none(DOCUMENT, &findings);
}

#[test]
fn every_command_named_exists() {
    let named: Vec<(String, String)> = named(|row| &row.commands).collect();
    if named.is_empty() {
        return;
    }
    let output = Command::new(keizoku_tests::binary()).arg("commands").output().expect("the binary runs");
    assert!(output.status.success(), "`keizoku commands` failed: {}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).expect("command names are text");
    let commands: BTreeSet<&str> = printed.lines().map(|line| line.trim().trim_start_matches("keizoku ")).collect();
    let exists = |command: &str| command.strip_prefix("keizoku ").is_some_and(|path| commands.contains(path));
    let missing = named.iter().filter(|(_, command)| !exists(command));
    assert_none(DOCUMENT, &missing.map(|(id, command)| format!("{id}: no command `{command}`")).collect::<Vec<_>>());
}

#[test]
fn every_test_named_exists() {
    let rust = files("", &["rs"]).into_iter().flat_map(|file| test_functions(&file.text));
    let python = files("tests", &["py"]).into_iter().flat_map(|file| python_tests(&file.text));
    let tests: BTreeSet<String> = rust.chain(python).collect();
    let missing = named(|row| &row.tests).filter(|(_, test)| !tests.contains(test));
    assert_none(DOCUMENT, &missing.map(|(id, test)| format!("{id}: no test {test}")).collect::<Vec<_>>());
}

fn expected_ids() -> Vec<String> {
    let ids = |(family, count, digits): (&str, usize, usize)| {
        (1..=count).map(|number| format!("{family}-{number:0digits$}")).collect::<Vec<_>>()
    };
    FAMILIES.into_iter().flat_map(ids).collect()
}

fn rows() -> Vec<Row> {
    let path = keizoku_tests::root().join(DOCUMENT);
    let text = std::fs::read_to_string(path).expect("docs/capabilities.md is there");
    text.lines().filter_map(row).collect()
}

/// A line like `| ING-1 | events | `Events.Ingest`, `Events.Stream` | not yet | `a_test` |`; other lines are nothing.
fn row(line: &str) -> Option<Row> {
    let line = line.trim();
    let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
    let id = *cells.first()?;
    let is_id = FAMILIES.iter().any(|(family, ..)| id.strip_prefix(family).is_some_and(|rest| rest.starts_with('-')));
    if !is_id {
        return None;
    }
    let &[_, _, calls, commands, tests] = cells.as_slice() else { panic!("{id}: five cells are wanted: {line}") };
    let names = |cell| names(cell).unwrap_or_else(|text| panic!("{id}: neither `name` nor {NOT_YET}: {text:?}"));
    Some(Row { id: id.to_owned(), calls: names(calls), commands: names(commands), tests: names(tests) })
}

fn names(cell: &str) -> Result<Vec<String>, String> {
    if cell == NOT_YET {
        return Ok(Vec::new());
    }
    cell.split(',')
        .map(|name| {
            let name = name.trim();
            let bare = name.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')).filter(|bare| !bare.is_empty());
            bare.map(str::to_owned).ok_or_else(|| name.to_owned())
        })
        .collect()
}

fn named(cell: impl Fn(&Row) -> &Vec<String>) -> impl Iterator<Item = (String, String)> {
    let names = move |row: Row| cell(&row).iter().map(|name| (row.id.clone(), name.clone())).collect::<Vec<_>>();
    rows().into_iter().flat_map(names)
}

/// The names of functions under an attribute that ends in `test`.
fn test_functions(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut attribute = false;
    let text: Vec<&str> = source.lines().collect();
    for (number, code) in code_lines(source) {
        let line = text.get(number - 1).map_or("", |line| line.trim());
        if code.starts_with("#[") {
            let name = code.trim_start_matches("#[").split(['(', ']']).next().unwrap_or_default();
            attribute |= name == "test" || name.ends_with("::test");
        } else if let Some((_, rest)) = line.split_once("fn ") {
            if attribute {
                found.extend(rest.split(['(', '<']).next().map(str::to_owned));
            }
            attribute = false;
        }
    }
    found
}

fn python_tests(source: &str) -> Vec<String> {
    let definition = |line: &str| Some(line.trim().strip_prefix("def ")?.split('(').next()?.to_owned());
    source.lines().filter_map(definition).filter(|name| name.starts_with("test_")).collect()
}

#[test]
fn a_line_of_the_table_is_read() {
    let expected = Row {
        id: "ING-1".to_owned(),
        calls: vec!["Events.Ingest".to_owned(), "Events.Stream".to_owned()],
        commands: vec![],
        tests: vec!["a_test".to_owned()],
    };
    assert_eq!(row("| ING-1 | events | `Events.Ingest`, `Events.Stream` | not yet | `a_test` |"), Some(expected));
    assert_eq!(row("| id | what | RPC | command | test |"), None);
    assert_eq!(names("soon"), Err("soon".to_owned()));
    assert_eq!(names("``"), Err("``".to_owned()));
}

#[test]
fn only_functions_under_a_test_attribute_are_tests() {
    let source = "fn a() {}\n#[test]\nfn b() {}\n#[tokio::test(flavor = \"x\")]\n#[should_panic]\nasync fn c() {}\nfn d() {}\n// #[test]\nfn e() {}";
    assert_eq!(test_functions(source), ["b", "c"]);
    assert_eq!(python_tests("def test_x():\n  def helper():\n"), ["test_x"]);
}
