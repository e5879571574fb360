//! The chapter about an outage of NetBox.

use tonic::Code;
use tonic_types::StatusExt as _;

use super::narrator::{Narrator, allocation, ensure, hosts, refused};
use crate::cli::exit::CliFailure;
use crate::cli::terminal::outln;
use crate::emulator::{Emulator, Listening};

pub(super) async fn switch_netbox_off_and_on(
    story: &mut Narrator,
    emulator: &Emulator,
    netbox: Listening,
) -> Result<Listening, CliFailure> {
    story.step(
        "NetBox is switched off: reads go on and say how old they are, writes say when to try again",
        "",
        "",
    );
    let address = netbox.address;
    netbox.stop().await;
    story
        .wait_until("the loss is noticed", |status| {
            status.netbox.as_ref().is_some_and(|netbox| !netbox.reachable)
        })
        .await?;
    let found = story.look_up("203.0.113.1").await?;
    let cache = found.cache.unwrap_or_default();
    outln!(
        "   lookup: {} records, live: {}, {} s old",
        found.records.len(),
        cache.live,
        cache.age.unwrap_or_default().seconds
    );
    ensure(found.records.len() == 1 && !cache.live, "an answer from the cache that says so")?;
    let status = refused(story.allocations.allocate_addresses(allocation(1, "order-4715")).await)?;
    let wait = status.get_error_details().retry_info().and_then(|retry| retry.retry_delay);
    outln!("   allocate: {:?}, try again in {} s", status.code(), wait.unwrap_or_default().as_secs());
    ensure(status.code() == Code::Unavailable && wait.is_some(), "UNAVAILABLE with RetryInfo")?;
    let netbox = emulator.listen(address).await?;
    story
        .wait_until("NetBox is found again", |status| {
            status.netbox.as_ref().is_some_and(|netbox| netbox.reachable)
        })
        .await?;
    let after = story.allocate(allocation(1, "order-4715")).await?;
    outln!("   switched on again: the same request gets {}", hosts(&after).join(", "));
    ensure(after.addresses.len() == 1, "the same request to be answered")?;
    Ok(netbox)
}
