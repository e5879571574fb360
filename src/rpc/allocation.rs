//! AllocationService: addresses and prefixes handed out and taken back.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::parse::Violations;
use super::proto::v1;
use super::proto::v1::allocation_service_server::AllocationService;
use super::status::Problem;
use super::{convert, page};
use crate::allocation::requirement::Requirement;
use crate::allocation::{
    AddressWish, Allocator, AssignWish, Origin, PrefixWish, Purpose, RecordText, Release,
};
use crate::cache::{Cache, Index};
use crate::clock::Clock;
use crate::ledger::{Intent, IntentKind, IntentState, ListIntents};
use crate::model::{Address, AddressId, Network, Prefix, PrefixId, RequestId, Revision, Table};

/// Answers from ledger and cache and writes through the allocator.
#[derive(Clone)]
pub struct Allocations {
    cache: Arc<Cache>,
    allocator: Arc<Allocator>,
    clock: Arc<dyn Clock>,
}

impl Allocations {
    /// Writes through this allocator.
    pub fn new(cache: Arc<Cache>, allocator: Arc<Allocator>, clock: Arc<dyn Clock>) -> Self {
        Self { cache, allocator, clock }
    }

    fn addresses(&self, records: &[Arc<Address>]) -> Vec<v1::Address> {
        let index = self.cache.snapshot();
        records.iter().map(|record| convert::address(&index, record)).collect()
    }

    fn prefix(&self, prefix: &Prefix) -> v1::Prefix {
        convert::prefix(&self.cache.snapshot(), prefix, self.clock.today())
    }

    fn lease_over(&self, table: Table, network: Network) -> Option<v1::Lease> {
        let index = self.cache.snapshot();
        let (prefix, lease) = index.covering_lease(table, network)?;
        Some(convert::lease(prefix, lease, self.clock.today()))
    }

    fn render(&self, intent: &Intent) -> v1::Allocation {
        let index = self.cache.snapshot();
        let (addresses, prefix) = index.allocated(&intent.request);
        let standing = addresses.len() + usize::from(prefix.is_some());
        let state = match intent.state {
            IntentState::Pending => v1::AllocationState::Pending,
            // It landed after all, late and unheard: the record decides.
            IntentState::Failed if standing > 0 => v1::AllocationState::Done,
            IntentState::Failed => v1::AllocationState::Failed,
            IntentState::Done if standing < intent.detail.made.len() => v1::AllocationState::Released,
            IntentState::Done => v1::AllocationState::Done,
        };
        v1::Allocation {
            request_id: intent.request.to_string(),
            kind: kind(intent.kind).into(),
            state: state.into(),
            parent_prefix_id: intent.parent.map_or(0, |id| id.0),
            addresses: addresses.iter().map(|record| convert::address(&index, record)).collect(),
            prefix: prefix.map(|prefix| convert::prefix(&index, prefix, self.clock.today())),
            create_time: Some(convert::timestamp(intent.created)),
            update_time: Some(convert::timestamp(intent.updated)),
        }
    }

    /// An allocation that only NetBox's record knows of: another replica's, or of a ledger that is lost.
    fn recorded_only(&self, index: &Index, request: &RequestId) -> Option<v1::Allocation> {
        let (addresses, prefix) = index.allocated(request);
        if addresses.is_empty() && prefix.is_none() {
            return None;
        }
        let kind = if prefix.is_some() { v1::AllocationKind::Prefix } else { v1::AllocationKind::Addresses };
        Some(v1::Allocation {
            request_id: request.to_string(),
            kind: kind.into(),
            state: v1::AllocationState::Done.into(),
            addresses: addresses.iter().map(|record| convert::address(index, record)).collect(),
            prefix: prefix.map(|prefix| convert::prefix(index, prefix, self.clock.today())),
            ..v1::Allocation::default()
        })
    }
}

fn kind(kind: IntentKind) -> v1::AllocationKind {
    match kind {
        IntentKind::Addresses => v1::AllocationKind::Addresses,
        IntentKind::Prefix => v1::AllocationKind::Prefix,
        IntentKind::Assignment => v1::AllocationKind::Assignment,
        // Releases are never listed as allocations.
        IntentKind::Release => v1::AllocationKind::Unspecified,
    }
}

fn requirement(violations: &mut Violations, wanted: v1::BlockRequirement) -> Requirement {
    let given = |text: String| (!text.is_empty()).then_some(text);
    if wanted.min_days_left < 0 {
        violations.add("requirement.min_days_left", "is negative");
    }
    let ipv6 = match wanted.family {
        0 | 4 => false,
        6 => true,
        other => {
            violations.add("requirement.family", format!("{other} is neither 4 nor 6"));
            false
        }
    };
    Requirement {
        owner: given(wanted.owner),
        tag: violations.slug("requirement.tag", wanted.tag),
        role: violations.slug("requirement.role", wanted.role),
        table: wanted.vrf_id.map(Table::from_number),
        min_days_left: (wanted.min_days_left > 0).then_some(wanted.min_days_left),
        clean: wanted.clean_reputation,
        ipv6,
    }
}

