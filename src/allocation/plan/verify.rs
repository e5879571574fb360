//! What speaks against records that were just written. Pure.
//!
//! NetBox does not check a child prefix that appears around an address, a prefix inside or around a new one, or a second record of an
//! address where uniqueness is not enforced. Anybody else's record is an objection, whichever was first: a lower id may have been
//! committed later.

use std::fmt;
use std::net::IpAddr;

use jiff::civil::Date;

use super::free_space::scopes_inside;
use super::policy::Policy;
use crate::cache::Index;
use crate::model::{AddressId, Network, Prefix, PrefixId, VrfScope};

/// What was written, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    pub scope: VrfScope,
    /// The prefix that it came from.
    pub parent: Option<PrefixId>,
    pub space: PlacedSpace,
    /// Whether the addresses may be inside child prefixes.
    pub include_children: bool,
}

/// The space that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlacedSpace {
    /// Addresses that were chosen.
    Addresses(Vec<IpAddr>),
    /// An address that the caller named.
    Named(IpAddr),
    /// A child prefix that was chosen.
    Block(Network),
    /// A prefix that was registered with its lease. It may contain and be contained.
    Registered(Network),
}

/// Something that speaks against a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    SameAddress {
        address: IpAddr,
        id: AddressId,
    },
    InChild {
        address: IpAddr,
        child: Network,
    },
    /// NetBox chose it, and it was released a short time ago.
    Quarantined {
        address: IpAddr,
    },
    SameNetwork {
        network: Network,
        id: PrefixId,
    },
    OverlappingPrefix {
        network: Network,
    },
    AddressInside {
        address: IpAddr,
    },
    RangeInside {
        first: IpAddr,
        last: IpAddr,
    },
    ParentGone {
        id: PrefixId,
    },
    ParentRefused {
        network: Network,
        reason: String,
    },
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameAddress { address, id } => write!(f, "{address} is recorded too by address {id}"),
            Self::InChild { address, child } => write!(f, "{address} is inside the child prefix {child}"),
            Self::Quarantined { address } => write!(f, "{address} is in quarantine"),
            Self::SameNetwork { network, id } => write!(f, "{network} is recorded too by prefix {id}"),
            Self::OverlappingPrefix { network } => write!(f, "{network} overlaps the block"),
            Self::AddressInside { address } => write!(f, "{address} inside the block is recorded"),
            Self::RangeInside { first, last } => write!(f, "the range {first} to {last} overlaps the block"),
            Self::ParentGone { id } => write!(f, "the parent prefix {id} is gone"),
            Self::ParentRefused { network, reason } => {
                write!(f, "{network} may not be used any more: {reason}")
            }
        }
    }
}

/// Every objection to a placement, given an index that is up to date with what was written since the plan. `own` are the ids of
/// the records that were written.
pub fn objections(
    index: &Index,
    policy: &Policy,
    today: Date,
    placement: &Placement,
    own: &[u64],
) -> Vec<Objection> {
    let mut found = Vec::new();
    let parent = placement.parent.and_then(|id| index.prefix(id));
    if !matches!(placement.space, PlacedSpace::Registered(_)) {
        match (placement.parent, parent) {
            (Some(id), None) => found.push(Objection::ParentGone { id }),
            (_, Some(parent)) => {
                let network = parent.network;
                let ended = policy.ended(index, parent, today).into_iter();
                found.extend(
                    ended.map(|refused| Objection::ParentRefused { network, reason: refused.reason }),
                );
            }
            (None, None) => {}
        }
    }
    match &placement.space {
        PlacedSpace::Addresses(addresses) => {
            let scopes = parent.map_or_else(|| vec![placement.scope], |parent| scopes_inside(index, parent));
            for address in addresses {
                same_address(index, &scopes, *address, own, &mut found);
                if let Some(parent) = parent
                    && !placement.include_children
                {
                    in_child(index, &scopes, parent, *address, &mut found);
                }
            }
        }
        PlacedSpace::Named(address) => same_address(index, &[placement.scope], *address, own, &mut found),
        PlacedSpace::Block(block) => {
            let scopes = parent.map_or_else(|| vec![placement.scope], |parent| scopes_inside(index, parent));
            for scope in scopes {
                in_block(index, scope, parent.map(|parent| &**parent), *block, own, &mut found);
            }
        }
        PlacedSpace::Registered(network) => {
            let rivals = index.prefixes_at(placement.scope, *network).iter();
            found.extend(
                rivals
                    .filter(|prefix| !own.contains(&prefix.id.0))
                    .map(|prefix| Objection::SameNetwork { network: *network, id: prefix.id }),
            );
        }
    }
    found
}

fn same_address(
    index: &Index,
    scopes: &[VrfScope],
    address: IpAddr,
    own: &[u64],
    found: &mut Vec<Objection>,
) {
    for scope in scopes {
        let rivals = index.addresses_at(*scope, address).iter();
        found.extend(
            rivals
                .filter(|record| !own.contains(&record.id.0))
                .map(|record| Objection::SameAddress { address, id: record.id }),
        );
    }
}

/// A child prefix of the parent that contains the address.
fn in_child(
    index: &Index,
    scopes: &[VrfScope],
    parent: &Prefix,
    address: IpAddr,
    found: &mut Vec<Objection>,
) {
    for scope in scopes {
        let children = index
            .chain(*scope, Network::host(address))
            .filter(|child| parent.network.contains(child.network) && child.network != parent.network);
        found.extend(children.map(|child| Objection::InChild { address, child: child.network }));
    }
}

/// Whatever stands inside a block, and whatever stands around it below its parent.
fn in_block(
    index: &Index,
    scope: VrfScope,
    parent: Option<&Prefix>,
    block: Network,
    own: &[u64],
    found: &mut Vec<Objection>,
) {
    let foreign = |prefix: &&std::sync::Arc<Prefix>| !own.contains(&prefix.id.0);
    for prefix in index.prefixes_within(scope, block).filter(foreign) {
        found.push(if prefix.network == block {
            Objection::SameNetwork { network: block, id: prefix.id }
        } else {
            Objection::OverlappingPrefix { network: prefix.network }
        });
    }
    if let Some(parent) = parent {
        let around = index.chain(scope, block).filter(foreign).filter(|prefix| {
            prefix.network != block
                && prefix.network != parent.network
                && parent.network.contains(prefix.network)
        });
        found.extend(around.map(|prefix| Objection::OverlappingPrefix { network: prefix.network }));
    }
    let addresses = index.addresses_within(scope, block);
    found.extend(addresses.map(|record| Objection::AddressInside { address: record.host() }));
    let ranges = index.ranges_touching(scope, block);
    found.extend(ranges.map(|range| Objection::RangeInside { first: range.start, last: range.end }));
}
