//! The wire: messages, clients and servers generated from `/proto`, their descriptors, and the one codec of servers.
//!
//! Messages and clients of a package are in [`types`], [`ingestion`], [`scoring`], [`voice`], [`engagement`]; the traits
//! a service implements are in [`server`]. No rule, no default and no conversion lives here.

use std::sync::LazyLock;

use prost_reflect::DescriptorPool;

pub mod wire;

#[expect(
    unreachable_pub,
    unused_qualifications,
    clippy::allow_attributes_without_reason,
    clippy::large_enum_variant,
    reason = "written by the generator"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/messages.rs"));
}

pub use generated::google::r#type as google;
pub use generated::keizoku::engagement::v1 as engagement;
pub use generated::keizoku::ingestion::v1 as ingestion;
pub use generated::keizoku::scoring::v1 as scoring;
pub use generated::keizoku::r#type::v1 as types;
pub use generated::keizoku::voice::v1 as voice;

/// The traits that services implement and the routers around them, on [`wire::Codec`].
pub mod server {
    #[expect(
        unreachable_pub,
        unused_qualifications,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        clippy::too_many_lines,
        reason = "written by the generator"
    )]
    mod generated {
        include!(concat!(env!("OUT_DIR"), "/server/servers.rs"));
    }

    pub use generated::keizoku::engagement::v1 as engagement;
    pub use generated::keizoku::ingestion::v1 as ingestion;
    pub use generated::keizoku::scoring::v1 as scoring;
    pub use generated::keizoku::voice::v1 as voice;
}

/// All of `/proto` and what it imports, as an encoded `google.protobuf.FileDescriptorSet`: options and comments are kept.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// [`FILE_DESCRIPTOR_SET`], linked: the way to ask for options by name.
pub fn pool() -> &'static DescriptorPool {
    static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
        DescriptorPool::decode(FILE_DESCRIPTOR_SET)
            .unwrap_or_else(|fault| panic!("the build wrote descriptors that do not link: {fault}"))
    });
    &POOL
}
