//! Allocations and the records of validate_only, as messages.

use ipnet::IpNet;
use jiff::civil::Date;

use super::convert;
use super::parse::View;
use super::proto::v1;
use crate::allocation::{Allocation, AllocationKind, AllocationState, RecordText};
use crate::cache::Index;
use crate::model::{Address, AddressId, Network, Prefix, PrefixId, RecordState, Revision, VrfScope};

/// An allocation, with its records as the snapshot holds them.
pub(super) fn allocation(index: &Index, allocation: &Allocation, today: Date, view: View) -> v1::Allocation {
    let kind = match allocation.kind {
        AllocationKind::Addresses => v1::AllocationKind::Addresses,
        AllocationKind::Prefix => v1::AllocationKind::Prefix,
        AllocationKind::Assignment => v1::AllocationKind::Assignment,
    };
    let state = match allocation.state {
        AllocationState::Pending => v1::AllocationState::Pending,
        AllocationState::Done => v1::AllocationState::Done,
        AllocationState::Failed => v1::AllocationState::Failed,
        AllocationState::Released => v1::AllocationState::Released,
    };
    v1::Allocation {
        request_id: allocation.request.to_string(),
        kind: kind.into(),
        state: state.into(),
        parent_prefix_id: allocation.parent.map_or(0, |id| id.0),
        addresses: allocation.addresses.iter().map(|record| convert::address(index, record, view)).collect(),
        prefix: allocation.prefix.as_ref().map(|prefix| convert::prefix(index, prefix, today, view)),
        create_time: allocation.times.map(|(created, _)| convert::timestamp(created)),
        update_time: allocation.times.map(|(_, updated)| convert::timestamp(updated)),
    }
}

/// The lease that covers a network.
pub(super) fn covering_lease(
    index: &Index,
    scope: VrfScope,
    network: Network,
    today: Date,
) -> Option<v1::Lease> {
    let (prefix, lease) = index.covering_lease(scope, network)?;
    Some(convert::lease(index, prefix, lease, today))
}

/// The record that an address would get. Its id is 0, because it does not exist.
pub(super) fn unwritten_address(interface: IpNet, scope: VrfScope, text: &RecordText) -> Address {
    Address {
        id: AddressId(0),
        interface,
        scope,
        status: text.status.clone(),
        role: text.role.clone(),
        tenant: None,
        tags: Vec::new(),
        dns_name: text.stored_dns_name(),
        description: text.description.clone(),
        allocation: None,
        custom_fields: text.custom_fields.clone(),
        revision: Revision::default(),
        record_state: RecordState::Recorded,
    }
}

/// The record that a child prefix would get. Its id is 0, because it does not exist.
pub(super) fn unwritten_prefix(network: Network, parent: &Prefix, text: &RecordText) -> Prefix {
    Prefix {
        status: text.status.clone(),
        description: text.description.clone(),
        custom_fields: text.custom_fields.clone(),
        is_pool: parent.is_pool,
        mark_utilized: parent.mark_utilized,
        ..Prefix::bare(PrefixId(0), network, parent.scope)
    }
}
