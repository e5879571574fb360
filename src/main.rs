//! The entry point of the `leasehold` binary; see `cli` for its commands.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    leasehold::cli::run().await
}
