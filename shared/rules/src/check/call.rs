//! Operators and functions: the whole list of what a rule may call.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};
use keizoku_base::{Day, Micros};

use super::{Checked, Checker, Size, dotted};
use crate::catalogue::{Element, Type, nearest};
use crate::limits::{BUILT_TEXT_BYTES, PATTERNS};
use crate::node::{Arithmetic, Conversion, Node, Order, Sides, TextTest};
use crate::pattern::Pattern;
use crate::value::Value;

/// Every function, with how it is called.
const FUNCTIONS: [(&str, &str); 19] = [
    ("all", "list.all(x, condition)"),
    ("contains", "text.contains(part)"),
    ("date", "date(\"2024-04-01\")"),
    ("double", "double(text)"),
    ("endsWith", "text.endsWith(part)"),
    ("exists", "list.exists(x, condition)"),
    ("existsOne", "list.existsOne(x, condition)"),
    ("exists_one", "list.exists_one(x, condition)"),
    ("filter", "list.filter(x, condition)"),
    ("has", "has(name)"),
    ("int", "int(number)"),
    ("lowerAscii", "text.lowerAscii()"),
    ("map", "list.map(x, value)"),
    ("matches", "text.matches(\"pattern\")"),
    ("size", "size(list)"),
    ("startsWith", "text.startsWith(part)"),
    ("string", "string(value)"),
    ("timestamp", "timestamp(\"2024-04-01T00:00:00Z\")"),
    ("upperAscii", "text.upperAscii()"),
];

/// What a step of exact arithmetic takes, in nanoseconds.
const ARITHMETIC_NS: u64 = 150;
/// What a byte takes that a pattern passes, in nanoseconds.
const PATTERN_BYTE_NS: u64 = 3;
/// What a byte takes that is searched for a text which only the facts know, in nanoseconds.
const CONTAINS_BYTE_NS: u64 = 11;
/// What writing a number out takes, in nanoseconds.
const WRITE_NS: u64 = 500;
/// The longest text of a number, an instant or a day.
const WRITTEN_BYTES: u64 = 400;

