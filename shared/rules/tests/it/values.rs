//! What accepted rules answer.

use std::cell::RefCell;
use std::collections::BTreeMap;

use keizoku_base::number::{MilliPoints, Millionths};
use keizoku_base::{Day, Micros};
use keizoku_rules::{Catalogue, Element, Facts, Failure, NoAnswer, Number, Rule, Type, Value, Wanted};

fn catalogue() -> Catalogue {
    Catalogue::new()
        .with("score.value", Type::Number)
        .with("score.band", Type::Text)
        .with("account.name", Type::Text)
        .with("account.tags", Type::List(Element::Text))
        .with("account.created_at", Type::Instant)
        .with("contract.end", Type::Day)
        .with("contract.active", Type::Bool)
        .with("metric.wau.mean4", Type::Number)
        .with("metric.wau.mean4_before", Type::Number)
        .with("metric.logins.d28", Type::Number)
        .with("people.champions", Type::Number)
        .with_open("account.attributes", Type::Any)
}

fn facts() -> BTreeMap<String, Value<'static>> {
    let tags: &'static [String] = Box::leak(Box::new(["vip".to_owned(), "東京".to_owned(), "pilot-2".to_owned()]));
    let day = |text| Day::parse(text).expect("a day");
    [
        ("score.value", Value::from(MilliPoints(70_000))),
        ("score.band", Value::from("good")),
        ("account.name", Value::from("Kaede 楓")),
        ("account.tags", Value::from(tags)),
        ("account.created_at", Value::from(Micros(1_711_929_600_000_000))),
        ("contract.end", Value::from(day("2024-07-01"))),
        ("contract.active", Value::from(true)),
        ("metric.wau.mean4", Value::from(Millionths(63_000_000))),
        ("metric.wau.mean4_before", Value::from(Millionths(90_000_000))),
        ("metric.logins.d28", Value::from(Millionths(15_000_000))),
        ("account.attributes.seats", Value::from(20)),
        ("account.attributes.rate", Value::Number(Number::from_f64(0.1).expect("finite"))),
        ("account.attributes.plan-type", Value::from("pro")),
        ("account.attributes.since", Value::from(day("2024-02-29"))),
        ("account.attributes.trial", Value::from(false)),
        ("account.attributes.count_as_text", Value::from("12")),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

fn rule(source: &str, wanted: Wanted) -> Rule {
    Rule::compile(source, &catalogue(), wanted).unwrap_or_else(|violations| panic!("{source}: {violations}"))
}

fn holds(source: &str) -> Result<bool, NoAnswer> {
    rule(source, Wanted::Bool).holds(&facts())
}

fn number(source: &str) -> Result<f64, NoAnswer> {
    rule(source, Wanted::Number).number(&facts()).map(Number::to_f64)
}

#[test]
fn a_value_on_the_threshold_is_on_it() {
    for source in [
        "metric.wau.mean4 <= metric.wau.mean4_before * 0.7",
        "metric.wau.mean4 - metric.wau.mean4_before <= -0.3 * metric.wau.mean4_before",
        "metric.wau.mean4 / metric.wau.mean4_before == 7 / 10.0",
        "score.value >= 70",
        "score.value >= 70.0 && score.value == 70u",
        "0.1 + 0.2 == 0.3",
        "account.attributes.rate * 3 == 0.3",
        "1 / 3 + 1 / 3 + 1 / 3 == 1",
        "63 <= 90 * 0.7",
    ] {
        assert_eq!(holds(source), Ok(true), "{source}");
    }
    assert_eq!(holds("metric.wau.mean4 < metric.wau.mean4_before * 0.7"), Ok(false));
}

#[test]
fn numbers_are_one_type_whatever_they_were_written_as() {
    for (source, wanted) in [
        ("7 / 2", 3.5),
        ("-7 % 3", -1.0),
        ("7.5 % 2", 1.5),
        ("metric.logins.d28 / 20 * 100", 75.0),
        ("0.6 * score.value + 0.4 * 50", 62.0),
        ("int(7.9) + int(\"2\") + double(account.attributes.count_as_text)", 21.0),
        ("contract.end - date(\"2024-04-02\")", 90.0),
        ("contract.end - account.attributes.since", 123.0),
        ("size(account.name) + account.tags.size()", 10.0),
        ("score.band == \"good\" ? 1 : 0", 1.0),
        ("account.tags.map(t, size(t))[1]", 2.0),
        ("-(score.value)", -70.0),
        ("double(\"1e3\")", 1000.0),
    ] {
        let found = number(source).expect(source);
        assert!((found - wanted).abs() < 1e-12, "{source}: {found}");
    }
}

#[test]
fn conditions_hold_as_written() {
    for (source, wanted) in [
        ("account.attributes[\"plan-type\"] in [\"pro\", \"enterprise\"]", true),
        ("account.attributes.seats > 10 && !account.attributes.trial", true),
        ("account.tags.exists(t, t.startsWith(\"pilot\"))", true),
        ("account.tags.all(t, size(t) >= 3)", false),
        ("account.tags.exists_one(t, t == \"vip\")", true),
        ("account.tags.filter(t, t.matches(\"[0-9]$\")) == [\"pilot-2\"]", true),
        ("account.tags.map(t, t != \"vip\", t.upperAscii()) == [\"東京\", \"PILOT-2\"]", true),
        ("account.tags.filter(t, t.contains(\"i\")).map(t, size(t)) == [3, 7]", true),
        ("\"vip\" in account.tags && !(\"VIP\" in account.tags)", true),
        ("account.name.contains(\"楓\") && account.name.endsWith(\"楓\")", true),
        ("account.name.lowerAscii() == \"kaede 楓\"", true),
        ("account.created_at == timestamp(\"2024-04-01T09:00:00+09:00\")", true),
        ("contract.end > date(\"2024-06-30\") && contract.active", true),
        ("string(score.value) + \"/\" + string(contract.end) == \"70/2024-07-01\"", true),
        ("has(score.value) && !has(people.champions)", true),
        ("account.attributes.trial == \"no\"", false),
        ("[1, 2, 3].exists(x, x > 2) && 2.0 in [1, 2]", true),
        ("\"b\" > \"a\" && \"\" < \"a\"", true),
        ("[].all(x, x == 1) && ![].exists(x, x == 1)", true),
        (".score.value == 70", true),
    ] {
        assert_eq!(holds(source), Ok(wanted), "{source}");
    }
    let band = rule("score.value >= 70 ? \"good\" : \"bad\"", Wanted::Text);
    assert_eq!(band.text(&facts()), Ok("good".to_owned()));
}

#[test]
fn what_is_missing_is_named_unless_the_other_side_decides() {
    let missing = |name: &str| Err(NoAnswer::NoData { name: name.into() });
    for source in [
        "people.champions >= 1 || score.value >= 70",
        "score.value >= 70 || people.champions >= 1",
        "!(people.champions >= 1 && score.value < 70)",
        "score.value < 70 ? people.champions >= 1 : true",
        "has(people.champions) ? people.champions >= 1 : true",
        "account.tags.exists(t, t == \"vip\" || people.champions > 1)",
        "account.tags.exists(t, t == \"vip\" ? people.champions > 1 : t == \"東京\")",
        "!account.tags.all(t, t == \"vip\" ? people.champions > 1 : t == \"?\")",
    ] {
        assert_eq!(holds(source), Ok(true), "{source}");
    }
    for source in [
        "people.champions >= 1",
        "people.champions == 0 || score.value < 70",
        "score.value >= 70 && people.champions >= 1",
        "people.champions >= 1 ? true : false",
        "people.champions == people.champions",
        "!(people.champions > 0)",
        "account.tags.exists(t, t == \"vip\" ? people.champions > 1 : false)",
        "account.tags.exists_one(t, people.champions > 1 || t == \"vip\")",
        "[people.champions].exists(c, c > 1)",
        "people.champions > 1 || account.attributes.nothing == 1",
    ] {
        assert_eq!(holds(source), missing("people.champions"), "{source}");
    }
    assert_eq!(holds("account.attributes.nothing == 1"), missing("account.attributes.nothing"));
    assert_eq!(missing("a.b").map_err(|reason| reason.to_string()), Err::<bool, _>("no data for a.b".to_owned()));
}

#[test]
fn what_cannot_be_worked_out_says_why() {
    let wrong = |operation, found| Failure::WrongType { operation, found };
    for (source, failure) in [
        ("1 / (score.value - 70) > 0", Failure::DivisionByZero),
        ("1 % (score.value - 70) > 0", Failure::DivisionByZero),
        ("1e308 * 1e308 > 0", Failure::Overflow),
        ("account.tags[3] == \"x\"", Failure::IndexOutOfBounds),
        ("account.tags[0 - 1] == \"x\"", Failure::IndexOutOfBounds),
        ("account.tags[0.5] == \"x\"", Failure::IndexOutOfBounds),
        ("account.attributes.seats > \"10\"", wrong(">", "text")),
        ("account.attributes.trial > 1", wrong(">", "bool")),
        ("account.attributes.seats.contains(\"1\")", wrong("contains", "number")),
        ("account.attributes.seats && true", wrong("&&", "number")),
        ("account.attributes[\"plan-type\"] + 1 == 2", wrong("+", "text")),
        ("account.attributes.seats", wrong("the rule's result", "number")),
        ("double(account.name) > 1", Failure::NotANumber { function: "double" }),
        ("int(\"1.5\") > 1", Failure::NotANumber { function: "int" }),
        ("double(\"nan\") > 1", Failure::NotANumber { function: "double" }),
    ] {
        assert_eq!(holds(source), Err(NoAnswer::Failed(failure)), "{source}");
    }
    assert_eq!(holds("1 / 0 == 1 || true"), Ok(true));
    assert_eq!(holds("false && 1 / 0 == 1"), Ok(false));
}

#[test]
fn facts_larger_than_the_limits_are_refused_by_name() {
    let rule = rule("account.attributes.note == \"x\"", Wanted::Bool);
    let texts = |count: usize, length: usize| -> &'static [String] { vec!["x".repeat(length); count].leak() };
    for (value, fits) in [
        (Value::from("x".repeat(64 * 1024)), true),
        (Value::from("x".repeat(64 * 1024 + 1)), false),
        (Value::from(texts(100, 1024)), true),
        (Value::from(texts(101, 1)), false),
        (Value::from(texts(1, 1025)), false),
    ] {
        let facts = BTreeMap::from([("account.attributes.note".to_owned(), value)]);
        let too_large = NoAnswer::Failed(Failure::FactTooLarge { name: "account.attributes.note".into() });
        assert_eq!(rule.holds(&facts), if fits { Ok(false) } else { Err(too_large) });
    }
}

#[test]
fn only_what_decides_is_asked_for_and_only_once() {
    struct Asked(RefCell<Vec<String>>);
    impl Facts for Asked {
        fn fact(&self, name: &str) -> Option<Value<'_>> {
            self.0.borrow_mut().push(name.to_owned());
            (name != "people.champions").then_some(Value::from(70))
        }
    }
    let rule = rule(
        "score.value > 1 && score.value < 100 || people.champions > 1 || account.attributes[\"seats\"] == 1",
        Wanted::Bool,
    );
    assert_eq!(rule.names().collect::<Vec<_>>(), ["score.value", "people.champions", "account.attributes.seats"]);
    let facts = Asked(RefCell::default());
    assert_eq!(rule.holds(&facts), Ok(true));
    assert_eq!(*facts.0.borrow(), ["score.value"]);
}

#[test]
fn a_rule_is_shared_between_threads() {
    let rule = rule("score.value >= 70", Wanted::Bool);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..4).map(|_| scope.spawn(|| rule.holds(&facts()))).collect();
        running.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(answers, vec![Ok(true); 4]);
}
