//! The entry point of the `leasehold` binary; see `cli` for its commands.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(leasehold::cli::run());
    // What still blocks a thread, such as the look-up of a name, must not hold up the end of the process.
    runtime.shutdown_background();
    code
}
