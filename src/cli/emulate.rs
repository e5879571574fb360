//! `leasehold emulate-netbox`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::args::EmulateArgs;
use super::{Outcome, serve};
use crate::clock::SystemClock;
use crate::emulator::{Emulator, Faults};

pub(crate) async fn run(args: EmulateArgs) -> Outcome {
    let emulator = Emulator::new(&args.token, Arc::new(SystemClock::new(jiff::tz::TimeZone::UTC)));
    emulator.seed(args.prefixes, args.addresses)?;
    emulator.set_faults(Faults {
        delay: Duration::from_millis(args.delay_ms),
        fail: args.fail,
        throttle: args.throttle,
        drop_after_commit: args.drop_after_commit,
        cut: args.cut,
    });
    let listening = emulator.listen(args.listen).await?;
    say!("An emulated NetBox 4.7.3 listens on {}. Nothing of it is kept.", listening.url());
    say!("  export LEASEHOLD_NETBOX__URL={} LEASEHOLD_NETBOX__TOKEN={}", listening.url(), args.token);
    say!("  (the same token with -readonly behind it may only read; run `leasehold setup` first)");
    serve::stopped().await?;
    listening.stop().await;
    Ok(ExitCode::SUCCESS)
}
