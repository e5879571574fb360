//! AllocationService: the commands that allocate and release, and what became of them.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::caller::caller;
use super::parse::{View, Violations};
use super::problem::Problem;
use super::proto::v1;
use super::proto::v1::allocation_service_server::AllocationService;
use super::{allocation_convert as render, allocation_parse as parse, convert, page};
use crate::allocation::Allocator;
use crate::cache::Cache;
use crate::clock::Clock;
use crate::model::{Network, Prefix, RecordState};
use crate::netbox::FieldNames;

/// Handles AllocationService. Writes go through the allocator; reads come from the ledger and the cache.
#[derive(Clone)]
pub struct AllocationHandler {
    cache: Arc<Cache>,
    allocator: Arc<Allocator>,
    clock: Arc<dyn Clock>,
    fields: FieldNames,
}

impl AllocationHandler {
    /// A handler over this allocator and its cache. `fields` are the names of Leasehold's own custom fields.
    pub fn new(
        cache: Arc<Cache>,
        allocator: Arc<Allocator>,
        clock: Arc<dyn Clock>,
        fields: FieldNames,
    ) -> Self {
        Self { cache, allocator, clock, fields }
    }
}

#[tonic::async_trait]
impl AllocationService for AllocationHandler {
    async fn allocate_addresses(
        &self,
        request: Request<v1::AllocateAddressesRequest>,
    ) -> Result<Response<v1::AllocateAddressesResponse>, Status> {
        let caller = caller(&request);
        let request = request.into_inner();
        let validate_only = request.validate_only;
        let command = parse::allocate_addresses(&self.cache, &self.fields, request)?;
        let request_id = command.request.to_string();
        let (addresses, parent, repeated) = if validate_only {
            let (chosen, parent) = self.allocator.preview(&command).await.map_err(Problem::from)?;
            let unwritten = |at| Arc::new(render::unwritten_address(at, parent.scope, &command.text));
            (chosen.into_iter().map(unwritten).collect(), Some(parent), false)
        } else {
            let done = self.allocator.allocate(command, caller).await.map_err(Problem::from)?;
            (done.addresses, done.parent, done.repeated)
        };
        let (index, today) = (self.cache.snapshot(), self.clock.today());
        let pending = addresses.iter().any(|record| record.record_state == RecordState::Pending);
        let record_state = if pending { RecordState::Pending } else { RecordState::Recorded };
        let lease =
            |parent: &Arc<Prefix>| render::covering_lease(&index, parent.scope, parent.network, today);
        Ok(Response::new(page::fit(|view| v1::AllocateAddressesResponse {
            addresses: addresses.iter().map(|record| convert::address(&index, record, view)).collect(),
            prefix: parent.as_ref().map(|parent| convert::prefix(&index, parent, today, view)),
            lease: parent.as_ref().and_then(lease),
            request_id: request_id.clone(),
            repeated,
            record_state: convert::record_state(record_state).into(),
        })))
    }

    async fn allocate_prefix(
        &self,
        request: Request<v1::AllocatePrefixRequest>,
    ) -> Result<Response<v1::AllocatePrefixResponse>, Status> {
        let caller = caller(&request);
        let request = request.into_inner();
        let validate_only = request.validate_only;
        let command = parse::allocate_prefix(&self.cache, &self.fields, request)?;
        let request_id = command.request.to_string();
        let (prefix, parent, repeated) = if validate_only {
            let (block, parent) = self.allocator.preview_prefix(&command).await.map_err(Problem::from)?;
            let unwritten = render::unwritten_prefix(block, &parent, &command.text);
            (Arc::new(unwritten), Some(parent), false)
        } else {
            let done = self.allocator.allocate_prefix(command, caller).await.map_err(Problem::from)?;
            (done.prefix, done.parent, done.repeated)
        };
        let (index, today) = (self.cache.snapshot(), self.clock.today());
        Ok(Response::new(page::fit(|view| v1::AllocatePrefixResponse {
            prefix: Some(convert::prefix(&index, &prefix, today, view)),
            parent: parent.as_ref().map(|parent| convert::prefix(&index, parent, today, view)),
            lease: render::covering_lease(&index, prefix.scope, prefix.network, today),
            request_id: request_id.clone(),
            repeated,
        })))
    }

