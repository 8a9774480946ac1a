//! Documents that are derived from the code, and fail a test when they have fallen behind it.

use crate::root;

/// Compares a document (its path from the root of the checkout) with what it should hold today.
///
/// `make docs` sets `KEIZOKU_UPDATE_DOCS`, which writes the document instead.
///
/// # Panics
/// They differ; the message names the first line that does.
#[expect(clippy::disallowed_methods, reason = "the switch belongs to the test run, not to the product's configuration")]
pub fn assert_fresh(document: &str, expected: &str) {
    let path = root().join(document);
    if std::env::var("KEIZOKU_UPDATE_DOCS").is_ok() {
        std::fs::write(&path, expected).unwrap_or_else(|error| panic!("cannot write {document}: {error}"));
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    if let Some((line, found, expected)) = first_difference(&found, expected) {
        panic!("{document} is out of date; run `make docs`. Line {line} is\n  {found}\nand should be\n  {expected}");
    }
}

fn first_difference<'a>(found: &'a str, expected: &'a str) -> Option<(usize, &'a str, &'a str)> {
    let (mut found, mut expected) = (found.lines(), expected.lines());
    (1..).find_map(|line| match (found.next(), expected.next()) {
        (None, None) => Some(None),
        (left, right) if left == right => None,
        (left, right) => Some(Some((line, left.unwrap_or("(end)"), right.unwrap_or("(end)")))),
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_differs_is_named() {
        assert_eq!(first_difference("a\nb", "a\nb"), None);
        assert_eq!(first_difference("a\nb", "a\nc"), Some((2, "b", "c")));
        assert_eq!(first_difference("a", "a\nc"), Some((2, "(end)", "c")));
        assert_eq!(first_difference("", ""), None);
    }
}
