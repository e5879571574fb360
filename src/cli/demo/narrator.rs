//! What every chapter of the demo needs: clients, the printed steps, and checks of the answers.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jiff::civil::Date;
use tonic::Status;

use crate::cli::connect::{Connection, refusal};
use crate::cli::exit::CliFailure;
use crate::cli::terminal::outln;
use crate::rpc::proto::v1;
use crate::rpc::proto::v1::admin_service_client::AdminServiceClient;
use crate::rpc::proto::v1::allocation_service_client::AllocationServiceClient;
use crate::rpc::proto::v1::lease_service_client::LeaseServiceClient;
use crate::rpc::proto::v1::prefix_service_client::PrefixServiceClient;
use crate::rpc::proto::v1::validation_service_client::ValidationServiceClient;

/// The block that the demo is about.
pub(super) const BLOCK: &str = "203.0.113.0/24";

/// Makes the calls of the demo and numbers its steps.
pub(super) struct Narrator {
    pub(super) prefixes: PrefixServiceClient<Connection>,
    pub(super) leases: LeaseServiceClient<Connection>,
    pub(super) allocations: AllocationServiceClient<Connection>,
    pub(super) validations: ValidationServiceClient<Connection>,
    admin: AdminServiceClient<Connection>,
    pub(super) today: Date,
    /// The server's address, for the printed grpcurl lines.
    server: SocketAddr,
    step: u32,
}

impl Narrator {
    pub(super) fn new(connection: &Connection, server: SocketAddr, today: Date) -> Self {
        Self {
            prefixes: PrefixServiceClient::new(connection.clone()),
            leases: LeaseServiceClient::new(connection.clone()),
            allocations: AllocationServiceClient::new(connection.clone()),
            validations: ValidationServiceClient::new(connection.clone()),
            admin: AdminServiceClient::new(connection.clone()),
            today,
            server,
            step: 0,
        }
    }

    /// Prints the title of the next step and, unless `method` is empty, the grpcurl line that does the same.
    pub(super) fn step(&mut self, title: &str, method: &str, json: &str) {
        self.step += 1;
        outln!("");
        outln!("{}. {title}", self.step);
        if !method.is_empty() {
            outln!("   $ grpcurl -plaintext -d '{json}' {} leasehold.v1.{method}", self.server);
        }
    }

    pub(super) async fn look_up(&mut self, address: &str) -> Result<v1::LookupAddressResponse, CliFailure> {
        let request =
            v1::LookupAddressRequest { address: address.to_owned(), ..v1::LookupAddressRequest::default() };
        let answer = self.prefixes.lookup_address(request).await.map_err(|status| refusal(&status))?;
        Ok(answer.into_inner())
    }

    pub(super) async fn allocate(
        &mut self,
        request: v1::AllocateAddressesRequest,
    ) -> Result<v1::AllocateAddressesResponse, CliFailure> {
        let answer = self.allocations.allocate_addresses(request).await;
        Ok(answer.map_err(|status| refusal(&status))?.into_inner())
    }

    /// Waits up to 10 s until the server's status fulfils a condition.
    pub(super) async fn wait_until(
        &mut self,
        condition: &str,
        reached: impl Fn(&v1::GetStatusResponse) -> bool,
    ) -> Result<(), CliFailure> {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(10) {
            let status = self.admin.get_status(v1::GetStatusRequest {}).await;
            if reached(&status.map_err(|status| refusal(&status))?.into_inner()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(CliFailure::new(format!("waited 10 s in vain until {condition}")))
    }
}

/// A request for addresses of the demo's block.
pub(super) fn allocation(count: i32, request_id: &str) -> v1::AllocateAddressesRequest {
    v1::AllocateAddressesRequest {
        source: Some(v1::allocate_addresses_request::Source::Prefix(BLOCK.to_owned())),
        count,
        description: "web".to_owned(),
        dns_name: "web-01.customer.example".to_owned(),
        request_id: request_id.to_owned(),
        ..v1::AllocateAddressesRequest::default()
    }
}

/// The addresses of an answer, without mask.
pub(super) fn hosts(answer: &v1::AllocateAddressesResponse) -> Vec<String> {
    answer
        .addresses
        .iter()
        .map(|record| record.address.split('/').next().unwrap_or_default().to_owned())
        .collect()
}

/// Fails the demo unless a step gave the expected result.
pub(super) fn ensure(condition: bool, expected: &str) -> Result<(), CliFailure> {
    if condition { Ok(()) } else { Err(CliFailure::new(format!("this step should have given {expected}"))) }
}

/// The status of a call that should be refused.
pub(super) fn refused<T>(answer: Result<tonic::Response<T>, Status>) -> Result<Status, CliFailure> {
    answer.err().ok_or_else(|| CliFailure::new("this step should have been refused"))
}
