//! What is not accepted, and how that is said.

use keizoku_rules::{Catalogue, Element, Rule, RuleViolations, Type, Wanted};

fn catalogue() -> Catalogue {
    Catalogue::new()
        .with("score.value", Type::Number)
        .with("account.name", Type::Text)
        .with("account.tags", Type::List(Element::Text))
        .with("contract.end", Type::Day)
        .with("account.created_at", Type::Instant)
        .with("metric.logins.d28", Type::Number)
        .with_open("account.attributes", Type::Any)
}

fn refused(source: &str, wanted: Wanted) -> RuleViolations {
    Rule::compile(source, &catalogue(), wanted).expect_err(source)
}

fn reasons(source: &str) -> Vec<&'static str> {
    refused(source, Wanted::Bool).iter().map(|violation| violation.reason).collect()
}

#[test]
fn every_violation_is_named_at_once_with_its_place() {
    let source = "score.valeu >= 70 &&\n  \"日本\" == account.name && lenght(account.tags) > null";
    assert_eq!(
        refused(source, Wanted::Bool).to_string(),
        "line 1, column 1: score.valeu is not known; did you mean score.value?; \
         line 2, column 27: lenght is no function of a rule; \
         line 2, column 50: null (has(name) asks whether there is data) cannot stand in a rule"
    );
    let violations = refused(source, Wanted::Bool).of_field("bands[0].when");
    let first = violations.iter().next().expect("a violation");
    assert_eq!((first.field.as_str(), first.reason), ("bands[0].when", "RULE_UNKNOWN_NAME"));
    assert_eq!(first.description, "line 1, column 1: score.valeu is not known; did you mean score.value?");
}

#[test]
fn types_must_fit() {
    for (source, description) in [
        ("score.value", "the rule must give a bool, not a number"),
        ("score.value >= \"70\"", "a number and a text cannot be compared"),
        ("account.name == 1", "a text and a number are never equal"),
        ("account.name + 1 == \"a\"", "a text and a number cannot be added or taken away"),
        ("score.value && true", "&& takes a bool, not a number"),
        ("!score.value", "! takes a bool, not a number"),
        ("-account.name == 1", "- takes a number, not a text"),
        ("true > false", "a comparison takes a number or a text or a instant or a day, not a bool"),
        ("contract.end > account.created_at", "a day and a instant cannot be compared"),
        ("contract.end + 1 == contract.end", "+ takes a number or a text, not a day"),
        ("account.tags + account.tags == account.tags", "+ takes a number or a text, not a list of text"),
        ("score.value in account.tags", "in this list takes a text, not a number"),
        ("\"a\" in account.name", "in takes a list of any, not a text"),
        ("account.tags.exists(t, t > 1)", "a text and a number cannot be compared"),
        ("account.tags.exists(t, t)", "exists takes a bool, not a text"),
        ("account.tags.map(t, t, t) == []", "the condition of map takes a bool, not a text"),
        ("account.name.exists(t, true)", "exists takes a list of any, not a text"),
        ("score.value.startsWith(\"a\")", "startsWith takes a text, not a number"),
        ("size(score.value) == 1", "size takes a text or a list of any, not a number"),
        ("(true ? 1 : \"a\") == 1", "a number and a text cannot both come out of one ?:"),
        ("[1, \"a\"] == []", "the elements of a list are of one type"),
        ("account.tags[\"a\"] == \"a\"", "account.tags.a is not known"),
        ("account.tags[true] == \"a\"", "an index takes a number, not a bool"),
    ] {
        let found = refused(source, Wanted::Bool).to_string();
        assert!(found.contains(description), "{source}: {found}");
    }
    assert!(refused("1", Wanted::Text).to_string().contains("must give a text"));
    assert!(refused("\"a\"", Wanted::Number).to_string().contains("must give a number"));
}

