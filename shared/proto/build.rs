//! Generates the Rust side of `/proto` without protoc, in two passes: messages and clients with the stock codec, then
//! servers with our own, on the first pass's messages. One pass cannot do it: a codec path reaches clients too.

use std::error::Error;
use std::path::{Path, PathBuf};

use prost::Message as _;
use prost_types::FileDescriptorSet;

const ROOT: &str = "../../proto";

/// Packages and the modules of this crate that hold their messages.
const PACKAGES: [(&str, &str); 6] = [
    (".keizoku.type.v1", "crate::types"),
    (".keizoku.ingestion.v1", "crate::ingestion"),
    (".keizoku.scoring.v1", "crate::scoring"),
    (".keizoku.voice.v1", "crate::voice"),
    (".keizoku.engagement.v1", "crate::engagement"),
    (".google.type", "crate::google"),
];

/// Answers that a service may hold encoded already: its handlers return `wire::Answer` of them.
const ANSWERS: [(&str, &str); 4] = [
    (".keizoku.ingestion.v1.FollowResponse", "crate::ingestion::FollowResponse"),
    (".keizoku.scoring.v1.FollowResponse", "crate::scoring::FollowResponse"),
    (".keizoku.scoring.v1.GetScoreResponse", "crate::scoring::GetScoreResponse"),
    (".keizoku.scoring.v1.BatchGetScoresResponse", "crate::scoring::BatchGetScoresResponse"),
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={ROOT}");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);

    let mut compiler = protox::Compiler::new([ROOT])?;
    compiler.include_imports(true).include_source_info(true).open_files(sources(Path::new(ROOT))?)?;
    // protox's own `FileDescriptorSet` drops custom options; its encoding keeps them.
    let encoded = compiler.encode_file_descriptor_set();
    std::fs::write(out.join("descriptors.bin"), &encoded)?;

    let descriptors = FileDescriptorSet::decode(encoded.as_slice())?;
    messages_and_clients(&descriptors)?;
    servers(out.join("server"), &descriptors)
}

fn messages_and_clients(descriptors: &FileDescriptorSet) -> Result<(), Box<dyn Error>> {
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .bytes(".")
        .extern_path(".google.rpc", "::tonic_types::pb")
        // Only options are of these types, and options are read from the descriptors: nothing to generate.
        .extern_path(".google.api", "::prost_types")
        .include_file("messages.rs")
        .compile_fds(descriptors.clone())?;
    Ok(())
}

fn servers(folder: PathBuf, descriptors: &FileDescriptorSet) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(&folder)?;
    let mut services = descriptors.clone();
    services.file.retain(|file| !file.service.is_empty());
    let mut builder = tonic_prost_build::configure()
        .build_client(false)
        .build_transport(false)
        .out_dir(folder)
        .codec_path("crate::wire::Codec")
        .include_file("servers.rs");
    for (package, module) in PACKAGES {
        builder = builder.extern_path(package, module);
    }
    for (message, path) in ANSWERS {
        builder = builder.extern_path(message, format!("crate::wire::Answer<{path}>"));
    }
    builder.compile_fds(services)?;
    Ok(())
}

/// Every `.proto` file below `folder`, in a stable order.
fn sources(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut entries = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::path);
    let mut found = Vec::new();
    for path in entries.into_iter().map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            found.push(path);
        }
    }
    Ok(found)
}
