//! Just enough of Rust's grammar to see which paths a source file names: comments, strings and lifetimes are left out,
//! `use` trees are flattened, `self` and `super` are resolved.

/// A path of at least two parts (or all of a `use`), with the line it stands on. Paths into the own crate begin with `crate`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NamedPath {
    pub(crate) line: usize,
    pub(crate) parts: Vec<String>,
}

/// Every path that `source` names, where `module` is the file's place in its crate.
pub(crate) fn named_paths(source: &str, module: &[String]) -> Vec<NamedPath> {
    let mut walk =
        Walk { tokens: tokens(source), at: 0, module: module.to_vec(), depth: 0, inner: vec![], found: vec![] };
    while walk.at < walk.tokens.len() {
        walk.step();
    }
    walk.found
}

/// The source without comments and without what stands in strings, as one line of tokens per line.
pub(crate) fn code_lines(source: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for token in tokens(source) {
        match lines.last_mut() {
            Some((line, text)) if *line == token.line => text.push_str(&token.text),
            _ => lines.push((token.line, token.text)),
        }
    }
    lines
}

/// A text in quotes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) line: usize,
    /// The word before it: the name of the call whose argument it is, the name of a constant's type.
    pub(crate) after: String,
    pub(crate) text: String,
}

/// Every text in quotes; raw and byte texts are left out.
pub(crate) fn texts(source: &str) -> Vec<Text> {
    let (mut found, mut line, mut after, mut rest) = (Vec::new(), 1, "", source);
    while let Some(first) = rest.chars().next() {
        let (piece, next) = rest.split_at(skipped(rest).unwrap_or_else(|| token_length(rest, first)));
        if first == '"' {
            let text = piece[1..].strip_suffix('"').unwrap_or_default().to_owned();
            found.push(Text { line, after: after.to_owned(), text });
        } else if first.is_alphabetic() {
            after = piece;
        }
        line += piece.matches('\n').count();
        rest = next;
    }
    found
}

#[derive(Debug, Clone)]
struct Token {
    line: usize,
    /// A word, `::`, or a single sign.
    text: String,
}

impl Token {
    fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

struct Walk {
    tokens: Vec<Token>,
    at: usize,
    module: Vec<String>,
    depth: usize,
    /// Depths at which inline modules were opened.
    inner: Vec<usize>,
    found: Vec<NamedPath>,
}

impl Walk {
    fn text(&self, ahead: usize) -> &str {
        self.tokens.get(self.at + ahead).map_or("", |token| &token.text)
    }

    fn step(&mut self) {
        match self.text(0) {
            "use" => {
                self.at += 1;
                self.tree(&[]);
            }
            "mod" if self.text(2) == "{" => {
                let name = self.text(1).to_owned();
                self.module.push(name);
                self.depth += 1;
                self.inner.push(self.depth);
                self.at += 3;
            }
            "{" => {
                self.depth += 1;
                self.at += 1;
            }
            "}" => {
                if self.inner.last() == Some(&self.depth) {
                    self.inner.pop();
                    self.module.pop();
                }
                self.depth = self.depth.saturating_sub(1);
                self.at += 1;
            }
            _ if self.tokens[self.at].is_word() && self.text(1) == "::" => self.inline(),
            _ => self.at += 1,
        }
    }

    /// `a::b::c` in the middle of code.
    fn inline(&mut self) {
        let line = self.tokens[self.at].line;
        let mut parts = vec![self.text(0).to_owned()];
        while self.text(1) == "::" && self.tokens.get(self.at + 2).is_some_and(Token::is_word) {
            parts.push(self.text(2).to_owned());
            self.at += 2;
        }
        self.at += 1;
        self.record(line, parts);
    }

