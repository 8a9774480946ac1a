//! Patterns of `matches`: a whole automaton each, so that a match takes the same time per byte whatever the text.

use std::fmt;

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::{Input, MatchKind};

use crate::limits::{AUTOMATON_BYTES, PATTERN_BYTES};

/// A compiled pattern.
pub(crate) struct Pattern {
    function: &'static str,
    source: String,
    automaton: dense::DFA<Vec<u32>>,
}

impl Pattern {
    /// Compiles a pattern, or says what is wrong with it.
    pub(crate) fn compile(source: &str) -> Result<Self, String> {
        if source.len() > PATTERN_BYTES {
            return Err(format!("a pattern has at most {PATTERN_BYTES} bytes, this one has {}", source.len()));
        }
        Self::build("matches", source, &ascii_boundaries(source))
    }

    /// The pattern that finds `part` itself; `None` where that is too long for a pattern.
    pub(crate) fn literal(part: &str) -> Option<Self> {
        let mut escaped = String::with_capacity(2 * part.len());
        for character in part.chars() {
            if r"\.+*?()|[]{}^$#&-~".contains(character) {
                escaped.push('\\');
            }
            escaped.push(character);
        }
        if part.len() <= PATTERN_BYTES { Self::build("contains", part, &escaped).ok() } else { None }
    }

    fn build(function: &'static str, source: &str, written: &str) -> Result<Self, String> {
        let too_large = || "the pattern is too large; use fewer or shorter repetitions".to_owned();
        let states =
            thompson::Config::new().nfa_size_limit(Some(AUTOMATON_BYTES)).which_captures(thompson::WhichCaptures::None);
        let states = thompson::Compiler::new().configure(states).build(written);
        let states = states.map_err(|error| match error.size_limit() {
            Some(_) => too_large(),
            None => format!("not a pattern: {}", innermost(&error)),
        })?;
        // Acceleration is a gamble that some texts lose by a factor of thirty.
        let automaton = dense::Config::new()
            .accelerate(false)
            .match_kind(MatchKind::All)
            .start_kind(StartKind::Unanchored)
            .dfa_size_limit(Some(AUTOMATON_BYTES))
            .determinize_size_limit(Some(2 * AUTOMATON_BYTES));
        // What an automaton cannot do at all was refused or rewritten above.
        let automaton = dense::Builder::new().configure(automaton).build_from_nfa(&states).map_err(|_| too_large())?;
        Ok(Self { function, source: source.to_owned(), automaton })
    }

    /// The function that it belongs to.
    pub(crate) fn function(&self) -> &'static str {
        self.function
    }

    /// Whether the pattern stands anywhere in `text`.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        matches!(self.automaton.try_search_fwd(&Input::new(text).earliest(true)), Ok(Some(_)))
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Pattern({:?})", self.source)
    }
}

/// CEL's patterns are RE2's, where `\b` and `\B` look at ASCII letters only.
fn ascii_boundaries(source: &str) -> String {
    let mut written = String::with_capacity(source.len());
    let mut rest = source.chars();
    while let Some(character) = rest.next() {
        match (character, character == '\\') {
            (_, false) => written.push(character),
            (_, true) => match rest.next() {
                Some('b') => written.push_str(r"(?-u:\b)"),
                Some('B') => written.push_str(r"(?-u:\B)"),
                Some(escaped) => written.extend(['\\', escaped]),
                None => written.push('\\'),
            },
        }
    }
    written
}

/// The last line of the deepest cause: the sentence behind the drawing that points into the pattern.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    let text = deepest.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in(pattern: &str, text: &str) -> bool {
        Pattern::compile(pattern).expect("a pattern").is_in(text)
    }

    #[test]
    fn finds_patterns_anywhere_unless_anchored() {
        assert!(is_in("(?i)churn|解約", "来月解約したい"));
        assert!(is_in(r"^v[0-9]+\.[0-9]+$", "v1.20") && !is_in(r"^v[0-9]+$", "av1"));
        assert!(is_in("^.{3}$", "日本語"));
        assert!(is_in("", "") && is_in("^$", "") && !is_in("a", ""));
    }

    #[test]
    fn word_boundaries_are_those_of_ascii() {
        assert!(is_in(r"\blogin\b", "a login, again") && !is_in(r"\blogin\b", "relogin"));
        assert!(is_in(r"\blogin\b", "日login本"));
        assert!(is_in(r"\\b", r"a\b") && is_in(r"a\Bb", "ab"));
    }

    #[test]
    fn a_literal_is_found_as_it_is() {
        for part in ["", "a", r"a.*\[^-~]{2}(x)+?|$#&", "日本\n", "</>"] {
            let literal = Pattern::literal(part).expect("short");
            assert!(literal.is_in(&format!("1{part}2")) && literal.is_in(part), "{part}");
            assert!(part.is_empty() || !literal.is_in("b12"), "{part}");
        }
        assert!(Pattern::literal(&"a".repeat(201)).is_none());
    }

    #[test]
    fn refuses_what_is_no_pattern_and_what_explodes() {
        assert_eq!(Pattern::compile("(a").expect_err("refused"), "not a pattern: unclosed group");
        for large in ["(a|b)*a(a|b){60}c", r"(\w{1,50}){1,50}", "((a{1,99}){1,99}){1,99}"] {
            assert!(Pattern::compile(large).expect_err("refused").contains("too large"), "{large}");
        }
        assert!(Pattern::compile(&"a".repeat(201)).expect_err("refused").contains("200 bytes"));
        assert!(Pattern::compile(r"\p{Nonsense}").is_err() && Pattern::compile("\\").is_err());
    }
}
