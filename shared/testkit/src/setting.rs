//! The one place that reads the environment.

/// The variable's value, nothing when it is unset or empty.
#[expect(clippy::disallowed_methods, reason = "tests get the addresses of their servers from scripts/test")]
pub(crate) fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The variable's value; a panic that says what to do when it is missing.
pub(crate) fn required(name: &str) -> String {
    setting(name).unwrap_or_else(|| {
        panic!("{name} is not set: run `make test`, or `scripts/test-services start DIR` and export what DIR/env holds")
    })
}
