//! Random expressions that mostly pass the checker.

use keizoku_rules::{Catalogue, Element, Type};
use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop_oneof};

/// The names that [`bool_of`] writes, each as `namespace.key`.
pub(crate) fn catalogue() -> Catalogue {
    Catalogue::new()
        .with("n.a", Type::Number)
        .with("n.b", Type::Number)
        .with("n.missing", Type::Number)
        .with("t.a", Type::Text)
        .with("t.b", Type::Text)
        .with("t.missing", Type::Text)
        .with("f.a", Type::Bool)
        .with("f.missing", Type::Bool)
        .with("l.a", Type::List(Element::Text))
        .with("l.missing", Type::List(Element::Text))
        .with_open("x", Type::Any)
}

/// What an expression may use.
#[derive(Clone, Copy)]
pub(crate) struct Dialect {
    /// Also what CEL's own interpreter does not know or does otherwise: division, `x.*`, case, conversions, patterns.
    pub(crate) whole: bool,
    /// Inside of a comprehension over texts, whose variable is `v`.
    pub(crate) variable: bool,
}

/// A condition, nested at most `depth` deep.
pub(crate) fn bool_of(depth: u32, dialect: Dialect) -> BoxedStrategy<String> {
    let leaf = prop_oneof![Just("true"), Just("false"), Just("f.a"), Just("f.missing"), Just("has(n.missing)")];
    if depth == 0 {
        return leaf.prop_map(str::to_owned).boxed();
    }
    let (flag, number) = (move || bool_of(depth - 1, dialect), move || number_of(depth - 1, dialect));
    let (text, list) = (move || text_of(depth - 1, dialect), move || list_of(depth - 1, dialect));
    let order = prop_oneof![Just("<"), Just("<="), Just(">"), Just(">="), Just("=="), Just("!=")];
    let test = prop_oneof![Just("contains"), Just("startsWith"), Just("endsWith")];
    let mut choices = vec![
        leaf.prop_map(str::to_owned).boxed(),
        (flag(), prop_oneof![Just("&&"), Just("||")], flag()).prop_map(|(a, by, b)| format!("({a} {by} {b})")).boxed(),
        flag().prop_map(|a| format!("!({a})")).boxed(),
        (flag(), flag(), flag()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")).boxed(),
        (number(), order.clone(), number()).prop_map(|(a, by, b)| format!("({a} {by} {b})")).boxed(),
        (text(), order, text()).prop_map(|(a, by, b)| format!("({a} {by} {b})")).boxed(),
        (text(), test, text()).prop_map(|(a, test, b)| format!("{a}.{test}({b})")).boxed(),
        (text(), list()).prop_map(|(a, b)| format!("({a} in {b})")).boxed(),
    ];
    if !dialect.variable {
        let inside = move || bool_of(depth - 1, Dialect { variable: true, ..dialect });
        let fold = prop_oneof![Just("exists"), Just("all"), Just("exists_one")];
        choices.push((list(), fold, inside()).prop_map(|(a, fold, b)| format!("{a}.{fold}(v, {b})")).boxed());
    }
    if dialect.whole {
        let pattern =
            prop_oneof![Just("a+b"), Just("^[^b]*$"), Just("(?i)x|日|a{20}b"), Just("a.{3}b"), Just("\\\\bz")];
        choices.push((text(), pattern).prop_map(|(a, pattern)| format!("{a}.matches(\"{pattern}\")")).boxed());
        choices.push(number().prop_map(|a| format!("(x.any == {a})")).boxed());
        choices.push(text().prop_map(|a| format!("x.any.contains({a})")).boxed());
    }
    proptest::strategy::Union::new(choices).boxed()
}

fn number_of(depth: u32, dialect: Dialect) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        (0_i32..100).prop_map(|value| value.to_string()),
        prop_oneof![Just("n.a"), Just("n.b"), Just("n.missing")].prop_map(str::to_owned),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let (number, text) = (move || number_of(depth - 1, dialect), move || text_of(depth - 1, dialect));
    let by = if dialect.whole { vec!["+", "-", "*", "/", "%"] } else { vec!["+", "-", "*"] };
    let mut choices = vec![
        leaf.boxed(),
        (number(), proptest::sample::select(by), number()).prop_map(|(a, by, b)| format!("({a} {by} {b})")).boxed(),
        text().prop_map(|a| format!("size({a})")).boxed(),
        list_of(depth - 1, dialect).prop_map(|a| format!("{a}.size()")).boxed(),
        (bool_of(depth - 1, dialect), number(), number()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")).boxed(),
    ];
    if dialect.whole {
        choices.push((any::<u16>(), 1_u16..9).prop_map(|(whole, part)| format!("{whole}.{part}")).boxed());
        choices.push(text().prop_map(|a| format!("double({a})")).boxed());
        choices.push(number().prop_map(|a| format!("int({a})")).boxed());
    }
    proptest::strategy::Union::new(choices).boxed()
}

fn text_of(depth: u32, dialect: Dialect) -> BoxedStrategy<String> {
    let mut leaves = vec!["\"\"", "\"a\"", "\"ab\"", "\"日本\"", "t.a", "t.b", "t.missing"];
    if dialect.variable {
        leaves.extend(["v", "v", "v"]);
    }
    let leaf = proptest::sample::select(leaves).prop_map(str::to_owned);
    if depth == 0 {
        return leaf.boxed();
    }
    let text = move || text_of(depth - 1, dialect);
    let mut choices = vec![
        leaf.boxed(),
        (text(), text()).prop_map(|(a, b)| format!("({a} + {b})")).boxed(),
        (list_of(depth - 1, dialect), 0..3).prop_map(|(a, index)| format!("{a}[{index}]")).boxed(),
    ];
    if dialect.whole {
        choices.push(text().prop_map(|a| format!("{a}.lowerAscii()")).boxed());
        choices.push(number_of(depth - 1, dialect).prop_map(|a| format!("string({a})")).boxed());
    }
    proptest::strategy::Union::new(choices).boxed()
}

fn list_of(depth: u32, dialect: Dialect) -> BoxedStrategy<String> {
    let leaf = prop_oneof![Just("l.a"), Just("l.missing"), Just("[\"a\", \"b\", \"日本\"]")].prop_map(str::to_owned);
    if depth == 0 {
        return leaf.boxed();
    }
    let text = move |dialect| text_of(depth - 1, dialect);
    let mut choices =
        vec![leaf.boxed(), (text(dialect), text(dialect)).prop_map(|(a, b)| format!("[{a}, {b}]")).boxed()];
    if !dialect.variable {
        let inside = Dialect { variable: true, ..dialect };
        let list = move || list_of(depth - 1, dialect);
        choices.push((list(), bool_of(depth - 1, inside)).prop_map(|(a, b)| format!("{a}.filter(v, {b})")).boxed());
        choices.push((list(), text(inside)).prop_map(|(a, b)| format!("{a}.map(v, {b})")).boxed());
    }
    proptest::strategy::Union::new(choices).boxed()
}