/// What a source may be: the same oneof in two requests.
enum Source {
    Prefix(String),
    Id(u64),
    Requirement(v1::BlockRequirement),
}

fn origin(violations: &mut Violations, source: Option<Source>, vrf_id: u64) -> Option<Origin> {
    match source {
        Some(Source::Prefix(text)) => violations
            .network("prefix", &text)
            .map(|network| Origin::Prefix(Table::from_number(vrf_id), network)),
        Some(Source::Id(0)) => {
            violations.add("prefix_id", "is required: 0 is no id");
            None
        }
        Some(Source::Id(id)) => Some(Origin::Id(PrefixId(id))),
        Some(Source::Requirement(wanted)) => Some(Origin::Any(requirement(violations, wanted))),
        None => {
            violations.add("source", "prefix, prefix_id or requirement is required");
            None
        }
    }
}

fn address_wish(request: v1::AllocateAddressesRequest) -> Result<AddressWish, Problem> {
    use v1::allocate_addresses_request::Source as S;
    let mut violations = Violations::default();
    let source = request.source.map(|source| match source {
        S::Prefix(text) => Source::Prefix(text),
        S::PrefixId(id) => Source::Id(id),
        S::Requirement(wanted) => Source::Requirement(wanted),
    });
    let origin = origin(&mut violations, source, request.vrf_id);
    let count = match request.count {
        0 => 1,
        1..=1000 => request.count.unsigned_abs(),
        other => {
            violations.add("count", format!("{other} is not between 1 and 1000"));
            1
        }
    };
    let text = RecordText {
        status: violations.status(request.status),
        description: violations.text("description", request.description, 200),
        dns_name: violations.dns_name(request.dns_name),
        tenant: violations.slug("tenant", request.tenant),
        role: None,
        tags: violations.slugs("tags", request.tags),
    };
    let exclude = violations.networks("exclude", &request.exclude);
    let purpose = purpose(&mut violations, request.purpose);
    let id = violations.request_id("request_id", &request.request_id);
    let parsed = origin.zip(id).map(|(origin, request_id)| AddressWish {
        origin,
        count,
        text,
        exclude,
        include_children: request.include_child_prefixes,
        purpose,
        include_resting: request.include_resting,
        request: request_id,
    });
    violations.finish_with(parsed)
}

fn prefix_wish(request: v1::AllocatePrefixRequest) -> Result<PrefixWish, Problem> {
    use v1::allocate_prefix_request::Source as S;
    let mut violations = Violations::default();
    let source = request.source.map(|source| match source {
        S::Prefix(text) => Source::Prefix(text),
        S::PrefixId(id) => Source::Id(id),
        S::Requirement(wanted) => Source::Requirement(wanted),
    });
    let origin = origin(&mut violations, source, request.vrf_id);
    let length = match u8::try_from(request.prefix_length) {
        Ok(length @ 1..=128) => Some(length),
        _ => {
            violations.add(
                "prefix_length",
                format!("{} is no length of a child prefix (1 to 128)", request.prefix_length),
            );
            None
        }
    };
    let text = RecordText {
        status: violations.status(request.status),
        description: violations.text("description", request.description, 200),
        dns_name: String::new(),
        tenant: violations.slug("tenant", request.tenant),
        role: violations.slug("role", request.role),
        tags: violations.slugs("tags", request.tags),
    };
    let exclude = violations.networks("exclude", &request.exclude);
    let purpose = purpose(&mut violations, request.purpose);
    let id = violations.request_id("request_id", &request.request_id);
    let parsed = origin.zip(length).zip(id).map(|((origin, length), request_id)| PrefixWish {
        origin,
        length,
        text,
        exclude,
        purpose,
        request: request_id,
    });
    violations.finish_with(parsed)
}

fn purpose(violations: &mut Violations, number: i32) -> Purpose {
    match v1::AllocationPurpose::try_from(number) {
        Ok(v1::AllocationPurpose::Unspecified | v1::AllocationPurpose::General) => Purpose::General,
        Ok(v1::AllocationPurpose::Mail) => Purpose::Mail,
        Err(_) => {
            violations.add("purpose", format!("{number} is no value of AllocationPurpose"));
            Purpose::General
        }
    }
}

