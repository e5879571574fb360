//! The article's story, step by step, with real calls.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jiff::ToSpan as _;
use jiff::civil::Date;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::cli::connect::{self, Connection};
use crate::cli::{Failure, output};
use crate::emulator::{Emulator, Listening};
use crate::rpc::proto::v1;
use crate::rpc::proto::v1::admin_service_client::AdminServiceClient;
use crate::rpc::proto::v1::allocation_service_client::AllocationServiceClient;
use crate::rpc::proto::v1::lease_service_client::LeaseServiceClient;
use crate::rpc::proto::v1::prefix_service_client::PrefixServiceClient;
use crate::rpc::proto::v1::validation_service_client::ValidationServiceClient;

/// Tells it, and fails where a step does not give what it should.
pub(super) struct Story {
    prefixes: PrefixServiceClient<Connection>,
    leases: LeaseServiceClient<Connection>,
    allocations: AllocationServiceClient<Connection>,
    admin: AdminServiceClient<Connection>,
    validations: ValidationServiceClient<Connection>,
    at: SocketAddr,
    number: u32,
    today: Date,
}

/// The article's block.
pub(super) const BLOCK: &str = "203.0.113.0/24";

impl Story {
    /// A story told over this connection, of a server at this address.
    pub(super) fn new(connection: &Connection, at: SocketAddr) -> Self {
        Self {
            prefixes: PrefixServiceClient::new(connection.clone()),
            leases: LeaseServiceClient::new(connection.clone()),
            allocations: AllocationServiceClient::new(connection.clone()),
            admin: AdminServiceClient::new(connection.clone()),
            validations: ValidationServiceClient::new(connection.clone()),
            at,
            number: 0,
            today: jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date(),
        }
    }

    /// Tells all of it. NetBox is switched off and on again on the way.
    pub(super) async fn tell(
        &mut self,
        emulator: &Emulator,
        netbox: Listening,
    ) -> Result<Listening, Failure> {
        self.wait_until("the cache is filled", |status| {
            status.sync.as_ref().is_some_and(|sync| sync.phase() == v1::SyncPhase::Live)
        })
        .await?;
        self.register_the_blocks().await?;
        self.verify_before_announcing().await?;
        self.nobody_is_on_it_yet().await?;
        let handed_out = self.allocate_and_retry().await?;
        self.who_is_on_it(&handed_out).await?;
        self.a_customer_gets_a_block().await?;
        self.mistakes_are_told().await?;
        let netbox = self.netbox_goes_away_and_comes_back(emulator, netbox).await?;
        self.renew().await?;
        self.give_back_and_end(&handed_out).await?;
        Ok(netbox)
    }

    fn step(&mut self, title: &str, method: &str, json: &str) {
        self.number += 1;
        say!("\n{}. {title}", self.number);
        if !method.is_empty() {
            say!("   $ grpcurl -plaintext -d '{json}' {} leasehold.v1.{method}", self.at);
        }
    }

    async fn register_the_blocks(&mut self) -> Result<(), Failure> {
        let (start, expiry) = (self.today - 30.days(), self.today + 335.days());
        let json = format!(
            r#"{{"prefix":"{BLOCK}","owner":"ACME-LIR","expiry":{{"year":{},"month":{},"day":{}}},"loa_reference":"LOA-2026-0481","origin_asn":64500}}"#,
            expiry.year(),
            expiry.month(),
            expiry.day()
        );
        self.step(
            "A leased /24 is registered in a single call: prefix and lease",
            "LeaseService/RegisterLease",
            &json,
        );
        let registered = self.register(BLOCK, "ACME-LIR", Some(start), expiry).await?;
        say!("   {} from {}, {}", registered.prefix, registered.owner, output::days_left(&registered));
        ensure(
            registered.owner == "ACME-LIR" && registered.days_left == Some(335),
            "the lease as registered",
        )?;
        for (prefix, owner, days) in
            [("198.51.100.0/24", "EXAMPLE-LIR", 41), ("192.0.2.0/24", "SAMPLE-LIR", 12)]
        {
            self.register(prefix, owner, None, self.today + jiff::Span::new().days(days)).await?;
        }
        self.step("The leases, the next to expire first", "LeaseService/ListLeases", "{}");
        let listed = self.leases.list_leases(v1::ListLeasesRequest::default()).await;
        let listed = listed.map_err(|status| connect::refusal(&status))?.into_inner();
        for lease in &listed.leases {
            say!("   {:18} {:12} {}", lease.prefix, lease.owner, output::days_left(lease));
        }
        let order: Vec<&str> = listed.leases.iter().map(|lease| lease.prefix.as_str()).collect();
        ensure(order == ["192.0.2.0/24", "198.51.100.0/24", BLOCK], "three leases in order of expiry")
    }

