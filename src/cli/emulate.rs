//! `leasehold emulate-netbox`: an emulated NetBox that listens until it is stopped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::exit::CommandResult;
use super::stop_signal::StopSignals;
use super::terminal::outln;
use crate::clock::Clock;
use crate::emulator::{Emulator, Faults};

#[derive(Debug, Args)]
pub(crate) struct EmulateArgs {
    /// Address of the listener
    #[arg(long, default_value = "127.0.0.1:8000", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// The token that it accepts
    #[arg(long, default_value = "0123456789abcdef0123456789abcdef01234567", value_name = "TOKEN")]
    token: String,
    /// Leased prefixes of length /24 to begin with, at most 1048576
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    prefixes: u32,
    /// Addresses to begin with, at most 250 for each prefix
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    addresses: u32,
    /// Delay of every answer, in milliseconds
    #[arg(long, default_value_t = 0, value_name = "MS")]
    delay_ms: u64,
    /// Percentage of writes that are committed and get no answer
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    drop_after_commit: u8,
    /// Percentage of requests that get 500 and change nothing
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    fail: u8,
    /// Percentage of requests that get 429 with Retry-After
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    throttle: u8,
    /// Percentage of answers that end in the middle
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    cut: u8,
    /// Percentage of writes whose connection is cut at once, and that are committed later
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    late: u8,
    /// How much later, in milliseconds
    #[arg(long, default_value_t = 1000, value_name = "MS")]
    late_by_ms: u64,
}

pub(crate) async fn run(args: EmulateArgs, clock: Arc<dyn Clock>) -> CommandResult {
    let mut signals = StopSignals::listen()?;
    let emulator = Emulator::new(&args.token, clock);
    emulator.seed(args.prefixes, args.addresses)?;
    emulator.set_faults(Faults {
        delay: Duration::from_millis(args.delay_ms),
        fail: args.fail,
        throttle: args.throttle,
        maintenance: 0,
        drop_after_commit: args.drop_after_commit,
        cut: args.cut,
        late: args.late,
        late_by: Duration::from_millis(args.late_by_ms),
    });
    let listening = emulator.listen(args.listen).await?;
    let url = listening.url();
    outln!("An emulated NetBox 4.7.3 listens on {url}. It keeps its records in memory only.");
    outln!("  export LEASEHOLD_NETBOX__URL={url} LEASEHOLD_NETBOX__TOKEN={}", args.token);
    outln!("  (with -readonly appended, the token may only read; run `leasehold setup` first)");
    signals.next().await;
    Ok(signals.drain(listening.stop()).await)
}
