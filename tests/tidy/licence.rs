//! SPDX licence expressions.

/// Whether the expression can be met with the licences on the list. `/` is the old way to write `OR`.
pub(crate) fn allowed(expression: &str, list: &[&str]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    either(&mut rest, list) && rest.is_empty()
}

fn either(words: &mut &[&str], list: &[&str]) -> bool {
    let mut met = both(words, list);
    while take(words, "OR") {
        met |= both(words, list);
    }
    met
}

fn both(words: &mut &[&str], list: &[&str]) -> bool {
    let mut met = one(words, list);
    while take(words, "AND") {
        met &= one(words, list);
    }
    met
}

fn one(words: &mut &[&str], list: &[&str]) -> bool {
    if take(words, "(") {
        let met = either(words, list);
        return take(words, ")") && met;
    }
    let Some((name, rest)) = words.split_first() else { return false };
    *words = rest;
    if take(words, "WITH") {
        let Some((exception, rest)) = words.split_first() else { return false };
        *words = rest;
        return list.contains(&format!("{name} WITH {exception}").as_str());
    }
    list.contains(name)
}

fn take(words: &mut &[&str], word: &str) -> bool {
    match words.split_first() {
        Some((first, rest)) if *first == word => {
            *words = rest;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::allowed;

    #[test]
    fn an_expression_is_met_by_the_list_or_not() {
        let list = ["MIT", "Apache-2.0", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"];
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("MIT OR GPL-3.0", true),
            ("MIT AND GPL-3.0", false),
            ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
            ("GPL-3.0/MIT", true),
            ("GPL-3.0 OR Apache-2.0 WITH LLVM-exception", true),
            ("MIT WITH some-exception", false),
            ("MIT GPL-3.0", false),
            ("(MIT", false),
            ("", false),
        ] {
            assert_eq!(allowed(expression, &list), expected, "{expression}");
        }
    }
}