    async fn register(
        &mut self,
        prefix: &str,
        owner: &str,
        start: Option<Date>,
        expiry: Date,
    ) -> Result<v1::Lease, Failure> {
        let request = v1::RegisterLeaseRequest {
            prefix: prefix.to_owned(),
            owner: owner.to_owned(),
            start: start.map(output::to_date),
            expiry: Some(output::to_date(expiry)),
            loa_reference: "LOA-2026-0481".to_owned(),
            origin_asn: 64500,
            description: "Leased /24 - web tier".to_owned(),
            ..v1::RegisterLeaseRequest::default()
        };
        let answer = self.leases.register_lease(request).await.map_err(|status| connect::refusal(&status))?;
        answer.into_inner().lease.ok_or_else(|| Failure::new("an answer without a lease"))
    }

    async fn verify_before_announcing(&mut self) -> Result<(), Failure> {
        self.step(
            "Before it is announced: does the RPKI authorise it, is the lease in force, is there an LOA?",
            "ValidationService/Preflight",
            &format!(r#"{{"prefix":"{BLOCK}"}}"#),
        );
        let ready = self.preflight(BLOCK).await?;
        for finding in ready.findings.iter().filter(|finding| finding.severity() == v1::FindingSeverity::Pass)
        {
            say!("   ok: {}", finding.message);
        }
        ensure(ready.state() == v1::PreflightState::Ready, "READY")?;

        self.step(
            "Another block has no ROA, and only its holder can make one",
            "ValidationService/Preflight",
            r#"{"prefix":"198.51.100.0/24"}"#,
        );
        let blocked = self.preflight("198.51.100.0/24").await?;
        let missing = blocked.findings.iter().find(|finding| finding.reason == "ROA_MISSING");
        let missing =
            missing.ok_or_else(|| Failure::new("this step should have found that a ROA is missing"))?;
        say!("   BLOCKED: {}\n   {}", missing.message, missing.ask);
        ensure(blocked.state() == v1::PreflightState::Blocked, "BLOCKED")
    }

    async fn preflight(&mut self, prefix: &str) -> Result<v1::PreflightResponse, Failure> {
        let request = v1::PreflightRequest { prefix: prefix.to_owned(), ..v1::PreflightRequest::default() };
        let answer = self.validations.preflight(request).await.map_err(|status| connect::refusal(&status))?;
        Ok(answer.into_inner())
    }

    async fn nobody_is_on_it_yet(&mut self) -> Result<(), Failure> {
        self.step(
            "Who's on 203.0.113.5? Nobody yet, but the lease over it is known",
            "PrefixService/LookupAddress",
            r#"{"address":"203.0.113.5"}"#,
        );
        let found = self.look_up("203.0.113.5").await?;
        let owner = found.lease.as_ref().map(|lease| lease.owner.as_str());
        say!("   leased from {}, {} records", owner.unwrap_or("nobody"), found.records.len());
        ensure(owner == Some("ACME-LIR") && found.records.is_empty(), "a lease and no record")
    }

    async fn look_up(&mut self, address: &str) -> Result<v1::LookupAddressResponse, Failure> {
        let request = v1::LookupAddressRequest { address: address.to_owned(), vrf_id: 0, as_of: None };
        let answer =
            self.prefixes.lookup_address(request).await.map_err(|status| connect::refusal(&status))?;
        Ok(answer.into_inner())
    }

    fn allocation(count: i32, request_id: &str) -> v1::AllocateAddressesRequest {
        v1::AllocateAddressesRequest {
            source: Some(v1::allocate_addresses_request::Source::Prefix(BLOCK.to_owned())),
            count,
            description: "web".to_owned(),
            dns_name: "web-01.customer.example".to_owned(),
            request_id: request_id.to_owned(),
            ..v1::AllocateAddressesRequest::default()
        }
    }

    async fn allocate_and_retry(&mut self) -> Result<Vec<String>, Failure> {
        let json = format!(
            r#"{{"prefix":"{BLOCK}","count":3,"description":"web","dns_name":"web-01.customer.example","request_id":"order-4711"}}"#
        );
        self.step(
            "Three addresses are allocated: writing the record in NetBox is the allocation",
            "AllocationService/AllocateAddresses",
            &json,
        );
        let first = self.allocate(Self::allocation(3, "order-4711")).await?;
        say!("   {}", hosts(&first).join(", "));
        ensure(hosts(&first) == ["203.0.113.1", "203.0.113.2", "203.0.113.3"], "the lowest free addresses")?;
        self.step(
            "The answer was lost? The same request id again gives the same addresses",
            "AllocationService/AllocateAddresses",
            &json,
        );
        let again = self.allocate(Self::allocation(3, "order-4711")).await?;
        say!("   {}", hosts(&again).join(", "));
        ensure(hosts(&again) == hosts(&first) && again.repeated, "the same addresses again")?;
        Ok(hosts(&first))
    }

    async fn allocate(
        &mut self,
        request: v1::AllocateAddressesRequest,
    ) -> Result<v1::AllocateAddressesResponse, Failure> {
        let answer = self.allocations.allocate_addresses(request).await;
        Ok(answer.map_err(|status| connect::refusal(&status))?.into_inner())
    }

    async fn who_is_on_it(&mut self, handed_out: &[String]) -> Result<(), Failure> {
        let host = handed_out.first().cloned().unwrap_or_default();
        self.step(
            &format!("Who's on {host}? The problem stops existing"),
            "PrefixService/LookupAddress",
            &format!(r#"{{"address":"{host}"}}"#),
        );
        let began = Instant::now();
        let found = self.look_up(&host).await?;
        let took = began.elapsed();
        let record = found.records.first().cloned().unwrap_or_default();
        say!("   {} {} (answered in {} µs, from memory)", record.address, record.dns_name, took.as_micros());
        ensure(record.dns_name == "web-01.customer.example", "the record just written")
    }

    async fn a_customer_gets_a_block(&mut self) -> Result<(), Failure> {
        self.step(
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
        let answer =
            self.allocations.allocate_prefix(request).await.map_err(|status| connect::refusal(&status))?;
        let child = answer.into_inner().prefix.unwrap_or_default().prefix;
        say!("   {child}");
        ensure(child == "203.0.113.16/28", "the first /28 without a recorded address")?;
        let more = self.allocate(Self::allocation(20, "order-4712")).await?;
        let inside = hosts(&more).iter().filter(|host| in_child(host)).count();
        say!("   20 more addresses: {inside} of them inside it");
        ensure(more.addresses.len() == 20 && inside == 0, "no address inside the child prefix")
    }

    async fn mistakes_are_told(&mut self) -> Result<(), Failure> {
        self.step(
            "Host bits? The field is named, and what was meant",
            "AllocationService/AllocateAddresses",
            r#"{"prefix":"203.0.113.5/24"}"#,
        );
        let mut request = Self::allocation(1, "order-4713");
        request.source = Some(v1::allocate_addresses_request::Source::Prefix("203.0.113.5/24".to_owned()));
        let status = refused(self.allocations.allocate_addresses(request).await)?;
        say!("   {:?}: {}", status.code(), status.message());
        ensure(status.code() == Code::InvalidArgument, "INVALID_ARGUMENT")?;

        self.step(
            "Too many? All or nothing, and what is left",
            "AllocationService/AllocateAddresses",
            &format!(r#"{{"prefix":"{BLOCK}","count":1000}}"#),
        );
        let status =
            refused(self.allocations.allocate_addresses(Self::allocation(1000, "order-4714")).await)?;
        say!("   {:?}: {}", status.code(), status.message());
        let free =
            status.get_error_details().error_info().and_then(|info| info.metadata.get("free").cloned());
        ensure(
            status.code() == Code::ResourceExhausted && free.as_deref() == Some("215"),
            "RESOURCE_EXHAUSTED with 215 left",
        )
    }

    async fn netbox_goes_away_and_comes_back(
        &mut self,
        emulator: &Emulator,
        netbox: Listening,
    ) -> Result<Listening, Failure> {
        self.step(
            "NetBox is switched off: reads go on and say how old they are, writes say when to try again",
            "",
            "",
        );
        let address = netbox.address;
        netbox.stop().await;
        self.wait_until("the loss is noticed", |status| {
            status.netbox.as_ref().is_some_and(|netbox| !netbox.reachable)
        })
        .await?;
        let found = self.look_up("203.0.113.1").await?;
        let cache = found.cache.unwrap_or_default();
        say!("   lookup: {} records, live: {}, {} s old", found.records.len(), cache.live, cache.age_seconds);
        ensure(found.records.len() == 1 && !cache.live, "an answer from the cache that says so")?;
        let status = refused(self.allocations.allocate_addresses(Self::allocation(1, "order-4715")).await)?;
        let wait = status.get_error_details().retry_info().and_then(|retry| retry.retry_delay);
        say!("   allocate: {:?}, try again in {} s", status.code(), wait.unwrap_or_default().as_secs());
        ensure(status.code() == Code::Unavailable && wait.is_some(), "UNAVAILABLE with RetryInfo")?;
        let netbox = emulator.listen(address).await?;
        self.wait_until("NetBox is found again", |status| {
            status.netbox.as_ref().is_some_and(|netbox| netbox.reachable)
        })
        .await?;
        let after = self.allocate(Self::allocation(1, "order-4715")).await?;
        say!("   switched on again: the same request gets {}", hosts(&after).join(", "));
        ensure(after.addresses.len() == 1, "the same request to be answered")?;
        Ok(netbox)
    }

    async fn renew(&mut self) -> Result<(), Failure> {
        let expiry = self.today + 377.days();
        self.step(
            "The lease that runs out first is renewed",
            "LeaseService/RenewLease",
            &format!(
                r#"{{"prefix":"192.0.2.0/24","expiry":{{"year":{},"month":{},"day":{}}}}}"#,
                expiry.year(),
                expiry.month(),
                expiry.day()
            ),
        );
        let request = |expiry| v1::RenewLeaseRequest {
            key: Some(v1::renew_lease_request::Key::Prefix("192.0.2.0/24".to_owned())),
            expiry: Some(output::to_date(expiry)),
            ..v1::RenewLeaseRequest::default()
        };
        let renewed =
            self.leases.renew_lease(request(expiry)).await.map_err(|status| connect::refusal(&status))?;
        let lease = renewed.into_inner().lease.unwrap_or_default();
        say!(
            "   {} until {}, {}",
            lease.prefix,
            output::date(lease.expiry.as_ref()),
            output::days_left(&lease)
        );
        ensure(lease.days_left == Some(377), "the new expiry")?;
        let status = refused(self.leases.renew_lease(request(self.today)).await)?;
        say!("   to an earlier day: {:?}: {}", status.code(), status.message());
        ensure(status.code() == Code::FailedPrecondition, "a refusal to go back")
    }

    async fn give_back_and_end(&mut self, handed_out: &[String]) -> Result<(), Failure> {
        self.step(
            "The order is cancelled: its addresses are given back",
            "AllocationService/ReleaseAddresses",
            r#"{"allocation_request_id":"order-4711"}"#,
        );
        let request = v1::ReleaseAddressesRequest {
            allocation_request_id: "order-4711".to_owned(),
            ..v1::ReleaseAddressesRequest::default()
        };
        let released =
            self.allocations.release_addresses(request).await.map_err(|status| connect::refusal(&status))?;
        say!("   {} released", released.into_inner().addresses.len());
        let host = handed_out.first().cloned().unwrap_or_default();
        ensure(self.look_up(&host).await?.records.is_empty(), "no record after the release")?;

        self.step(
            "A lease does not end under addresses that are in use",
            "LeaseService/EndLease",
            &format!(r#"{{"prefix":"{BLOCK}"}}"#),
        );
        let request = |prefix: &str| v1::EndLeaseRequest {
            key: Some(v1::end_lease_request::Key::Prefix(prefix.to_owned())),
            ..v1::EndLeaseRequest::default()
        };
        let status = refused(self.leases.end_lease(request(BLOCK)).await)?;
        say!("   {:?}: {}", status.code(), status.message());
        ensure(status.code() == Code::FailedPrecondition, "a refusal")?;
        self.leases
            .end_lease(request("198.51.100.0/24"))
            .await
            .map_err(|status| connect::refusal(&status))?;
        say!("   198.51.100.0/24, which nobody uses, is ended");
        let request = v1::GetLeaseRequest {
            key: Some(v1::get_lease_request::Key::Prefix("198.51.100.0/24".to_owned())),
            vrf_id: 0,
        };
        let status = refused(self.leases.get_lease(request).await)?;
        ensure(status.code() == Code::NotFound, "no lease any more")
    }

    /// Waits, not for long, until the status says what it should.
    async fn wait_until(
        &mut self,
        what: &str,
        reached: impl Fn(&v1::GetStatusResponse) -> bool,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(10) {
            let status = self.admin.get_status(v1::GetStatusRequest {}).await;
            if reached(&status.map_err(|status| connect::refusal(&status))?.into_inner()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(Failure::new(format!("waited 10 s in vain until {what}")))
    }
}

fn hosts(answer: &v1::AllocateAddressesResponse) -> Vec<String> {
    answer
        .addresses
        .iter()
        .map(|record| record.address.split('/').next().unwrap_or_default().to_owned())
        .collect()
}

fn in_child(host: &str) -> bool {
    let child: Result<ipnet::Ipv4Net, _> = "203.0.113.16/28".parse();
    child.is_ok_and(|child| host.parse().is_ok_and(|host: std::net::Ipv4Addr| child.contains(&host)))
}

fn ensure(held: bool, what: &str) -> Result<(), Failure> {
    if held { Ok(()) } else { Err(Failure::new(format!("this step should have given {what}"))) }
}

fn refused<T>(answer: Result<tonic::Response<T>, Status>) -> Result<Status, Failure> {
    answer.err().ok_or_else(|| Failure::new("this step should have been refused"))
}
