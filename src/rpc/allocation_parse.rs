//! Requests of AllocationService, parsed into commands.

use super::parse::{DESCRIPTION, Violations, given};
use super::problem::Problem;
use super::proto::v1;
use crate::allocation::plan::requirement::Requirement;
use crate::allocation::{
    AllocateAddresses, AllocatePrefix, AllocationFilter, AllocationState, AssignAddress, ParentSelector,
    Purpose, RecordText, ReleaseAddresses, ReleaseCommand,
};
use crate::cache::Cache;
use crate::model::PrefixId;
use crate::netbox::FieldNames;

/// The oneof `source`, which is the same in two messages.
enum Source {
    Prefix(String),
    Id(u64),
    Requirement(v1::BlockRequirement),
}

/// The generated code has a type of its own for the oneof of each message.
macro_rules! source_of {
    ($($message:ident),+) => {$(
        impl From<v1::$message::Source> for Source {
            fn from(source: v1::$message::Source) -> Self {
                match source {
                    v1::$message::Source::Prefix(text) => Self::Prefix(text),
                    v1::$message::Source::PrefixId(id) => Self::Id(id),
                    v1::$message::Source::Requirement(requirement) => Self::Requirement(requirement),
                }
            }
        }
    )+};
}

source_of!(allocate_addresses_request, allocate_prefix_request);

/// Parses AllocateAddressesRequest; a count of 0 means 1.
pub(super) fn allocate_addresses(
    cache: &Cache,
    own: &FieldNames,
    request: v1::AllocateAddressesRequest,
) -> Result<AllocateAddresses, Problem> {
    let mut violations = Violations::default();
    let source = request.source.map(Source::from);
    let parent = parent(&mut violations, cache, source, request.vrf.as_ref());
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
        description: violations.text("description", request.description, DESCRIPTION),
        dns_name: violations.dns_name(&request.dns_name),
        tenant: violations.tenant(request.tenant.as_ref()),
        role: violations.slug("role", request.role),
        tags: violations.slugs("tags", request.tags),
        custom_fields: violations.custom_fields("custom_fields", request.custom_fields, own),
    };
    let exclude = violations.networks("exclusions", &request.exclusions);
    let purpose = purpose(&mut violations, request.purpose);
    let id = violations.request_id("request_id", &request.request_id);
    let parsed = parent.zip(id).map(|(parent, request_id)| AllocateAddresses {
        parent,
        count,
        text,
        exclude,
        include_children: request.include_child_prefixes,
        purpose,
        include_quarantined: request.include_quarantined,
        request: request_id,
    });
    violations.finish_with(parsed)
}

/// Parses AllocatePrefixRequest. Whether the length fits the parent is checked later, by the allocator.
pub(super) fn allocate_prefix(
    cache: &Cache,
    own: &FieldNames,
    request: v1::AllocatePrefixRequest,
) -> Result<AllocatePrefix, Problem> {
    let mut violations = Violations::default();
    let source = request.source.map(Source::from);
    let parent = parent(&mut violations, cache, source, request.vrf.as_ref());
    let length = match u8::try_from(request.prefix_length) {
        Ok(length @ 1..=128) => Some(length),
        _ => {
            violations.add("prefix_length", format!("{} is not between 1 and 128", request.prefix_length));
            None
        }
    };
    let text = RecordText {
        status: violations.status(request.status),
        description: violations.text("description", request.description, DESCRIPTION),
        dns_name: None,
        tenant: violations.tenant(request.tenant.as_ref()),
        role: violations.slug("role", request.role),
        tags: violations.slugs("tags", request.tags),
        custom_fields: violations.custom_fields("custom_fields", request.custom_fields, own),
    };
    let exclude = violations.networks("exclusions", &request.exclusions);
    let purpose = purpose(&mut violations, request.purpose);
    let id = violations.request_id("request_id", &request.request_id);
    let parsed = parent.zip(length).zip(id).map(|((parent, length), request_id)| AllocatePrefix {
        parent,
        length,
        text,
        exclude,
        purpose,
        request: request_id,
    });
    violations.finish_with(parsed)
}

/// Parses AssignAddressRequest into its command.
pub(super) fn assign_address(
    cache: &Cache,
    own: &FieldNames,
    request: v1::AssignAddressRequest,
) -> Result<AssignAddress, Problem> {
    let mut violations = Violations::default();
    let address = violations.host("address", &request.address);
    let text = RecordText {
        status: violations.status(request.status),
        description: violations.text("description", request.description, DESCRIPTION),
        dns_name: violations.dns_name(&request.dns_name),
        tenant: violations.tenant(request.tenant.as_ref()),
        role: violations.slug("role", request.role),
        tags: violations.slugs("tags", request.tags),
        custom_fields: violations.custom_fields("custom_fields", request.custom_fields, own),
    };
    let id = violations.request_id("request_id", &request.request_id);
    let scope = violations.scope(cache, request.vrf.as_ref());
    let parsed = address.zip(scope).zip(id);
    let parsed = parsed.map(|((address, scope), request_id)| AssignAddress {
        address,
        scope,
        text,
        request: request_id,
    });
    violations.finish_with(parsed)
}

