//! Chapters about addresses: they are looked up, allocated, refused and released.

use std::time::Instant;

use tonic::Code;
use tonic_types::StatusExt as _;

use super::narrator::{BLOCK, Narrator, allocation, ensure, hosts, refused};
use crate::cli::connect::refusal;
use crate::cli::exit::CliFailure;
use crate::cli::terminal::outln;
use crate::rpc::proto::v1;

pub(super) async fn look_up_free_address(story: &mut Narrator) -> Result<(), CliFailure> {
    story.step(
        "Who's on 203.0.113.5? Nobody yet, but the lease over it is known",
        "PrefixService/LookupAddress",
        r#"{"address":"203.0.113.5"}"#,
    );
    let found = story.look_up("203.0.113.5").await?;
    let owner = found.lease.as_ref().map(|lease| lease.owner.as_str());
    outln!("   leased from {}, {} records", owner.unwrap_or("nobody"), found.records.len());
    ensure(owner == Some("ACME-LIR") && found.records.is_empty(), "a lease and no record")
}

pub(super) async fn allocate_and_retry(story: &mut Narrator) -> Result<Vec<String>, CliFailure> {
    let json = format!(
        r#"{{"prefix":"{BLOCK}","count":3,"description":"web","dns_name":"web-01.customer.example","request_id":"order-4711"}}"#
    );
    story.step(
        "Three addresses are allocated: writing the record in NetBox is the allocation",
        "AllocationService/AllocateAddresses",
        &json,
    );
    let first = story.allocate(allocation(3, "order-4711")).await?;
    outln!("   {}", hosts(&first).join(", "));
    ensure(hosts(&first) == ["203.0.113.1", "203.0.113.2", "203.0.113.3"], "the lowest free addresses")?;
    story.step(
        "The answer was lost? The same request id again gives the same addresses",
        "AllocationService/AllocateAddresses",
        &json,
    );
    let again = story.allocate(allocation(3, "order-4711")).await?;
    outln!("   {}", hosts(&again).join(", "));
    ensure(hosts(&again) == hosts(&first) && again.repeated, "the same addresses again")?;
    Ok(hosts(&first))
}

pub(super) async fn look_up_allocated_address(
    story: &mut Narrator,
    allocated: &[String],
) -> Result<(), CliFailure> {
    let host = allocated.first().cloned().unwrap_or_default();
    story.step(
        &format!("Who's on {host}? The record answers"),
        "PrefixService/LookupAddress",
        &format!(r#"{{"address":"{host}"}}"#),
    );
    let began = Instant::now();
    let found = story.look_up(&host).await?;
    let took = began.elapsed();
    let record = found.records.first().cloned().unwrap_or_default();
    outln!("   {} {} (answered in {} µs, from memory)", record.address, record.dns_name, took.as_micros());
    ensure(record.dns_name == "web-01.customer.example", "the record just written")
}

pub(super) async fn allocate_customer_prefix(story: &mut Narrator) -> Result<(), CliFailure> {
    story.step(
        "A customer gets a /28 of it; addresses inside a child prefix are handed out to nobody else",
        "AllocationService/AllocatePrefix",
        &format!(r#"{{"prefix":"{BLOCK}","prefix_length":28,"description":"customer 42"}}"#),
    );
    let request = v1::AllocatePrefixRequest {
        source: Some(v1::allocate_prefix_request::Source::Prefix(BLOCK.to_owned())),
        prefix_length: 28,
        description: "customer 42".to_owned(),
        ..v1::AllocatePrefixRequest::default()
    };
    let answer = story.allocations.allocate_prefix(request).await.map_err(|status| refusal(&status))?;
    let child = answer.into_inner().prefix.unwrap_or_default().prefix;
    outln!("   {child}");
    ensure(child == "203.0.113.16/28", "the first /28 without a recorded address")?;
    let more = story.allocate(allocation(20, "order-4712")).await?;
    let inside = hosts(&more).iter().filter(|host| in_child(host)).count();
    outln!("   20 more addresses: {inside} of them inside it");
    ensure(more.addresses.len() == 20 && inside == 0, "no address inside the child prefix")
}

pub(super) async fn make_mistakes(story: &mut Narrator) -> Result<(), CliFailure> {
    story.step(
        "Host bits? The field is named, and what was meant",
        "AllocationService/AllocateAddresses",
        r#"{"prefix":"203.0.113.5/24"}"#,
    );
    let mut request = allocation(1, "order-4713");
    request.source = Some(v1::allocate_addresses_request::Source::Prefix("203.0.113.5/24".to_owned()));
    let status = refused(story.allocations.allocate_addresses(request).await)?;
    outln!("   {:?}: {}", status.code(), status.message());
    ensure(status.code() == Code::InvalidArgument, "INVALID_ARGUMENT")?;

    story.step(
        "Too many? All or nothing, and what is left",
        "AllocationService/AllocateAddresses",
        &format!(r#"{{"prefix":"{BLOCK}","count":1000}}"#),
    );
    let status = refused(story.allocations.allocate_addresses(allocation(1000, "order-4714")).await)?;
    outln!("   {:?}: {}", status.code(), status.message());
    let free = status.get_error_details().error_info().and_then(|info| info.metadata.get("free").cloned());
    ensure(
        status.code() == Code::ResourceExhausted && free.as_deref() == Some("215"),
        "RESOURCE_EXHAUSTED with 215 left",
    )
}

pub(super) async fn release_the_order(story: &mut Narrator, allocated: &[String]) -> Result<(), CliFailure> {
    story.step(
        "The order is cancelled: its addresses are given back",
        "AllocationService/ReleaseAddresses",
        r#"{"allocation_request_id":"order-4711"}"#,
    );
    let request = v1::ReleaseAddressesRequest {
        allocation_request_id: "order-4711".to_owned(),
        ..v1::ReleaseAddressesRequest::default()
    };
    let released = story.allocations.release_addresses(request).await.map_err(|status| refusal(&status))?;
    outln!("   {} released", released.into_inner().addresses.len());
    let host = allocated.first().cloned().unwrap_or_default();
    ensure(story.look_up(&host).await?.records.is_empty(), "no record after the release")
}

fn in_child(host: &str) -> bool {
    let child: Result<ipnet::Ipv4Net, _> = "203.0.113.16/28".parse();
    child.is_ok_and(|child| host.parse().is_ok_and(|host: std::net::Ipv4Addr| child.contains(&host)))
}