#[test]
fn only_what_is_listed_may_be_called_or_written() {
    for (source, reason) in [
        ("math.abs(score.value) > 1", "RULE_UNKNOWN_FUNCTION"),
        ("account.name.replace(\"a\", \"b\") == \"\"", "RULE_UNKNOWN_FUNCTION"),
        ("type(score.value) == int", "RULE_UNKNOWN_FUNCTION"),
        ("duration(\"1h\") == duration(\"2h\")", "RULE_UNKNOWN_FUNCTION"),
        ("account.name.contains() == true", "RULE_ARGUMENTS"),
        ("has(1) == true", "RULE_ARGUMENTS"),
        ("date(account.name) == contract.end", "RULE_ARGUMENTS"),
        ("date(\"2024-13-01\") == contract.end", "RULE_ARGUMENTS"),
        ("timestamp(\"2024-04-01\") == account.created_at", "RULE_ARGUMENTS"),
        ("account.tags.exists(1, true)", "RULE_ARGUMENTS"),
        ("{\"a\": 1}.a == 1", "RULE_NOT_SUPPORTED"),
        ("Point{x: 1} == 1", "RULE_NOT_SUPPORTED"),
        ("b\"a\" == b\"a\"", "RULE_NOT_SUPPORTED"),
        ("[[1]] == []", "RULE_NOT_SUPPORTED"),
        ("score.value == null", "RULE_NOT_SUPPORTED"),
        ("account.name.matches(account.name)", "RULE_PATTERN"),
        ("account.name.matches(\"(\")", "RULE_PATTERN"),
        ("account.name.matches(\"(a|b)*a(a|b){90}c\")", "RULE_PATTERN"),
        ("account.tags.exists(t, account.tags.exists(u, u == t))", "RULE_NESTED_COMPREHENSION"),
        ("account.tags.exists(t, t.name == \"a\")", "RULE_UNKNOWN_NAME"),
        ("account == 1", "RULE_UNKNOWN_NAME"),
        ("has(score.valeu)", "RULE_UNKNOWN_NAME"),
        ("@result == 1", "RULE_SYNTAX"),
        ("score.value >=", "RULE_SYNTAX"),
        ("score.?value == 1", "RULE_SYNTAX"),
        ("99999999999999999999 > 1", "RULE_SYNTAX"),
        ("", "RULE_SYNTAX"),
    ] {
        assert!(reasons(source).contains(&reason), "{source}: {}", refused(source, Wanted::Bool));
    }
    let usage = refused("account.name.contains()", Wanted::Bool).to_string();
    assert!(usage.contains("contains is called as text.contains(part)"), "{usage}");
    let near = refused("account.name.startWith(\"a\")", Wanted::Bool).to_string();
    assert!(near.contains("did you mean startsWith?"), "{near}");
}

#[test]
fn a_rule_keeps_within_its_limits() {
    let joined = |term: &str, count: usize, by: &str| vec![term; count].join(by);
    let list = |count: usize| format!("score.value in [{}]", joined("1", count, ","));
    let nested = |depth: usize| format!("{}true{}", "!(".repeat(depth), ")".repeat(depth));
    let compiles = |source: &str| Rule::compile(source, &catalogue(), Wanted::Bool).is_ok();
    // Fifty comparisons of three nodes and the operators between them: 199.
    assert!(compiles(&joined("score.value > 1", 50, " || ")));
    assert_eq!(reasons(&joined("score.value > 1", 51, " || ")), ["RULE_TOO_MANY_NODES"]);
    assert!(compiles(&list(100)));
    assert_eq!(reasons(&list(101)), ["RULE_LIST_TOO_LONG"]);
    assert!(compiles(&nested(15)));
    assert_eq!(reasons(&nested(16)), ["RULE_TOO_DEEP"]);
    assert_eq!(reasons(&format!("true{}", " ".repeat(4093))), ["RULE_TOO_LONG"]);
    assert!(compiles(&format!("true{}", " ".repeat(4092))));
    let pattern = "account.attributes.a.matches(\"a\")";
    assert!(compiles(&joined(pattern, 10, " || ")));
    assert_eq!(reasons(&joined(pattern, 11, " || ")), ["RULE_PATTERN"]);
    assert_eq!(reasons(&format!("{} == \"\"", joined("account.name", 5, " + "))), ["RULE_TEXT_TOO_LONG"]);
    assert_eq!(reasons("account.tags.map(t, account.name) == []"), ["RULE_TEXT_TOO_LONG"]);
    assert_eq!(reasons("account.tags.exists(t, account.name.contains(t))"), ["RULE_TOO_COSTLY"]);
}

#[test]
fn no_source_takes_the_process_down() {
    for source in [
        "(".repeat(4096),
        format!("{}1{}", "(".repeat(2047), ")".repeat(2047)),
        "[".repeat(4096),
        "{".repeat(4096),
        format!("{}1", "!".repeat(4095)),
        format!("{}1", "-".repeat(4095)),
        format!("a{}", ".b".repeat(2047)),
        format!("a{}", ".b()".repeat(1000)),
        format!("a{}", "[1]".repeat(1300)),
        format!("1{}", "+1".repeat(2047)),
        format!("1{}", "<1".repeat(2047)),
        format!("{}1", "a?1:".repeat(1000)),
        format!("{}1{}", "f(".repeat(1300), ")".repeat(1300)),
        "\"a".repeat(2000),
        "\u{0}\u{feff}日`$#\\".repeat(200),
    ] {
        let from_a_small_stack = std::thread::Builder::new().stack_size(128 * 1024);
        let running = from_a_small_stack.spawn(move || refused(&source, Wanted::Bool)).expect("a thread");
        assert!(running.join().expect("no panic").iter().count() > 0);
    }
}
