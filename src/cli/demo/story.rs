//! The order of the demo's chapters.

use super::narrator::Narrator;
use super::{addresses, checks, leases, outage};
use crate::cli::exit::CliFailure;
use crate::emulator::{Emulator, Listening};
use crate::rpc::proto::v1;

/// Runs all chapters, and fails at the first step that does not give the expected result. NetBox is stopped and started
/// again on the way; the listener of the new start is returned.
pub(super) async fn run(
    mut narrator: Narrator,
    emulator: &Emulator,
    netbox: Listening,
) -> Result<Listening, CliFailure> {
    let story = &mut narrator;
    story
        .wait_until("the cache is filled", |status| {
            status.sync.as_ref().is_some_and(|sync| sync.phase() == v1::SyncPhase::Live)
        })
        .await?;
    leases::register_leases(story).await?;
    checks::check_before_announcing(story).await?;
    addresses::look_up_free_address(story).await?;
    let allocated = addresses::allocate_and_retry(story).await?;
    addresses::look_up_allocated_address(story, &allocated).await?;
    addresses::allocate_customer_prefix(story).await?;
    addresses::make_mistakes(story).await?;
    let netbox = outage::switch_netbox_off_and_on(story, emulator, netbox).await?;
    leases::renew_lease(story).await?;
    addresses::release_the_order(story, &allocated).await?;
    leases::end_leases(story).await?;
    Ok(netbox)
}
