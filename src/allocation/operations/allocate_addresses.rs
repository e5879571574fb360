//! AllocateAddresses: free addresses of one prefix, all of them or none.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::reserved::single_addresses;
use crate::allocation::commands::{AllocateAddresses, ParentSelector};
use crate::allocation::error::Error;
use crate::allocation::fingerprint::Fingerprinted as _;
use crate::allocation::operation::{Finished, Operation, Plan, PlanContext, Planned, Traces};
use crate::allocation::plan::requirement::SpaceNeeded;
use crate::allocation::plan::{self, Limits, Quarantined};
use crate::allocation::ports::{Write, WrittenRecords};
use crate::allocation::queue::Turn;
use crate::cache::{Index, PrefixKey};
use crate::ledger::{Detail, Fingerprint, IntentKind};
use crate::model::{Address, Network, Prefix, RequestId, VrfScope};

/// The addresses that a command allocated.
#[derive(Clone, Debug)]
pub struct Allocated {
    /// In the order of their index in the request.
    pub addresses: Vec<Arc<Address>>,
    /// The prefix that they came from; `None` if it has been deleted since.
    pub parent: Option<Arc<Prefix>>,
    /// Whether an earlier call with the same request id allocated them.
    pub repeated: bool,
}

impl AllocateAddresses {
    /// The parent and the lowest free addresses of it.
    pub(in crate::allocation) fn choose(
        &self,
        context: &PlanContext<'_>,
    ) -> Result<(Arc<Prefix>, Vec<IpNet>), Error> {
        let nothing = Quarantined::default();
        let limits = Limits {
            exclude: &self.exclude,
            quarantined: if self.include_quarantined { &nothing } else { context.quarantined },
            include_children: self.include_children,
            ..context.limits()
        };
        let needed = SpaceNeeded::Addresses(self.count);
        let parent = context.parent(&self.parent, needed, limits, self.purpose)?;
        let picked = plan::pick_addresses(context.index, &parent, limits, self.count);
        if picked.len() < usize::try_from(self.count).unwrap_or(usize::MAX) {
            return Err(Error::Full {
                network: parent.network,
                wanted: self.count,
                free: plan::count_free(&parent, &plan::taken_addresses(context.index, &parent, limits)),
                quarantined: limits.quarantined.within(&parent).count(),
            });
        }
        let chosen = picked.into_iter().map(|address| with_mask(address, parent.network)).collect();
        Ok((parent, chosen))
    }
}

impl Operation for AllocateAddresses {
    type Done = Allocated;

    fn request(&self) -> &RequestId {
        &self.request
    }

    fn kind(&self) -> IntentKind {
        IntentKind::Addresses
    }

    fn method(&self) -> &'static str {
        "AllocateAddresses"
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint_of_body()
    }

    fn count(&self) -> u32 {
        self.count
    }

    fn lane(&self, index: &Index) -> VrfScope {
        lane(&self.parent, index)
    }

    fn turn(&self) -> Turn {
        Turn::Together
    }

    fn plan(&self, context: &PlanContext<'_>) -> Result<Plan, Error> {
        let (parent, chosen) = self.choose(context)?;
        let drafts = self.text.address_drafts(&self.request, self.count);
        let planned = Planned {
            parent: Some(parent.id),
            reserve: single_addresses(parent.scope, chosen.iter().map(IpNet::addr)),
            detail: Detail {
                scope: Some(parent.scope),
                network: Some(parent.network),
                chosen: chosen.clone(),
                include_children: self.include_children,
                ..Detail::default()
            },
        };
        let list = chosen.into_iter().zip(drafts).collect();
        Ok(Plan::write(planned, Write::CreateAddresses { scope: parent.scope, list }))
    }

    fn adopt(&self, index: &Index, traces: &Traces) -> Option<Planned> {
        let Traces::Records(WrittenRecords::Addresses(list)) = traces else { return None };
        // A command that asked for fewer made fewer. One that asked for more may have lost some since.
        if list.len() > usize::try_from(self.count).unwrap_or(usize::MAX) {
            return None;
        }
        let first = list.first()?;
        let parent = match &self.parent {
            ParentSelector::Id(id) => index.prefix(*id).cloned(),
            ParentSelector::Prefix(scope, network) => {
                index.resolve(PrefixKey::Network(*scope, *network)).ok().cloned()
            }
            ParentSelector::Any(_) => index.chain(first.scope, Network::host(first.host())).last().cloned(),
        };
        let inside = |parent: &Prefix| {
            list.iter().all(|address| {
                address.scope == parent.scope && parent.network.contains_address(address.host())
            })
        };
        if parent.as_ref().is_some_and(|parent| !inside(parent)) {
            return None;
        }
        Some(Planned {
            parent: parent.map(|parent| parent.id),
            reserve: Vec::new(),
            detail: Detail {
                scope: Some(first.scope),
                include_children: self.include_children,
                ..Detail::default()
            },
        })
    }

    fn outcome(&self, index: &Index, done: Finished) -> Result<Allocated, Error> {
        let parent = done.parent.and_then(|id| index.prefix(id).cloned());
        let addresses = addresses_of(done.records);
        // NetBox writes a list completely or not at all, so somebody has deleted what is missing.
        if addresses.len() != usize::try_from(self.count).unwrap_or(usize::MAX) {
            return Err(Error::ReleasedSince { request: self.request.clone() });
        }
        Ok(Allocated { addresses, parent, repeated: done.repeated })
    }
}

/// The queue of commands that select a parent. A requirement that names no scope waits with the global table.
pub(super) fn lane(parent: &ParentSelector, index: &Index) -> VrfScope {
    match parent {
        ParentSelector::Prefix(scope, _) => *scope,
        ParentSelector::Id(id) => index.prefix(*id).map_or(VrfScope::Global, |prefix| prefix.scope),
        ParentSelector::Any(requirement) => requirement.scope.unwrap_or_default(),
    }
}

/// An address with the mask of its prefix, as NetBox's `available-ips` gives it.
pub(super) fn with_mask(address: IpAddr, network: Network) -> IpNet {
    // The length belongs to a network of the same family, so it always fits.
    IpNet::new(address, network.length()).unwrap_or_else(|_| IpNet::from(address))
}

/// The records of addresses in the order of their index.
pub(super) fn addresses_of(records: WrittenRecords) -> Vec<Arc<Address>> {
    match records {
        WrittenRecords::Addresses(list) => list.into_iter().map(Arc::new).collect(),
        WrittenRecords::Prefix(_) | WrittenRecords::Deleted => Vec::new(),
    }
}
