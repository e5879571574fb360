//! Compiles proto/ into the types of `rpc::proto`. protox reads the files, so that no protoc is needed.

use std::path::{Path, PathBuf};

use prost::Message as _;

// Cargo passes OUT_DIR to a build script in its environment.
#[allow(clippy::disallowed_methods)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new("proto");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(root.join("leasehold/v1"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    files.sort();
    println!("cargo:rerun-if-changed=proto");

    let descriptors = protox::compile(&files, [root])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("leasehold_descriptor.bin"), descriptors.encode_to_vec())?;

    tonic_prost_build::configure().build_server(false).compile_fds(descriptors.clone())?;
    // The servers use the same message types, except for the answers of lookups: their types hold encoded records
    // (src/rpc/answer.rs).
    let servers = out.join("servers");
    std::fs::create_dir_all(&servers)?;
    tonic_prost_build::configure()
        .build_client(false)
        .out_dir(servers)
        .extern_path(".leasehold.v1", "crate::rpc::proto::v1")
        .extern_path(".leasehold.v1.LookupAddressResponse", "crate::rpc::answer::LookupAnswer")
        .extern_path(".leasehold.v1.BatchLookupAddressesResponse", "crate::rpc::answer::BatchLookupAnswer")
        .extern_path(".leasehold.v1.StreamLookupAddressesResponse", "crate::rpc::answer::StreamLookupAnswer")
        .compile_fds(descriptors)?;
    Ok(())
}
