//! Where CEL's own interpreter and ours both have an answer, it is the same answer.

use std::collections::{BTreeMap, HashMap};

use keizoku_rules::{NoAnswer, Rule, Value, Wanted};
use proptest::prelude::{ProptestConfig, proptest};

use crate::expressions::{Dialect, bool_of, catalogue};

/// What CEL's own interpreter answers: `None` where it overflows, which exact numbers do not.
fn cel_answer(source: &str, n: [i64; 2], t: [&str; 2], f: bool, l: &[String]) -> Option<Result<bool, String>> {
    let program = cel::Program::compile(source).expect("our parser accepted it");
    let mut context = cel::Context::default();
    context.add_variable_from_value("n", HashMap::from([("a", n[0]), ("b", n[1])]));
    context.add_variable_from_value("t", HashMap::from([("a", t[0]), ("b", t[1])]));
    context.add_variable_from_value("f", HashMap::from([("a", f)]));
    context.add_variable_from_value("l", HashMap::from([("a", l.to_vec())]));
    match program.execute(&context) {
        Ok(cel::Value::Bool(value)) => Some(Ok(value)),
        Ok(other) => Some(Err(format!("{other:?}"))),
        Err(cel::ExecutionError::Overflow(..)) => None,
        Err(error) => Some(Err(error.to_string())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, max_global_rejects: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn answers_agree_with_cel(
        source in bool_of(4, Dialect { whole: false, variable: false }),
        n in [-50_i64..50, -50_i64..50],
        t in ["[ab日]{0,3}", "[ab日]{0,3}"],
        f in proptest::bool::ANY,
        l in proptest::collection::vec("[ab日]{0,3}", 0..5),
    ) {
        let Ok(rule) = Rule::compile(&source, &catalogue(), Wanted::Bool) else { return Ok(()) };
        let facts = BTreeMap::from([
            ("n.a".to_owned(), Value::from(n[0])),
            ("n.b".to_owned(), Value::from(n[1])),
            ("t.a".to_owned(), Value::from(t[0].as_str())),
            ("t.b".to_owned(), Value::from(t[1].as_str())),
            ("f.a".to_owned(), Value::from(f)),
            ("l.a".to_owned(), Value::from(l.as_slice())),
        ]);
        let ours = rule.holds(&facts);
        if let Some(theirs) = cel_answer(&source, n, [&t[0], &t[1]], f, &l) {
            match (&ours, &theirs) {
                (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs, "{source}"),
                (Err(NoAnswer::NoData { name }), Err(_)) => assert!(name.ends_with(".missing"), "{source}: {name}"),
                (Err(NoAnswer::Failed(_)), Err(_)) => {}
                _ => panic!("{source}: ours {ours:?}, theirs {theirs:?}"),
            }
        }
    }
}