    /// The rest of a `use`: `a::{b, c::d as e, f::*}`.
    fn tree(&mut self, prefix: &[String]) {
        let line = self.tokens.get(self.at).map_or(0, |token| token.line);
        let mut parts = prefix.to_vec();
        loop {
            match self.text(0) {
                "::" => self.at += 1,
                "{" => {
                    self.at += 1;
                    while self.at < self.tokens.len() && self.text(0) != "}" {
                        self.tree(&parts);
                        if self.text(0) == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                "as" => self.at += 2,
                "" | "," | ";" | "}" => break,
                "*" => self.at += 1,
                _ => {
                    parts.push(self.text(0).to_owned());
                    self.at += 1;
                }
            }
        }
        self.record(line, parts);
    }

    fn record(&mut self, line: usize, parts: Vec<String>) {
        let mut rest = parts.as_slice();
        let mut base = self.module.clone();
        match rest.first().map(String::as_str) {
            Some("crate") => base.clear(),
            Some("self" | "super") => {}
            _ => {
                self.found.push(NamedPath { line, parts });
                return;
            }
        }
        while let Some((first, tail)) = rest.split_first() {
            match first.as_str() {
                "crate" | "self" => {}
                "super" => {
                    base.pop();
                }
                _ => break,
            }
            rest = tail;
        }
        let parts = std::iter::once("crate".to_owned()).chain(base).chain(rest.iter().cloned()).collect();
        self.found.push(NamedPath { line, parts });
    }
}

fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = skipped(rest).unwrap_or_else(|| {
            let length = token_length(rest, first);
            tokens.push(Token { line, text: rest[..length].to_owned() });
            length
        });
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

fn token_length(rest: &str, first: char) -> usize {
    if first.is_alphanumeric() || first == '_' {
        rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
    } else if rest.starts_with("::") {
        2
    } else {
        first.len_utf8()
    }
}

/// The length of a piece that names nothing: space, comment, string, character, lifetime.
fn skipped(rest: &str) -> Option<usize> {
    let first = rest.chars().next()?;
    if first.is_whitespace() {
        return Some(first.len_utf8());
    }
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    let prefix = rest.find(|c: char| !matches!(c, 'b' | 'c' | 'r')).unwrap_or(rest.len());
    let after = &rest[prefix..];
    let hashes = after.len() - after.trim_start_matches('#').len();
    if prefix > 0 && rest[..prefix].ends_with('r') && after[hashes..].starts_with('"') {
        let end = format!("\"{}", &after[..hashes]);
        let body = prefix + hashes + 1;
        return Some(rest[body..].find(&end).map_or(rest.len(), |at| body + at + end.len()));
    }
    if prefix <= 1 && after.starts_with('"') {
        return Some(prefix + quoted(after, '"'));
    }
    if prefix <= 1 && after.starts_with('\'') {
        return Some(prefix + character_or_lifetime(after));
    }
    None
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        let here = &rest[at..];
        if here.is_empty() {
            return at;
        } else if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
}

/// The length of a literal up to its closing quote.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn character_or_lifetime(rest: &str) -> usize {
    let mut inside = rest.chars().skip(1);
    match (inside.next(), inside.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quoted(rest, '\''),
        // A lifetime: the quote alone is left out, its name is a word like any other.
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(source: &str) -> Vec<String> {
        let module = ["app".to_owned(), "score".to_owned()];
        named_paths(source, &module).into_iter().map(|path| path.parts.join("::")).collect()
    }

    #[test]
    fn a_use_tree_is_flattened() {
        let source = "use crate::{store::{self, load}, api::Answer as Reply};\nuse tonic::*;";
        assert_eq!(paths(source), ["crate::store::self", "crate::store::load", "crate::api::Answer", "tonic"]);
    }

    #[test]
    fn relative_paths_are_resolved_from_their_module() {
        let source =
            "use super::super::store; fn f() { super::g(); self::h() } mod tests { use super::*; } use super::x;";
        assert_eq!(
            paths(source),
            ["crate::store", "crate::app::g", "crate::app::score::h", "crate::app::score", "crate::app::x"]
        );
    }

    #[test]
    fn comments_strings_and_lifetimes_name_nothing() {
        let source = r##"
            // crate::store::a
            /* crate::store::b /* crate::store::c */ */
            fn f<'a>(x: &'a str) -> char { "crate::store::d \" crate::store::e"; r#"crate::"store""#; b'"'; '"' }
            #[tonic::async_trait] impl X { fn g() { sqlx::query("x") } }
        "##;
        assert_eq!(paths(source), ["tonic::async_trait", "sqlx::query"]);
    }

    #[test]
    fn texts_know_whose_argument_they_are() {
        let source = "meter.u64_counter(\"a.b\")\n// \"c\"\nconst X: &str = \"D_E\"; r#\"f\"#; f('\"', \"\")";
        let found: Vec<(usize, String, String)> =
            texts(source).into_iter().map(|text| (text.line, text.after, text.text)).collect();
        let expected = [(1, "u64_counter", "a.b"), (3, "str", "D_E"), (3, "f", "")];
        assert_eq!(found, expected.map(|(line, after, text)| (line, after.to_owned(), text.to_owned())));
    }

    #[test]
    fn code_keeps_its_line_numbers() {
        let lines = code_lines("a b // c\n\n\"d\ne\" f");
        assert_eq!(lines, [(1, "ab".to_owned()), (4, "f".to_owned())]);
    }
}
