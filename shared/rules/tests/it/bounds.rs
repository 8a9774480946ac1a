//! No accepted rule runs longer than 10 ms on the largest facts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use keizoku_base::number::Millionths;
use keizoku_rules::limits::{FACT_ELEMENT_BYTES, FACT_ELEMENTS, FACT_TEXT_BYTES};
use keizoku_rules::{Number, Rule, Value, Wanted};
use proptest::prelude::{ProptestConfig, proptest};

use crate::expressions::{Dialect, bool_of, catalogue};

const MOST: Duration = Duration::from_millis(10);

/// What a run takes where the machine does nothing else meanwhile: the least of many runs, each begun with a fresh slice
/// of time, or the first that is fast enough.
fn least_time(rule: &Rule, facts: &BTreeMap<String, Value<'_>>) -> Duration {
    let mut least = Duration::MAX;
    for _ in 0..200 {
        std::thread::yield_now();
        let start = Instant::now();
        let _answer = std::hint::black_box(rule.evaluate(facts));
        least = least.min(start.elapsed());
        if least < MOST {
            break;
        }
    }
    least
}

/// Facts as large as they may be: texts that almost match everywhere, numbers that fill their bits.
fn largest(unit: &str, x_is_list: bool) -> BTreeMap<String, Value<'static>> {
    let text = |length: usize| {
        let mut text = unit.repeat(length / unit.len());
        text.push_str(&"z".repeat(length - text.len()));
        text
    };
    let list: &'static [String] = vec![text(FACT_ELEMENT_BYTES); FACT_ELEMENTS].leak();
    let large = Value::from(Millionths(Millionths::LIMIT - 1));
    let any = if x_is_list { Value::from(list) } else { Value::from(text(FACT_TEXT_BYTES)) };
    [
        ("n.a", large),
        ("n.b", Value::Number(Number::from_f64(1.0 / 3.0).expect("finite"))),
        ("t.a", Value::from(text(FACT_TEXT_BYTES))),
        ("t.b", Value::from(format!("{}z", text(FACT_TEXT_BYTES / 2 - 1).replace('z', "a")))),
        ("f.a", Value::from(true)),
        ("l.a", Value::from(list)),
        ("x.any", any),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// Puts joined terms into their surroundings.
type Around = fn(&str) -> String;

/// A term, what joins it, and what surrounds them.
type Case = (&'static str, &'static str, Around);

/// The rule of as many `term`s as are accepted.
fn fullest(term: &str, by: &str, around: Around) -> Rule {
    let accepted = |count: usize| Rule::compile(&around(&vec![term; count].join(by)), &catalogue(), Wanted::Bool).ok();
    let (mut rule, mut low, mut high) = (accepted(1).unwrap_or_else(|| panic!("{term}")), 1, 128);
    while low + 1 < high {
        let middle = usize::midpoint(low, high);
        match accepted(middle) {
            Some(found) => (rule, low) = (found, middle),
            None => high = middle,
        }
    }
    rule
}

#[test]
fn the_costliest_rule_of_every_kind_is_fast_enough() {
    let alone: Around = str::to_owned;
    let inside: Around = |term| format!("l.a.exists(v, {term})");
    let mapped: Around = |term| format!("l.a.map(v, {term}).exists(v, v > 1e300)");
    let cases: [Case; 24] = [
        ("t.a.contains(t.b)", " || ", alone),
        ("t.a.contains(\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\")", " || ", alone),
        ("x.any.contains(\"日日日日日日日日\")", " || ", alone),
        ("t.a.startsWith(t.a + \"b\")", " || ", alone),
        ("t.a == t.a + \"b\"", " || ", alone),
        ("t.a < t.a", " || ", alone),
        ("t.a.lowerAscii() == t.a.upperAscii() + \"b\"", " || ", alone),
        ("size(t.a) == 1", " || ", alone),
        ("double(t.a) == 1", " && ", alone),
        ("string(1e308) == t.a", " || ", alone),
        ("t.a.matches(\"(?i)(a|b){8}日|[^z]{12}q\")", " || ", alone),
        ("t.a in l.a", " || ", alone),
        ("l.a == l.a.filter(v, v != \"\").map(v, v)", " && ", alone),
        ("(n.a / 7 * n.a / 11 + n.b) % 13 == n.a * 0.3", " || ", alone),
        ("l.a.exists(v, v.contains(\"aaaab\"))", " || ", alone),
        ("v == \"\"", " || ", inside),
        ("v.contains(\"aaaaaaaaaaaaaaab\")", " || ", inside),
        ("v.matches(\"[^b]{20}b\")", " || ", inside),
        ("v in l.a", " || ", inside),
        ("n.a * n.a / 7 == n.a", " || ", inside),
        ("v + \"b\" == \"\"", " || ", inside),
        ("l.a[99] == v", " && ", inside),
        ("n.a * 0.7", " + ", mapped),
        ("has(n.missing)", " || ", inside),
    ];
    for (term, by, around) in cases {
        let rule = fullest(term, by, around);
        for unit in ["a", "ab", "1", "日"] {
            for x_is_list in [false, true] {
                let took = least_time(&rule, &largest(unit, x_is_list));
                assert!(took < MOST, "{took:?} for {} on {unit}", rule.source());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_accepted_rule_is_fast_enough(
        terms in proptest::collection::vec(bool_of(4, Dialect { whole: true, variable: false }), 1..12),
        unit in proptest::sample::select(vec!["a", "ab", "1", "日"]),
        x_is_list in proptest::bool::ANY,
    ) {
        let facts = largest(unit, x_is_list);
        // The longest accepted beginning, so that rules come close to the limit.
        let accepted = (1..=terms.len()).rev().find_map(|count| {
            Rule::compile(&terms.get(..count)?.join(" || "), &catalogue(), Wanted::Bool).ok()
        });
        if let Some(rule) = accepted {
            let took = least_time(&rule, &facts);
            assert!(took < MOST, "{took:?} for {}", rule.source());
        }
    }

    #[test]
    fn any_text_is_refused_or_accepted_soon(source in "([ab]|\\.|1|\"|\\(|\\)|\\[|\\]|\\?|:|&&|<|-|!|,|in | ){0,200}") {
        let start = Instant::now();
        let _verdict = std::hint::black_box(Rule::compile(&source, &catalogue(), Wanted::Bool).is_ok());
        assert!(start.elapsed() < Duration::from_secs(10), "{source}");
    }
}
