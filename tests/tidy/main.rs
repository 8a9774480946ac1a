//! What holds for the source as a whole: arrows between crates and layers, sizes, licences, marks, promises in documents.

mod capabilities;
mod crates;
mod dependencies;
mod documents;
mod errors;
mod layers;
mod lexer;
mod licence;
mod metadata;
mod sources;

/// Fails with every finding at once.
fn assert_none(what: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{what}:\n  {}", findings.join("\n  "));
}
