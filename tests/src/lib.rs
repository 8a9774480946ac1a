//! What the tests of the whole product share: where the checkout and its binary are, and documents held fresh.
//!
//! Drives the product from outside, through its binary and its addresses; it never reaches into a service.

mod document;
pub mod make;
mod sandbox;
mod user;

use std::path::{Path, PathBuf};

pub use document::assert_fresh;
pub use sandbox::{Options, Sandbox, free_port};
pub use user::User;

/// The root of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the checkout").to_owned()
}

/// The `keizoku` binary that was built together with the running test.
///
/// # Panics
/// It is not there: `cargo build -p keizoku` makes it, and `make test` does so by itself.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    // target/debug/deps/TEST-HASH
    let folder = test.parent().and_then(Path::parent).expect("test programs lie in target/PROFILE/deps");
    let binary = folder.join(format!("keizoku{}", std::env::consts::EXE_SUFFIX));
    assert!(binary.is_file(), "{} is missing: run `cargo build -p keizoku`", binary.display());
    binary
}