/// Parses ReleaseAddressesRequest. Listed addresses are sorted and each is kept once, so that a retry that lists them in another
/// order is still the same request.
pub(super) fn release_addresses(
    cache: &Cache,
    request: &v1::ReleaseAddressesRequest,
) -> Result<ReleaseCommand, Problem> {
    let mut violations = Violations::default();
    let by_request = !request.allocation_request_id.is_empty();
    let by_address = !request.addresses.is_empty();
    if by_request == by_address {
        violations
            .add("allocation_request_id", "exactly one of allocation_request_id and addresses is required");
    }
    if request.addresses.len() > 1000 {
        violations.add("addresses", format!("{} given, at most 1000 are allowed", request.addresses.len()));
    }
    let selection = if by_request {
        violations
            .required_request_id("allocation_request_id", &request.allocation_request_id)
            .map(ReleaseAddresses::Allocation)
    } else {
        let mut addresses = violations.hosts("addresses", &request.addresses);
        addresses.sort_unstable();
        addresses.dedup();
        let allow_foreign = request.allow_foreign;
        violations.scope(cache, request.vrf.as_ref()).map(|scope| ReleaseAddresses::Addresses {
            scope,
            addresses,
            allow_foreign,
        })
    };
    let id = violations.request_id("request_id", &request.request_id);
    let (selection, request) = violations.finish_with(selection.zip(id))?;
    Ok(ReleaseCommand { selection, request })
}

/// Parses the filters of ListAllocationsRequest.
pub(super) fn filter(violations: &mut Violations, request: &v1::ListAllocationsRequest) -> AllocationFilter {
    let state = match v1::AllocationState::try_from(request.state) {
        Ok(v1::AllocationState::Unspecified) => None,
        Ok(v1::AllocationState::Pending) => Some(AllocationState::Pending),
        Ok(v1::AllocationState::Done) => Some(AllocationState::Done),
        Ok(v1::AllocationState::Failed) => Some(AllocationState::Failed),
        Ok(v1::AllocationState::Released) => Some(AllocationState::Released),
        Err(_) => {
            violations.add("state", format!("{} is not a value of AllocationState", request.state));
            None
        }
    };
    let parent = (request.parent_prefix_id != 0).then_some(PrefixId(request.parent_prefix_id));
    AllocationFilter { state, parent }
}

fn parent(
    violations: &mut Violations,
    cache: &Cache,
    source: Option<Source>,
    vrf: Option<&v1::VrfRef>,
) -> Option<ParentSelector> {
    match source {
        Some(Source::Prefix(text)) => {
            let network = violations.network("prefix", &text);
            let scope = violations.scope(cache, vrf);
            scope.zip(network).map(|(scope, network)| ParentSelector::Prefix(scope, network))
        }
        Some(Source::Id(0)) => {
            violations.add("prefix_id", "is required and must not be 0");
            None
        }
        Some(Source::Id(id)) => Some(ParentSelector::Id(PrefixId(id))),
        Some(Source::Requirement(block)) => Some(ParentSelector::Any(requirement(violations, cache, block))),
        None => {
            violations.add("source", "prefix, prefix_id or requirement is required");
            None
        }
    }
}

fn requirement(violations: &mut Violations, cache: &Cache, block: v1::BlockRequirement) -> Requirement {
    if block.min_days_left < 0 {
        violations.add("requirement.min_days_left", "must not be negative");
    }
    let ipv6 = match v1::AddressFamily::try_from(block.family) {
        Ok(v1::AddressFamily::Unspecified | v1::AddressFamily::Ipv4) => false,
        Ok(v1::AddressFamily::Ipv6) => true,
        Err(_) => {
            violations.add("requirement.family", format!("{} is not a value of AddressFamily", block.family));
            false
        }
    };
    Requirement {
        owner: given(&block.owner),
        tag: violations.slug("requirement.tag", block.tag),
        role: violations.slug("requirement.role", block.role),
        scope: violations.scope_filter("requirement.vrf", cache, block.vrf.as_ref()),
        min_days_left: (block.min_days_left > 0).then_some(block.min_days_left),
        clean: block.clean_reputation,
        ipv6,
    }
}

fn purpose(violations: &mut Violations, number: i32) -> Purpose {
    match v1::AllocationPurpose::try_from(number) {
        Ok(v1::AllocationPurpose::Unspecified | v1::AllocationPurpose::General) => Purpose::General,
        Ok(v1::AllocationPurpose::Mail) => Purpose::Mail,
        Err(_) => {
            violations.add("purpose", format!("{number} is not a value of AllocationPurpose"));
            Purpose::General
        }
    }
}
