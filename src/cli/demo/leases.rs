//! Chapters about leases: they are registered, listed, renewed and ended.

use jiff::ToSpan as _;
use jiff::civil::Date;
use tonic::Code;

use super::narrator::{BLOCK, Narrator, ensure, refused};
use crate::cli::connect::refusal;
use crate::cli::exit::CliFailure;
use crate::cli::terminal::outln;
use crate::cli::values;
use crate::rpc::proto::v1;

pub(super) async fn register_leases(story: &mut Narrator) -> Result<(), CliFailure> {
    let (start, expiry) = (story.today - 30.days(), story.today + 335.days());
    let json = format!(
        r#"{{"prefix":"{BLOCK}","owner":"ACME-LIR","expiry_date":{{"year":{},"month":{},"day":{}}},"loa_reference":"LOA-2026-0481","origin_asn":64500}}"#,
        expiry.year(),
        expiry.month(),
        expiry.day()
    );
    story.step(
        "A leased /24 is registered in a single call: prefix and lease",
        "LeaseService/RegisterLease",
        &json,
    );
    let registered = register(story, BLOCK, "ACME-LIR", Some(start), expiry).await?;
    outln!("   {} from {}, {}", registered.prefix, registered.owner, values::days_left(&registered));
    ensure(registered.owner == "ACME-LIR" && registered.days_left == Some(335), "the lease as registered")?;
    for (prefix, owner, days) in [("198.51.100.0/24", "EXAMPLE-LIR", 41), ("192.0.2.0/24", "SAMPLE-LIR", 12)]
    {
        register(story, prefix, owner, None, story.today + jiff::Span::new().days(days)).await?;
    }
    story.step("The leases, the next to expire first", "LeaseService/ListLeases", "{}");
    let listed = story.leases.list_leases(v1::ListLeasesRequest::default()).await;
    let listed = listed.map_err(|status| refusal(&status))?.into_inner();
    for lease in &listed.leases {
        outln!("   {:18} {:12} {}", lease.prefix, lease.owner, values::days_left(lease));
    }
    let order: Vec<&str> = listed.leases.iter().map(|lease| lease.prefix.as_str()).collect();
    ensure(order == ["192.0.2.0/24", "198.51.100.0/24", BLOCK], "three leases in order of expiry")
}

async fn register(
    story: &mut Narrator,
    prefix: &str,
    owner: &str,
    start: Option<Date>,
    expiry: Date,
) -> Result<v1::Lease, CliFailure> {
    let request = v1::RegisterLeaseRequest {
        prefix: prefix.to_owned(),
        owner: owner.to_owned(),
        start_date: start.map(values::to_proto_date),
        expiry_date: Some(values::to_proto_date(expiry)),
        loa_reference: "LOA-2026-0481".to_owned(),
        origin_asn: 64500,
        description: "Leased /24 - web tier".to_owned(),
        ..v1::RegisterLeaseRequest::default()
    };
    let answer = story.leases.register_lease(request).await.map_err(|status| refusal(&status))?;
    answer.into_inner().lease.ok_or_else(|| CliFailure::new("an answer without a lease"))
}

pub(super) async fn renew_lease(story: &mut Narrator) -> Result<(), CliFailure> {
    let expiry = story.today + 377.days();
    story.step(
        "The lease that runs out first is renewed",
        "LeaseService/RenewLease",
        &format!(
            r#"{{"prefix":"192.0.2.0/24","expiry_date":{{"year":{},"month":{},"day":{}}}}}"#,
            expiry.year(),
            expiry.month(),
            expiry.day()
        ),
    );
    let request = |expiry| v1::RenewLeaseRequest {
        key: Some(v1::renew_lease_request::Key::Prefix("192.0.2.0/24".to_owned())),
        expiry_date: Some(values::to_proto_date(expiry)),
        ..v1::RenewLeaseRequest::default()
    };
    let renewed = story.leases.renew_lease(request(expiry)).await.map_err(|status| refusal(&status))?;
    let lease = renewed.into_inner().lease.unwrap_or_default();
    outln!(
        "   {} until {}, {}",
        lease.prefix,
        values::date(lease.expiry_date.as_ref()),
        values::days_left(&lease)
    );
    ensure(lease.days_left == Some(377), "the new expiry")?;
    let status = refused(story.leases.renew_lease(request(story.today)).await)?;
    outln!("   to an earlier day: {:?}: {}", status.code(), status.message());
    ensure(status.code() == Code::FailedPrecondition, "a refusal to go back")
}

pub(super) async fn end_leases(story: &mut Narrator) -> Result<(), CliFailure> {
    story.step(
        "A lease does not end under addresses that are in use",
        "LeaseService/EndLease",
        &format!(r#"{{"prefix":"{BLOCK}"}}"#),
    );
    let request = |prefix: &str| v1::EndLeaseRequest {
        key: Some(v1::end_lease_request::Key::Prefix(prefix.to_owned())),
        ..v1::EndLeaseRequest::default()
    };
    let status = refused(story.leases.end_lease(request(BLOCK)).await)?;
    outln!("   {:?}: {}", status.code(), status.message());
    ensure(status.code() == Code::FailedPrecondition, "a refusal")?;
    story.leases.end_lease(request("198.51.100.0/24")).await.map_err(|status| refusal(&status))?;
    outln!("   198.51.100.0/24, which nobody uses, is ended");
    let request = v1::GetLeaseRequest {
        key: Some(v1::get_lease_request::Key::Prefix("198.51.100.0/24".to_owned())),
        vrf: None,
    };
    let status = refused(story.leases.get_lease(request).await)?;
    ensure(status.code() == Code::NotFound, "no lease any more")
}
