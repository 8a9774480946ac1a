//! Declaring settings: [`settings!`](crate::settings) for structs, [`choices!`](crate::choices) for enums, and what both
//! can say about themselves.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::PREFIX;

/// One setting: where it stands, what it means, what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// `node.limits.message`.
    pub path: String,
    /// What it means, as sentences.
    pub doc: String,
    /// The value as a TOML literal; `None` where it is not set.
    pub value: Option<String>,
}

impl Key {
    /// The variable that sets it.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.path.replace('.', "__").to_uppercase())
    }
}

/// Something that can list its settings: a struct lists those of its fields, a leaf itself.
pub trait Describe {
    /// Adds the settings at `path`, with `doc` as what the field above says of them.
    fn describe(&self, path: &str, doc: &str, into: &mut Vec<Key>);
}

/// Every setting of `T` with its default.
pub fn keys<T: Describe + Default>() -> Vec<Key> {
    list(&T::default())
}

/// The values in force, one `key = value` per line: a TOML file again, but for secrets.
pub fn effective<T: Describe>(settings: &T) -> String {
    list(settings).into_iter().fold(String::new(), |mut text, key| {
        let line = match &key.value {
            Some(value) => writeln!(text, "{} = {value}", key.path),
            None => writeln!(text, "# {} is not set", key.path),
        };
        line.map(|()| text).unwrap_or_default()
    })
}

/// A Markdown table of every setting: key, variable, default, meaning.
pub fn document<T: Describe + Default>() -> String {
    let mut text = String::from("| key | variable | default | meaning |\n|---|---|---|---|\n");
    for key in keys::<T>() {
        let default = key.value.as_deref().map_or_else(|| "not set".to_owned(), |value| format!("`{value}`"));
        let row = format!("| `{}` | `{}` | {default} | {} |\n", key.path, key.variable(), key.doc);
        text.push_str(&row);
    }
    text
}

fn list<T: Describe>(settings: &T) -> Vec<Key> {
    let mut keys = Vec::new();
    settings.describe("", "", &mut keys);
    keys
}

/// A text as a TOML literal.
pub(crate) fn quoted(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => literal.extend(['\\', letter]),
            control if control.is_control() => {
                literal.push_str(&format!("\\u{:04X}", u32::from(control)));
            }
            plain => literal.push(plain),
        }
    }
    literal.push('"');
    literal
}

/// Describes a leaf.
pub(crate) fn leaf(path: &str, doc: &str, value: Option<String>, into: &mut Vec<Key>) {
    into.push(Key { path: path.to_owned(), doc: doc.to_owned(), value });
}

macro_rules! leaves {
    ($($type:ty => $show:expr;)+) => {$(
        impl Describe for $type {
            fn describe(&self, path: &str, doc: &str, into: &mut Vec<Key>) {
                let show: fn(&$type) -> String = $show;
                leaf(path, doc, Some(show(self)), into);
            }
        }
    )+};
}

leaves! {
    bool => ToString::to_string;
    u8 => ToString::to_string;
    u16 => ToString::to_string;
    u32 => ToString::to_string;
    u64 => ToString::to_string;
    usize => ToString::to_string;
    i32 => ToString::to_string;
    i64 => ToString::to_string;
    f64 => |value| format!("{value:?}");
    String => |text| quoted(text);
    PathBuf => |path| quoted(&path.to_string_lossy());
    SocketAddr => |address| quoted(&address.to_string());
    IpAddr => |address| quoted(&address.to_string());
}

impl<T: Describe> Describe for Option<T> {
    fn describe(&self, path: &str, doc: &str, into: &mut Vec<Key>) {
        match self {
            Some(value) => value.describe(path, doc, into),
            None => leaf(path, doc, None, into),
        }
    }
}

/// A list is one setting; its elements must be leaves.
impl<T: Describe> Describe for Vec<T> {
    fn describe(&self, path: &str, doc: &str, into: &mut Vec<Key>) {
        let shown: Vec<String> = self.iter().map(inline).collect();
        leaf(path, doc, Some(format!("[{}]", shown.join(", "))), into);
    }
}

/// A map with free keys is one setting; its values must be leaves.
impl<T: Describe> Describe for BTreeMap<String, T> {
    fn describe(&self, path: &str, doc: &str, into: &mut Vec<Key>) {
        let shown: Vec<String> =
            self.iter().map(|(key, value)| format!("{} = {}", quoted(key), inline(value))).collect();
        let literal = if shown.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", shown.join(", ")) };
        leaf(path, doc, Some(literal), into);
    }
}

/// A value inside a list or a map: a literal, or an inline table where it is a struct.
fn inline<T: Describe>(value: &T) -> String {
    let keys = list(value);
    let mut fields = keys.iter().filter_map(|key| key.value.as_ref().map(|value| (&key.path, value)));
    match fields.next() {
        Some((path, value)) if path.is_empty() => value.clone(),
        first => {
            let shown: Vec<String> =
                first.into_iter().chain(fields).map(|(path, value)| format!("{path} = {value}")).collect();
            format!("{{ {} }}", shown.join(", "))
        }
    }
}

/// Declares a struct of settings. Every field has a doc sentence; a leaf has a default, a nested struct brings its own.
///
/// ```
/// use keizoku_runtime::config::TimeSpan;
///
/// keizoku_runtime::settings! {
///     /// How the score cache behaves.
///     pub struct CacheSettings {
///         /// How long an entry is served without asking again.
///         fresh: TimeSpan = TimeSpan::seconds(1),
///         /// How many entries are held.
///         entries: u64 = 100_000,
///     }
/// }
///
/// assert_eq!(CacheSettings::default().entries, 100_000);
/// ```
#[macro_export]
macro_rules! settings {
    (
        $(#[doc = $about:literal])+
        $visibility:vis struct $name:ident {
            $($(#[doc = $doc:literal])+ $field:ident: $type:ty $(= $default:expr)?,)+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, ::serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        $visibility struct $name {
            $($(#[doc = $doc])+ pub $field: $type,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $crate::settings!(@default $($default)?),)+ }
            }
        }

        impl $crate::config::Describe for $name {
            fn describe(&self, path: &str, _doc: &str, into: &mut Vec<$crate::config::Key>) {
                let dot = if path.is_empty() { "" } else { "." };
                $(
                    let below = format!("{path}{dot}{}", stringify!($field));
                    let doc = concat!($($doc),+).trim();
                    $crate::config::Describe::describe(&self.$field, &below, doc, into);
                )+
            }
        }
    };
    (@default $default:expr) => { $default };
    (@default) => { Default::default() };
}

/// Declares an enum whose values are written as texts in settings; the documentation of a field names them all.
#[macro_export]
macro_rules! choices {
    (
        $(#[doc = $about:literal])+
        $visibility:vis enum $name:ident {
            $($(#[doc = $doc:literal])+ $variant:ident = $text:literal,)+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, ::serde::Deserialize)]
        $visibility enum $name {
            $($(#[doc = $doc])+ #[serde(rename = $text)] $variant,)+
        }

        impl $crate::config::Describe for $name {
            fn describe(&self, path: &str, doc: &str, into: &mut Vec<$crate::config::Key>) {
                let value = match self { $(Self::$variant => $text,)+ };
                let texts: &[&str] = &[$($text),+];
                into.push($crate::config::Key {
                    path: path.to_owned(),
                    doc: format!("{doc} One of: {}.", texts.join(", ")),
                    value: Some(format!("\"{value}\"")),
                });
            }
        }
    };
}
