//! Documents that say what the code says: settings, metrics, and what they point at.

use std::collections::BTreeSet;
use std::process::Command;

use keizoku_tests::{assert_fresh, binary, root};

use crate::assert_none;
use crate::lexer::texts;
use crate::sources::{SourceFile, files, product};

/// What a path in a document begins with.
const FOLDERS: [&str; 7] = ["services/", "shared/", "tests/", "proto/", "docs/", "scripts/", ".ci/"];

#[test]
fn every_setting_is_documented() {
    const DOCUMENT: &str = "docs/configuration.md";
    let written = std::fs::read_to_string(root().join(DOCUMENT)).expect("docs/configuration.md is there");
    // What stands above the table is written by hand.
    let (above, _) = written.split_once("| key |").expect("a table of settings");
    assert_fresh(DOCUMENT, &format!("{above}{}", run(&["config", "--document"])));
}

#[test]
fn every_metric_has_its_line_and_every_line_its_metric() {
    const DOCUMENT: &str = "docs/metrics.md";
    let kept = metrics();
    let text = std::fs::read_to_string(root().join(DOCUMENT)).expect("docs/metrics.md is there");
    let told: BTreeSet<String> =
        text.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned())).collect();
    let missing = kept.difference(&told).map(|name| format!("{name} has no line"));
    let stale = told.difference(&kept).map(|name| format!("{name} has a line, but nothing counts it"));
    assert_none(DOCUMENT, &missing.chain(stale).collect::<Vec<_>>());
}

#[test]
fn every_path_and_link_in_a_document_leads_somewhere() {
    let mut findings = Vec::new();
    for document in documents() {
        let folder = root().join(&document.path);
        let folder = folder.parent().expect("a document lies in a folder");
        for link in links(&document.text) {
            if !folder.join(link).exists() {
                findings.push(format!("{}: the link {link}", document.path));
            }
        }
        for path in named_paths(&document.text) {
            if !root().join(path).exists() {
                findings.push(format!("{}: {path}", document.path));
            }
        }
    }
    assert_none("places that documents name and that are not there", &findings);
}

#[test]
fn every_command_in_a_document_exists() {
    let printed = run(&["commands"]);
    let known: BTreeSet<&str> = printed.lines().map(|line| line.trim().trim_start_matches("keizoku ")).collect();
    let mut findings = Vec::new();
    for document in documents() {
        for command in shown_commands(&document.text) {
            let mut words = command.split_whitespace().skip(1);
            let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let inner = format!("{first} {second}");
            let has_inner = known.iter().any(|path| path.strip_prefix(first).is_some_and(|rest| rest.starts_with(' ')));
            let exists = if has_inner { known.contains(inner.as_str()) } else { known.contains(first) };
            if !exists && !["help", "--help", "--version"].contains(&first) {
                findings.push(format!("{}: {command}", document.path));
            }
        }
    }
    assert_none("commands that documents show and that do not exist", &findings);
}

fn documents() -> Vec<SourceFile> {
    files("", &["md"])
}

fn run(arguments: &[&str]) -> String {
    let output = Command::new(binary()).args(arguments).output().expect("the binary runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The names of all instruments: what calls like `u64_counter("…")` make.
fn metrics() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in files("shared", &["rs"]).iter().chain(&files("services", &["rs"])) {
        let made = texts(product(file)).into_iter().filter(|text| {
            ["counter", "gauge", "histogram"].iter().any(|kind| text.after.ends_with(kind)) && text.text.contains('.')
        });
        found.extend(made.map(|text| text.text));
    }
    found
}

/// The targets of links that stay in the checkout.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| {
        let target = rest.split([')', '#']).next()?;
        (!target.is_empty() && !target.contains("://")).then_some(target)
    })
}

/// Paths in backticks; those with a gap to fill in (`<resource>`, `*`, `…`) are left out.
fn named_paths(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2).filter(|name| {
        FOLDERS.iter().any(|folder| name.starts_with(folder)) && !name.contains(['<', '*', '…', '{', ' ', '\n', ':'])
    })
}

/// Lines of shell blocks that run our binary.
fn shown_commands(text: &str) -> impl Iterator<Item = &str> {
    let mut shell = false;
    text.lines().filter_map(move |line| {
        if let Some(fence) = line.trim().strip_prefix("```") {
            shell = fence == "sh";
            return None;
        }
        let line = line.trim().trim_start_matches("$ ");
        (shell && line.starts_with("keizoku ")).then_some(line)
    })
}

#[test]
fn what_a_document_points_at_is_found() {
    let text =
        "[a](docs/a.md#b) [c](https://d) `tests/x.rs` `tests/<name>.rs` `y`\n```sh\nkeizoku dev\nls\n```\nkeizoku no\n";
    assert_eq!(links(text).collect::<Vec<_>>(), ["docs/a.md"]);
    assert_eq!(named_paths(text).collect::<Vec<_>>(), ["tests/x.rs"]);
    assert_eq!(shown_commands(text).collect::<Vec<_>>(), ["keizoku dev"]);
}