    async fn assign_address(
        &self,
        request: Request<v1::AssignAddressRequest>,
    ) -> Result<Response<v1::AssignAddressResponse>, Status> {
        let caller = caller(&request);
        let request = request.into_inner();
        let validate_only = request.validate_only;
        let command = parse::assign_address(&self.cache, &self.fields, request)?;
        let request_id = command.request.to_string();
        let (address, repeated) = if validate_only {
            let interface = self.allocator.preview_assign(&command).map_err(Problem::from)?;
            (Arc::new(render::unwritten_address(interface, command.scope, &command.text)), false)
        } else {
            let done = self.allocator.assign(command, caller).await.map_err(Problem::from)?;
            (done.address, done.repeated)
        };
        let (index, today) = (self.cache.snapshot(), self.clock.today());
        Ok(Response::new(page::fit(|view| v1::AssignAddressResponse {
            lease: render::covering_lease(&index, address.scope, Network::host(address.host()), today),
            address: Some(convert::address(&index, &address, view)),
            request_id: request_id.clone(),
            repeated,
        })))
    }

    async fn release_addresses(
        &self,
        request: Request<v1::ReleaseAddressesRequest>,
    ) -> Result<Response<v1::ReleaseAddressesResponse>, Status> {
        let caller = caller(&request);
        let request = request.into_inner();
        let command = parse::release_addresses(&self.cache, &request)?;
        let request_id = command.request.to_string();
        let addresses = if request.validate_only {
            let found = self.allocator.preview_release(&command.selection).await.map_err(Problem::from)?;
            found.into_iter().map(Arc::new).collect()
        } else {
            self.allocator.release(command, caller).await.map_err(Problem::from)?.addresses
        };
        let index = self.cache.snapshot();
        Ok(Response::new(page::fit(|view| v1::ReleaseAddressesResponse {
            addresses: addresses.iter().map(|record| convert::address(&index, record, view)).collect(),
            request_id: request_id.clone(),
        })))
    }

    async fn get_allocation(
        &self,
        request: Request<v1::GetAllocationRequest>,
    ) -> Result<Response<v1::GetAllocationResponse>, Status> {
        let request = request.get_ref();
        let mut violations = Violations::default();
        let id = violations.required_request_id("request_id", &request.request_id);
        let view = violations.view(request.view, View::Full);
        let id = violations.finish_with(id)?;
        let (found, index) = self.allocator.find(&id).await.map_err(Problem::from)?;
        let allocation = render::allocation(&index, &found, self.clock.today(), view);
        let answer = v1::GetAllocationResponse { allocation: Some(allocation) };
        page::check_size(&answer, "ask for the BASIC view")?;
        Ok(Response::new(answer))
    }

    async fn list_allocations(
        &self,
        request: Request<v1::ListAllocationsRequest>,
    ) -> Result<Response<v1::ListAllocationsResponse>, Status> {
        let request = request.get_ref();
        let mut violations = Violations::default();
        let size = violations.page_size(request.page_size);
        let filter = parse::filter(&mut violations, request);
        let view = violations.view(request.view, View::Basic);
        let after = page::parse_time_token(&mut violations, &request.page_token, |id| id.parse().ok());
        violations.finish()?;
        // One more than the page shows, so that the page knows whether it is the last.
        let found = self.allocator.search(&filter, after, size + 1).await.map_err(Problem::from)?;
        let today = self.clock.today();
        let shown = page::fill(
            size,
            view,
            found.allocations,
            |row, view| Some(render::allocation(&found.index, row, today, view)),
            |row| row.times.map(|(begun, _)| page::time_token(begun, &row.request)).unwrap_or_default(),
        )?;
        let examined = || found.next.map(|(at, id)| page::time_token(at, id)).unwrap_or_default();
        let next_page_token =
            if shown.next_page_token.is_empty() { examined() } else { shown.next_page_token };
        Ok(Response::new(v1::ListAllocationsResponse { allocations: shown.rows, next_page_token }))
    }
}
