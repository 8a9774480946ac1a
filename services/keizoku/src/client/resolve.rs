//! Which server is asked, and with which key: flags, then variables, then the context.

use std::path::PathBuf;

use super::ConnectionArgs;
use super::contexts::{self, Context};
use crate::failure::Failure;
use crate::shell::Shell;

/// The server that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Its address.
    pub(crate) endpoint: String,
    /// The key it is shown.
    pub(crate) key: Option<String>,
    /// PEM file of the authority that vouches for it.
    pub(crate) ca_file: Option<PathBuf>,
}

/// The server that flags and surroundings name.
///
/// A key of a context is shown to that context's server and to no other.
///
/// # Errors
/// Nothing names a server, or a context that was named does not exist.
pub(crate) fn target(args: &ConnectionArgs, shell: &Shell) -> Result<Target, Failure> {
    let context = context(args, shell)?;
    let named = args.context.as_ref().and(context.as_ref());
    let endpoint = args
        .endpoint
        .clone()
        .or_else(|| named.map(|context| context.endpoint.clone()))
        .or_else(|| shell.variable("KEIZOKU_ENDPOINT").map(str::to_owned))
        .or_else(|| context.as_ref().map(|context| context.endpoint.clone()))
        .ok_or(Failure::NoServer)?;
    let same = |context: &&Context| context.endpoint.trim_end_matches('/') == endpoint.trim_end_matches('/');
    let own_key = |context: Option<&Context>| {
        context.filter(same).map(|context| context.key.clone()).filter(|key| !key.is_empty())
    };
    let key = args
        .key
        .clone()
        .or_else(|| own_key(named))
        .or_else(|| shell.variable("KEIZOKU_API_KEY").map(str::to_owned))
        .or_else(|| own_key(context.as_ref()));
    let ca_file = args
        .ca_file
        .clone()
        .or_else(|| shell.variable("KEIZOKU_CA_FILE").map(PathBuf::from))
        .or_else(|| context.as_ref().filter(same).and_then(|context| context.ca_file.clone()));
    Ok(Target { endpoint, key, ca_file })
}

/// The context that is named, or the current one; none where nothing is asked of it.
fn context(args: &ConnectionArgs, shell: &Shell) -> Result<Option<Context>, Failure> {
    if let Some(name) = &args.context {
        return contexts::read(shell)?.get(name).cloned().map(Some);
    }
    let said = |flag: &Option<String>, variable| flag.is_some() || shell.variable(variable).is_some();
    if said(&args.endpoint, "KEIZOKU_ENDPOINT") && said(&args.key, "KEIZOKU_API_KEY") {
        // All is said: a broken file of contexts is no hindrance then.
        return Ok(None);
    }
    let contexts = contexts::read(shell)?;
    if contexts.current.is_empty() { Ok(None) } else { contexts.get(&contexts.current).cloned().map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::Folder;

    fn folder() -> Folder {
        let folder = Folder::new();
        let context =
            |endpoint: &str, key: &str| Context { endpoint: endpoint.to_owned(), key: key.to_owned(), ca_file: None };
        contexts::write(&folder.shell(&[]), "prod", context("https://prod", "kz_prod")).expect("written");
        contexts::write(&folder.shell(&[]), "dev", context("http://dev", "kz_dev")).expect("written");
        folder
    }

    fn found(args: &ConnectionArgs, variables: &[(&str, &str)]) -> (String, Option<String>) {
        let target = target(args, &folder().shell(variables)).expect("a server is known");
        (target.endpoint, target.key)
    }

    fn pair(endpoint: &str, key: Option<&str>) -> (String, Option<String>) {
        (endpoint.to_owned(), key.map(str::to_owned))
    }

    fn args(endpoint: Option<&str>, key: Option<&str>, context: Option<&str>) -> ConnectionArgs {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        ConnectionArgs {
            endpoint: owned(endpoint),
            key: owned(key),
            context: owned(context),
            ..ConnectionArgs::default()
        }
    }

    #[test]
    fn flags_come_before_variables_and_variables_before_the_context() {
        let variables = [("KEIZOKU_ENDPOINT", "http://variable"), ("KEIZOKU_API_KEY", "kz_variable")];
        assert_eq!(found(&args(None, None, None), &[]), pair("http://dev", Some("kz_dev")));
        assert_eq!(found(&args(None, None, None), &variables), pair("http://variable", Some("kz_variable")));
        let flags = args(Some("http://flag"), Some("kz_flag"), None);
        assert_eq!(found(&flags, &variables), pair("http://flag", Some("kz_flag")));
        assert_eq!(found(&args(None, None, Some("prod")), &variables), pair("https://prod", Some("kz_prod")));
    }

    #[test]
    fn a_key_of_a_context_is_never_shown_to_another_server() {
        assert_eq!(found(&args(Some("http://elsewhere"), None, None), &[]), pair("http://elsewhere", None));
        assert_eq!(found(&args(Some("http://elsewhere"), None, Some("prod")), &[]), pair("http://elsewhere", None));
        assert_eq!(found(&args(None, None, None), &[("KEIZOKU_ENDPOINT", "http://v")]), pair("http://v", None));
        assert_eq!(found(&args(Some("http://dev/"), None, None), &[]), pair("http://dev/", Some("kz_dev")));
    }

    #[test]
    fn without_any_server_the_command_says_how_to_name_one() {
        let failure = target(&ConnectionArgs::default(), &Folder::new().shell(&[])).expect_err("none is known");
        assert_eq!(failure.exit_code(), 5);
    }

    #[test]
    fn a_context_that_is_not_there_is_an_error() {
        let failure = target(&args(None, None, Some("x")), &folder().shell(&[])).expect_err("there is none");
        assert!(matches!(failure, Failure::NoContext { .. }));
    }
}