fn assign_wish(request: v1::AssignAddressRequest) -> Result<AssignWish, Problem> {
    let mut violations = Violations::default();
    let address = violations.host("address", &request.address);
    let text = RecordText {
        status: violations.status(request.status),
        description: violations.text("description", request.description, 200),
        dns_name: violations.dns_name(request.dns_name),
        tenant: violations.slug("tenant", request.tenant),
        role: None,
        tags: violations.slugs("tags", request.tags),
    };
    let id = violations.request_id("request_id", &request.request_id);
    let table = Table::from_number(request.vrf_id);
    let parsed =
        address.zip(id).map(|(address, request_id)| AssignWish { address, table, text, request: request_id });
    violations.finish_with(parsed)
}

fn release(request: &v1::ReleaseAddressesRequest) -> Result<(Release, RequestId), Problem> {
    let mut violations = Violations::default();
    let by_request = !request.allocation_request_id.is_empty();
    let by_address = !request.addresses.is_empty();
    if by_request == by_address {
        violations.add("allocation_request_id", "either this or addresses is required, not both");
    }
    if request.addresses.len() > 1000 {
        violations.add("addresses", format!("{} given, at most 1000 are allowed", request.addresses.len()));
    }
    let release = if by_request {
        violations
            .required_request_id("allocation_request_id", &request.allocation_request_id)
            .map(Release::Allocation)
    } else {
        let mut addresses: Vec<_> = request
            .addresses
            .iter()
            .enumerate()
            .filter_map(|(nth, text)| violations.host(&format!("addresses[{nth}]"), text))
            .collect();
        addresses.sort_unstable();
        addresses.dedup();
        let table = Table::from_number(request.vrf_id);
        Some(Release::Addresses { table, addresses, foreign: request.allow_foreign })
    };
    let id = violations.request_id("request_id", &request.request_id);
    violations.finish_with(release.zip(id))
}

/// A record that is not there yet, for an answer that only validates.
fn unwritten(interface: ipnet::IpNet, table: Table, text: &RecordText) -> Arc<Address> {
    Arc::new(Address {
        id: AddressId(0),
        interface,
        table,
        status: text.status.clone(),
        role: None,
        tenant: None,
        tags: Vec::new(),
        dns_name: text.dns_name.clone(),
        description: text.description.clone(),
        allocation: None,
        custom_fields: serde_json::Map::new(),
        revision: Revision::default(),
    })
}

#[tonic::async_trait]
impl AllocationService for Allocations {
    async fn allocate_addresses(
        &self,
        request: Request<v1::AllocateAddressesRequest>,
    ) -> Result<Response<v1::AllocateAddressesResponse>, Status> {
        let request = request.into_inner();
        let validate_only = request.validate_only;
        let wish = address_wish(request)?;
        let request_id = wish.request.to_string();
        let (addresses, parent, repeated) = if validate_only {
            let (chosen, parent) = self.allocator.preview(&wish).await.map_err(Problem::from)?;
            let drafts = chosen.into_iter().map(|at| unwritten(at, parent.table, &wish.text)).collect();
            (drafts, Some(parent), false)
        } else {
            let done = self.allocator.allocate(wish).await.map_err(Problem::from)?;
            (done.addresses, done.parent, done.repeated)
        };
        Ok(Response::new(v1::AllocateAddressesResponse {
            addresses: self.addresses(&addresses),
            prefix: parent.as_ref().map(|parent| self.prefix(parent)),
            lease: parent.as_ref().and_then(|parent| self.lease_over(parent.table, parent.network)),
            request_id,
            repeated,
        }))
    }

    async fn allocate_prefix(
        &self,
        request: Request<v1::AllocatePrefixRequest>,
    ) -> Result<Response<v1::AllocatePrefixResponse>, Status> {
        let request = request.into_inner();
        let validate_only = request.validate_only;
        let wish = prefix_wish(request)?;
        let request_id = wish.request.to_string();
        let (prefix, parent, repeated) = if validate_only {
            let (block, parent) = self.allocator.preview_prefix(&wish).await.map_err(Problem::from)?;
            let unwritten = Prefix {
                id: PrefixId(0),
                network: block,
                status: wish.text.status.clone(),
                description: wish.text.description.clone(),
                lease: None,
                allocation: None,
                tenant: None,
                role: None,
                tags: Vec::new(),
                custom_fields: serde_json::Map::new(),
                revision: Revision::default(),
                ..Prefix::clone(&parent)
            };
            (Arc::new(unwritten), Some(parent), false)
        } else {
            let done = self.allocator.allocate_prefix(wish).await.map_err(Problem::from)?;
            (done.prefix, done.parent, done.repeated)
        };
        Ok(Response::new(v1::AllocatePrefixResponse {
            prefix: Some(self.prefix(&prefix)),
            parent: parent.as_ref().map(|parent| self.prefix(parent)),
            lease: self.lease_over(prefix.table, prefix.network),
            request_id,
            repeated,
        }))
    }