impl Checker<'_> {
    pub(super) fn call(&mut self, tree: &IdedExpr, call: &CallExpr, depth: usize) -> Checked {
        match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
            (operators::CONDITIONAL, None, [condition, then, otherwise]) => {
                self.conditional(tree, [condition, then, otherwise], depth)
            }
            (name, None, [left, right]) if is_operator(name) => self.operator(tree, name, [left, right], depth),
            (operators::LOGICAL_NOT, None, [inner]) => self.not(inner, depth),
            (operators::NEGATE, None, [inner]) => self.negate(inner, depth),
            ("has", None, [name]) => self.has(name),
            ("size", None, [of]) | ("size", Some(of), []) => self.size(of, depth),
            ("contains", Some(text), [part]) => self.text_test(TextTest::Contains, [text, part], depth),
            ("startsWith", Some(text), [part]) => self.text_test(TextTest::Starts, [text, part], depth),
            ("endsWith", Some(text), [part]) => self.text_test(TextTest::Ends, [text, part], depth),
            ("matches", Some(text), [pattern]) | ("matches", None, [text, pattern]) => {
                self.matches(text, pattern, depth)
            }
            ("lowerAscii", Some(text), []) => self.convert(Conversion::Lower, text, depth),
            ("upperAscii", Some(text), []) => self.convert(Conversion::Upper, text, depth),
            ("int", None, [of]) => self.convert(Conversion::Whole, of, depth),
            ("double", None, [of]) => self.convert(Conversion::Number, of, depth),
            ("string", None, [of]) => self.convert(Conversion::Text, of, depth),
            ("date", None, [literal]) => self.date(literal),
            ("timestamp", None, [literal]) => self.timestamp(literal),
            (name, Some(range), arguments) if super::fold::is_fold(name, arguments) => {
                self.fold(tree, name, range, arguments, depth)
            }
            (name, ..) => self.unknown_function(tree, name, call, depth),
        }
    }

    fn unknown_function(&mut self, tree: &IdedExpr, name: &str, call: &CallExpr, depth: usize) -> Checked {
        let known = FUNCTIONS.iter().find(|(known, _)| *known == name);
        let (reason, description) = match known {
            Some((_, usage)) => ("RULE_ARGUMENTS", format!("{name} is called as {usage}")),
            None => {
                let near = nearest(name, FUNCTIONS.iter().map(|(known, _)| (*known).to_owned()));
                let hint = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
                ("RULE_UNKNOWN_FUNCTION", format!("{name} is no function of a rule{hint}"))
            }
        };
        self.violate(tree, reason, description);
        // A dotted target may be the rest of the function's name, and an argument a comprehension's variable.
        for part in call.target.as_deref().into_iter().chain(&call.args).filter(|part| dotted(part).is_none()) {
            self.expression(part, depth + 1);
        }
        Checked::unknown()
    }

    fn operator(&mut self, tree: &IdedExpr, name: &str, [left, right]: [&IdedExpr; 2], depth: usize) -> Checked {
        let sides = (self.expression(left, depth + 1), self.expression(right, depth + 1));
        match name {
            operators::LOGICAL_AND | operators::LOGICAL_OR => {
                let shown = if name == operators::LOGICAL_AND { "&&" } else { "||" };
                self.expect(left, &sides.0, &[Type::Bool], shown);
                self.expect(right, &sides.1, &[Type::Bool], shown);
                let sides = nodes(sides);
                let node = if name == operators::LOGICAL_AND { Node::Both(sides) } else { Node::Either(sides) };
                Checked::new(node, Type::Bool)
            }
            operators::EQUALS | operators::NOT_EQUALS => {
                self.agree(tree, &sides, "are never equal");
                self.charge(sides.0.size.total().min(sides.1.size.total()) / 8);
                self.charge(10 * sides.0.size.elements.min(sides.1.size.elements));
                let sides = nodes(sides);
                let node = if name == operators::EQUALS { Node::Equal(sides) } else { Node::Unequal(sides) };
                Checked::new(node, Type::Bool)
            }
            operators::IN => self.contained(left, right, sides),
            operators::INDEX => self.indexed(left, right, sides),
            operators::LESS => self.order(tree, Order::Less, [left, right], sides),
            operators::LESS_EQUALS => self.order(tree, Order::AtMost, [left, right], sides),
            operators::GREATER => self.order(tree, Order::More, [left, right], sides),
            operators::GREATER_EQUALS => self.order(tree, Order::AtLeast, [left, right], sides),
            operators::ADD => self.arithmetic(tree, Arithmetic::Add, [left, right], sides),
            operators::SUBSTRACT => self.arithmetic(tree, Arithmetic::Subtract, [left, right], sides),
            operators::MULTIPLY => self.arithmetic(tree, Arithmetic::Multiply, [left, right], sides),
            operators::DIVIDE => self.arithmetic(tree, Arithmetic::Divide, [left, right], sides),
            _ => self.arithmetic(tree, Arithmetic::Remainder, [left, right], sides),
        }
    }

    /// Whether both sides may be of one type.
    fn agree(&mut self, tree: &IdedExpr, sides: &(Checked, Checked), otherwise: &str) -> bool {
        let met = sides.0.of.meet(sides.1.of).is_some();
        if !met {
            let description = format!("a {} and a {} {otherwise}", sides.0.of, sides.1.of);
            self.violate(tree, "RULE_TYPE", description);
        }
        met
    }

    fn conditional(&mut self, tree: &IdedExpr, parts: [&IdedExpr; 3], depth: usize) -> Checked {
        let [condition, then, otherwise] = parts.map(|part| self.expression(part, depth + 1));
        self.expect(parts[0], &condition, &[Type::Bool], "a condition");
        let of = then.of.meet(otherwise.of).unwrap_or(Type::Any);
        let (size, branches) = (then.size.larger(otherwise.size), (then, otherwise));
        self.agree(tree, &branches, "cannot both come out of one ?:");
        let node = Node::If(Box::new((condition.node, branches.0.node, branches.1.node)));
        Checked { node, of, size }
    }

    fn not(&mut self, inner: &IdedExpr, depth: usize) -> Checked {
        let checked = self.expression(inner, depth + 1);
        self.expect(inner, &checked, &[Type::Bool], "!");
        Checked::new(Node::Not(Box::new(checked.node)), Type::Bool)
    }

    fn negate(&mut self, inner: &IdedExpr, depth: usize) -> Checked {
        let checked = self.expression(inner, depth + 1);
        self.expect(inner, &checked, &[Type::Number], "-");
        self.charge(ARITHMETIC_NS);
        Checked::new(Node::Negate(Box::new(checked.node)), Type::Number)
    }

    fn order(&mut self, tree: &IdedExpr, order: Order, parts: [&IdedExpr; 2], sides: (Checked, Checked)) -> Checked {
        const ORDERED: [Type; 4] = [Type::Number, Type::Text, Type::Instant, Type::Day];
        let fit = [(parts[0], &sides.0), (parts[1], &sides.1)]
            .map(|(part, side)| self.expect(part, side, &ORDERED, "a comparison"));
        if fit == [true, true] {
            self.agree(tree, &sides, "cannot be compared");
        }
        self.charge(ARITHMETIC_NS + sides.0.size.text.min(sides.1.size.text) / 8);
        Checked::new(Node::Order(order, nodes(sides)), Type::Bool)
    }

    fn arithmetic(
        &mut self,
        tree: &IdedExpr,
        operator: Arithmetic,
        parts: [&IdedExpr; 2],
        sides: (Checked, Checked),
    ) -> Checked {
        let (shown, types): (&str, &[Type]) = match operator {
            Arithmetic::Add => ("+", &[Type::Number, Type::Text]),
            Arithmetic::Subtract => ("-", &[Type::Number, Type::Day]),
            Arithmetic::Multiply => ("*", &[Type::Number]),
            Arithmetic::Divide => ("/", &[Type::Number]),
            Arithmetic::Remainder => ("%", &[Type::Number]),
        };
        let fit =
            [(parts[0], &sides.0), (parts[1], &sides.1)].map(|(part, side)| self.expect(part, side, types, shown));
        if fit == [true, true] {
            self.agree(tree, &sides, "cannot be added or taken away");
        }
        let known = if sides.0.of == Type::Any { sides.1.of } else { sides.0.of };
        let of = match operator {
            Arithmetic::Add => known,
            Arithmetic::Subtract | Arithmetic::Multiply | Arithmetic::Divide | Arithmetic::Remainder => Type::Number,
        };
        self.charge(ARITHMETIC_NS);
        let mut size = Size::default();
        if matches!(of, Type::Text | Type::Any) {
            size.text = sides.0.size.text + sides.1.size.text;
            self.built(tree, size.text);
        }
        Checked { node: Node::Arithmetic(operator, nodes(sides)), of, size }
    }

    /// Charges for a text that the rule builds, and refuses one that may get too long.
    pub(super) fn built(&mut self, tree: &IdedExpr, most: u64) {
        self.charge(most / 4);
        if most > BUILT_TEXT_BYTES {
            let description = format!("this may build {most} bytes of text; the most is {BUILT_TEXT_BYTES}");
            self.violate(tree, "RULE_TEXT_TOO_LONG", description);
        }
    }

    fn contained(&mut self, left: &IdedExpr, right: &IdedExpr, sides: (Checked, Checked)) -> Checked {
        if self.expect(right, &sides.1, &[Type::List(Element::Any)], "in") {
            let element = sides.1.of.element().map_or(Type::Any, Type::from);
            self.expect(left, &sides.0, &[element], "in this list");
        }
        self.charge(20 * sides.1.size.elements + sides.1.size.total() / 8);
        Checked::new(Node::In(nodes(sides)), Type::Bool)
    }

    fn indexed(&mut self, left: &IdedExpr, right: &IdedExpr, sides: (Checked, Checked)) -> Checked {
        self.expect(left, &sides.0, &[Type::List(Element::Any)], "an index");
        self.expect(right, &sides.1, &[Type::Number], "an index");
        self.charge(10 * sides.0.size.elements);
        let of = sides.0.of.element().map_or(Type::Any, Type::from);
        let size = Size::of_text(sides.0.size.element);
        Checked { node: Node::Index(nodes(sides)), of, size }
    }

    fn has(&mut self, name: &IdedExpr) -> Checked {
        self.nodes += 1;
        let Some(text) = dotted(name) else {
            self.violate(name, "RULE_ARGUMENTS", "has takes a name, such as has(score.value)".to_owned());
            return Checked::unknown();
        };
        match self.place_of(name, &text) {
            Some((place, _)) => Checked::new(Node::Has(place), Type::Bool),
            None => Checked::unknown(),
        }
    }

    fn size(&mut self, of: &IdedExpr, depth: usize) -> Checked {
        let checked = self.expression(of, depth + 1);
        self.expect(of, &checked, &[Type::Text, Type::List(Element::Any)], "size");
        self.charge(checked.size.text / 2);
        Checked::new(Node::Size(Box::new(checked.node)), Type::Number)
    }

    fn text_test(&mut self, test: TextTest, [text, part]: [&IdedExpr; 2], depth: usize) -> Checked {
        let sides = (self.expression(text, depth + 1), self.expression(part, depth + 1));
        let shown = match test {
            TextTest::Contains => "contains",
            TextTest::Starts => "startsWith",
            TextTest::Ends => "endsWith",
        };
        self.expect(text, &sides.0, &[Type::Text], shown);
        self.expect(part, &sides.1, &[Type::Text], shown);
        // The same in a quarter of the time.
        if test == TextTest::Contains
            && let Some(pattern) = literal_text(part).and_then(Pattern::literal)
        {
            self.charge(PATTERN_BYTE_NS * sides.0.size.text);
            return Checked::new(Node::Matches(Box::new(sides.0.node), Box::new(pattern)), Type::Bool);
        }
        self.charge(match test {
            TextTest::Contains => CONTAINS_BYTE_NS * (sides.0.size.text + sides.1.size.text),
            TextTest::Starts | TextTest::Ends => sides.1.size.text / 8,
        });
        Checked::new(Node::Text(test, nodes(sides)), Type::Bool)
    }

    fn matches(&mut self, text: &IdedExpr, pattern: &IdedExpr, depth: usize) -> Checked {
        let checked = self.expression(text, depth + 1);
        self.nodes += 1;
        self.patterns += 1;
        self.expect(text, &checked, &[Type::Text], "matches");
        self.charge(PATTERN_BYTE_NS * checked.size.text);
        if self.patterns == PATTERNS + 1 {
            self.violate(pattern, "RULE_PATTERN", format!("a rule has at most {PATTERNS} patterns"));
        }
        let Some(source) = literal_text(pattern) else {
            self.violate(pattern, "RULE_PATTERN", "a pattern stands in the rule as a text".to_owned());
            return Checked::unknown();
        };
        if self.patterns > PATTERNS {
            return Checked::unknown();
        }
        match Pattern::compile(source) {
            Ok(compiled) => Checked::new(Node::Matches(Box::new(checked.node), Box::new(compiled)), Type::Bool),
            Err(description) => {
                self.violate(pattern, "RULE_PATTERN", description);
                Checked::unknown()
            }
        }
    }

    fn convert(&mut self, conversion: Conversion, inner: &IdedExpr, depth: usize) -> Checked {
        let checked = self.expression(inner, depth + 1);
        let written = [Type::Text, Type::Number, Type::Bool, Type::Instant, Type::Day];
        let (shown, types, of): (_, &[Type], _) = match conversion {
            Conversion::Lower => ("lowerAscii", &[Type::Text], Type::Text),
            Conversion::Upper => ("upperAscii", &[Type::Text], Type::Text),
            Conversion::Whole => ("int", &[Type::Number, Type::Text], Type::Number),
            Conversion::Number => ("double", &[Type::Number, Type::Text], Type::Number),
            Conversion::Text => ("string", &written, Type::Text),
        };
        self.expect(inner, &checked, types, shown);
        let mut size = Size::default();
        if of == Type::Text {
            size.text = checked.size.text.max(if conversion == Conversion::Text { WRITTEN_BYTES } else { 0 });
        }
        self.charge(WRITE_NS + 4 * checked.size.text);
        Checked { node: Node::Convert(conversion, Box::new(checked.node)), of, size }
    }

    fn date(&mut self, literal: &IdedExpr) -> Checked {
        self.nodes += 1;
        match literal_text(literal).and_then(Day::parse) {
            Some(day) => Checked::constant(Value::Day(day), Type::Day),
            None => {
                let description = "date takes a day of the calendar as a text, such as date(\"2024-04-01\")";
                self.violate(literal, "RULE_ARGUMENTS", description.to_owned());
                Checked::new(Node::Constant(Value::Bool(false)), Type::Day)
            }
        }
    }

    fn timestamp(&mut self, literal: &IdedExpr) -> Checked {
        self.nodes += 1;
        match literal_text(literal).and_then(|text| chrono::DateTime::parse_from_rfc3339(text).ok()) {
            Some(at) => Checked::constant(Value::Instant(Micros(at.timestamp_micros())), Type::Instant),
            None => {
                let description = "timestamp takes an RFC 3339 text, such as timestamp(\"2024-04-01T00:00:00Z\")";
                self.violate(literal, "RULE_ARGUMENTS", description.to_owned());
                Checked::new(Node::Constant(Value::Bool(false)), Type::Instant)
            }
        }
    }
}

fn is_operator(name: &str) -> bool {
    matches!(
        name,
        operators::LOGICAL_AND
            | operators::LOGICAL_OR
            | operators::EQUALS
            | operators::NOT_EQUALS
            | operators::IN
            | operators::INDEX
            | operators::LESS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::GREATER_EQUALS
            | operators::ADD
            | operators::SUBSTRACT
            | operators::MULTIPLY
            | operators::DIVIDE
            | operators::MODULO
    )
}

fn nodes(sides: (Checked, Checked)) -> Sides {
    Box::new((sides.0.node, sides.1.node))
}

fn literal_text(tree: &IdedExpr) -> Option<&str> {
    if let Expr::Literal(LiteralValue::String(text)) = &tree.expr { Some(text.inner()) } else { None }
}
