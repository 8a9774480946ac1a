//! The client's contexts: named pairs of address and key, in a file that only its owner can read.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::failure::{Failure, Problem};
use crate::shell::Shell;

/// The contexts of a user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contexts {
    /// The one that is taken where none is named; empty: none.
    #[serde(default)]
    pub(crate) current: String,
    /// All of them, by name.
    #[serde(default)]
    pub(crate) contexts: BTreeMap<String, Context>,
}

/// A server and a key for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    /// The address, `http://127.0.0.1:7070`.
    pub(crate) endpoint: String,
    /// The API key; empty: none.
    #[serde(default)]
    pub(crate) key: String,
    /// PEM file of the authority that vouches for the server.
    #[serde(default)]
    pub(crate) ca_file: Option<PathBuf>,
}

/// The file: `keizoku/contexts.toml` below XDG_CONFIG_HOME, or below `.config` of the home folder.
///
/// # Errors
/// Neither of the two is known.
pub(crate) fn path(shell: &Shell) -> Result<PathBuf, Failure> {
    let folder = match (shell.variable("XDG_CONFIG_HOME"), shell.variable("HOME")) {
        (Some(folder), _) => PathBuf::from(folder),
        (None, Some(home)) => Path::new(home).join(".config"),
        (None, None) => {
            return Err(Failure::Usage {
                problem: "neither XDG_CONFIG_HOME nor HOME is set, so there is no place for contexts".to_owned(),
                next: "set one of them, or give --endpoint and KEIZOKU_API_KEY".to_owned(),
            });
        }
    };
    Ok(folder.join("keizoku").join("contexts.toml"))
}

/// The contexts; none where there is no file yet.
///
/// # Errors
/// The file cannot be read or has no meaning.
pub(crate) fn read(shell: &Shell) -> Result<Contexts, Failure> {
    let path = path(shell)?;
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(fault) if fault.kind() == ErrorKind::NotFound => return Ok(Contexts::default()),
        Err(source) => return Err(Failure::File { path, source }),
    };
    toml::from_str(&text).map_err(|fault| Failure::Invalid {
        what: "the file of contexts cannot be understood".to_owned(),
        problems: vec![Problem { place: path.display().to_string(), text: fault.message().to_owned() }],
    })
}

/// Keeps a context under `name`, in place of one of that name, and makes it the current one.
///
/// # Errors
/// The name has no meaning, or the file cannot be read or written.
pub(crate) fn write(shell: &Shell, name: &str, context: Context) -> Result<PathBuf, Failure> {
    check_name(name)?;
    let mut contexts = read(shell)?;
    name.clone_into(&mut contexts.current);
    contexts.contexts.insert(name.to_owned(), context);
    save(shell, &contexts)
}

/// Makes the context of that name the current one.
///
/// # Errors
/// There is none of that name, or the file cannot be read or written.
pub(crate) fn choose(shell: &Shell, name: &str) -> Result<PathBuf, Failure> {
    let mut contexts = read(shell)?;
    contexts.get(name)?;
    name.clone_into(&mut contexts.current);
    save(shell, &contexts)
}

impl Contexts {
    /// The context of that name.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn get(&self, name: &str) -> Result<&Context, Failure> {
        let known = || self.contexts.keys().cloned().collect();
        self.contexts.get(name).ok_or_else(|| Failure::NoContext { name: name.to_owned(), known: known() })
    }

    fn to_toml(&self) -> String {
        let mut text = format!("current = {}\n", quoted(&self.current));
        for (name, context) in &self.contexts {
            text.push_str(&format!("\n[contexts.{name}]\nendpoint = {}\n", quoted(&context.endpoint)));
            if !context.key.is_empty() {
                text.push_str(&format!("key = {}\n", quoted(&context.key)));
            }
            if let Some(path) = &context.ca_file {
                text.push_str(&format!("ca_file = {}\n", quoted(&path.display().to_string())));
            }
        }
        text
    }
}

fn check_name(name: &str) -> Result<(), Failure> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !name.is_empty() && name.len() <= 63 && name.bytes().all(plain) {
        return Ok(());
    }
    Err(Failure::Usage {
        problem: format!("{name:?} cannot name a context"),
        next: "use 1 to 63 letters, digits, - and _".to_owned(),
    })
}

/// A string of TOML: JSON's escapes are a part of its own.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn save(shell: &Shell, contexts: &Contexts) -> Result<PathBuf, Failure> {
    let path = path(shell)?;
    match write_private(&path, &contexts.to_toml()) {
        Ok(()) => Ok(path),
        Err(source) => Err(Failure::File { path, source }),
    }
}

/// Writes a file that only its owner can read, whole or not at all.
pub(crate) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let fresh = path.with_extension(format!("{}.new", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&fresh).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.and_then(|()| std::fs::rename(&fresh, path)).inspect_err(|_| {
        // The reason to report is why it could not be written, not that its remains stay.
        let _left_over = std::fs::remove_file(&fresh);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::Folder;

    #[test]
    fn a_context_is_kept_and_becomes_the_current_one() {
        let folder = Folder::new();
        let shell = folder.shell(&[]);
        assert_eq!(read(&shell).expect("no file is no error"), Contexts::default());
        let dev = Context { endpoint: "http://127.0.0.1:7070".to_owned(), key: "kz_a\"b\\".to_owned(), ca_file: None };
        let prod =
            Context { endpoint: "https://k.example".to_owned(), key: String::new(), ca_file: Some("/ca.pem".into()) };
        write(&shell, "dev", dev.clone()).expect("written");
        write(&shell, "prod", prod.clone()).expect("written");
        let found = read(&shell).expect("read");
        assert_eq!((found.current.as_str(), found.contexts.len()), ("prod", 2));
        assert_eq!((&found.contexts["dev"], &found.contexts["prod"]), (&dev, &prod));
        choose(&shell, "dev").expect("chosen");
        assert_eq!(read(&shell).expect("read").current, "dev");
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_can_read_the_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = Folder::new();
        let shell = folder.shell(&[]);
        let path = write(&shell, "dev", Context::default()).expect("written");
        assert_eq!(std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn names_that_cannot_stand_in_the_file_are_refused() {
        let folder = Folder::new();
        for name in ["", "a b", "a.b", "é", "x]"] {
            assert!(write(&folder.shell(&[]), name, Context::default()).is_err(), "{name}");
        }
    }

    #[test]
    fn an_unknown_name_lists_those_there_are() {
        let folder = Folder::new();
        let shell = folder.shell(&[]);
        write(&shell, "dev", Context::default()).expect("written");
        let failure = choose(&shell, "prod").expect_err("there is none");
        assert!(matches!(failure, Failure::NoContext { known, .. } if known == ["dev"]));
    }
}