    async fn assign_address(
        &self,
        request: Request<v1::AssignAddressRequest>,
    ) -> Result<Response<v1::AssignAddressResponse>, Status> {
        let request = request.into_inner();
        let validate_only = request.validate_only;
        let wish = assign_wish(request)?;
        let request_id = wish.request.to_string();
        let (address, repeated) = if validate_only {
            let interface = self.allocator.preview_assign(&wish).map_err(Problem::from)?;
            (unwritten(interface, wish.table, &wish.text), false)
        } else {
            let done = self.allocator.assign(wish).await.map_err(Problem::from)?;
            (done.address, done.repeated)
        };
        Ok(Response::new(v1::AssignAddressResponse {
            lease: self.lease_over(address.table, Network::host(address.host())),
            address: Some(convert::address(&self.cache.snapshot(), &address)),
            request_id,
            repeated,
        }))
    }

    async fn release_addresses(
        &self,
        request: Request<v1::ReleaseAddressesRequest>,
    ) -> Result<Response<v1::ReleaseAddressesResponse>, Status> {
        let request = request.into_inner();
        let validate_only = request.validate_only;
        let (release, id) = release(&request)?;
        let request_id = id.to_string();
        let addresses = if validate_only {
            self.allocator.preview_release(&release).map_err(Problem::from)?
        } else {
            self.allocator.release(release, id).await.map_err(Problem::from)?.addresses
        };
        Ok(Response::new(v1::ReleaseAddressesResponse { addresses: self.addresses(&addresses), request_id }))
    }

    async fn get_allocation(
        &self,
        request: Request<v1::GetAllocationRequest>,
    ) -> Result<Response<v1::GetAllocationResponse>, Status> {
        let mut violations = Violations::default();
        let id = violations.required_request_id("request_id", &request.get_ref().request_id);
        let id = violations.finish_with(id)?;
        let ledger = self.allocator.ledger();
        let found =
            ledger.get(&id).await.map_err(|error| Problem::from(crate::allocation::Error::from(error)))?;
        let allocation = match found.filter(|intent| intent.kind != IntentKind::Release) {
            Some(intent) => Some(self.render(&intent)),
            None => self.recorded_only(&self.cache.snapshot(), &id),
        };
        let missing = || Problem::from(crate::allocation::Error::AllocationNotFound { request: id.clone() });
        Ok(Response::new(v1::GetAllocationResponse { allocation: Some(allocation.ok_or_else(missing)?) }))
    }

    async fn list_allocations(
        &self,
        request: Request<v1::ListAllocationsRequest>,
    ) -> Result<Response<v1::ListAllocationsResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::default();
        let size = violations.page_size(request.page_size);
        let state = match v1::AllocationState::try_from(request.state) {
            Ok(v1::AllocationState::Unspecified) => None,
            Ok(v1::AllocationState::Pending) => Some(IntentState::Pending),
            Ok(v1::AllocationState::Failed) => Some(IntentState::Failed),
            Ok(v1::AllocationState::Done | v1::AllocationState::Released) => Some(IntentState::Done),
            Err(_) => {
                violations.add("state", format!("{} is no value of AllocationState", request.state));
                None
            }
        };
        let mut after = page::read_newest(&mut violations, &request.page_token, |id| id.parse().ok());
        violations.finish()?;
        let parent = (request.parent_prefix_id != 0).then_some(PrefixId(request.parent_prefix_id));
        let mut allocations: Vec<v1::Allocation> = Vec::new();
        let mut next_page_token = String::new();
        // Done and released are told apart by the record, so a page of the ledger may hold fewer that match.
        loop {
            let limit = u32::try_from(size).unwrap_or(100) + 1;
            let wanted = ListIntents { state, parent, after: after.clone(), limit };
            let listed = self.allocator.ledger().list(&wanted).await;
            let intents = listed.map_err(|error| Problem::from(crate::allocation::Error::from(error)))?;
            let more = intents.len() > size;
            for intent in intents.iter().take(size) {
                after = Some((intent.created, intent.request.clone()));
                let rendered = self.render(intent);
                if request.state == 0 || rendered.state == request.state {
                    allocations.push(rendered);
                }
                if allocations.len() == size {
                    break;
                }
            }
            if allocations.len() == size || !more {
                let last_shown = intents.iter().take(size).next_back().map(|intent| &intent.request);
                let at_end = !more && after.as_ref().map(|(_, id)| id) == last_shown;
                if let (Some((created, id)), false) = (&after, at_end || intents.is_empty()) {
                    next_page_token = page::newest_token(*created, id);
                }
                break;
            }
        }
        Ok(Response::new(v1::ListAllocationsResponse { allocations, next_page_token }))
    }
}
