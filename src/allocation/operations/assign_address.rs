//! AssignAddress: the record of one address that the caller names.

use std::sync::Arc;

use ipnet::IpNet;
use jiff::civil::Date;

use super::allocate_addresses::{addresses_of, with_mask};
use super::reserved::single_addresses;
use crate::allocation::commands::AssignAddress;
use crate::allocation::error::Error;
use crate::allocation::fingerprint::Fingerprinted as _;
use crate::allocation::operation::{Finished, Operation, Plan, PlanContext, Planned, Traces};
use crate::allocation::plan::{self, Policy};
use crate::allocation::ports::{Write, WrittenRecords};
use crate::allocation::queue::Turn;
use crate::cache::Index;
use crate::ledger::{Detail, Fingerprint, IntentKind};
use crate::model::{Address, Network, Prefix, RequestId, VrfScope};

/// The record of an assigned address.
#[derive(Clone, Debug)]
pub struct Assigned {
    pub address: Arc<Address>,
    /// Whether an earlier call with the same request id recorded it.
    pub repeated: bool,
}

impl AssignAddress {
    /// The most specific prefix that contains the address, and the address with its mask, if the address can be recorded.
    pub(in crate::allocation) fn choose(
        &self,
        index: &Index,
        policy: &Policy,
        today: Date,
    ) -> Result<(Arc<Prefix>, IpNet), Error> {
        let (address, scope) = (self.address, self.scope);
        let lookup = index.lookup(scope, address);
        let parent = lookup.chain.last().ok_or(Error::NoContainingPrefix { address, scope })?;
        if !lookup.records.is_empty() {
            return Err(Error::AddressTaken { address, scope });
        }
        if !plan::is_usable(parent, address) {
            return Err(Error::NotAssignable { address, network: parent.network });
        }
        // Which prefix to use is the caller's decision here; a block that was given back is nobody's.
        let refused = policy.ended(index, parent, today);
        if !refused.is_empty() {
            return Err(Error::Refused { network: parent.network, refused });
        }
        Ok(((*parent).clone(), with_mask(address, parent.network)))
    }
}

impl Operation for AssignAddress {
    type Done = Assigned;

    fn request(&self) -> &RequestId {
        &self.request
    }

    fn kind(&self) -> IntentKind {
        IntentKind::Assignment
    }

    fn method(&self) -> &'static str {
        "AssignAddress"
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint_of_body()
    }

    fn lane(&self, _: &Index) -> VrfScope {
        self.scope
    }

    fn turn(&self) -> Turn {
        Turn::Together
    }

    fn plan(&self, context: &PlanContext<'_>) -> Result<Plan, Error> {
        let (parent, interface) = self.choose(context.index, context.policy, context.today)?;
        let draft = self.text.address_drafts(&self.request, 1).into_iter().next().unwrap_or_default();
        let planned = Planned {
            parent: Some(parent.id),
            reserve: single_addresses(self.scope, [self.address].into_iter()),
            detail: Detail {
                scope: Some(self.scope),
                chosen: vec![interface],
                include_children: true,
                ..Detail::default()
            },
        };
        let write = Write::CreateAddresses { scope: self.scope, list: vec![(interface, draft)] };
        Ok(Plan::write(planned, write))
    }

    fn adopt(&self, index: &Index, traces: &Traces) -> Option<Planned> {
        let Traces::Records(WrittenRecords::Addresses(list)) = traces else { return None };
        let [found] = list.as_slice() else { return None };
        if found.host() != self.address || found.scope != self.scope {
            return None;
        }
        let parent = index.chain(self.scope, Network::host(self.address)).last();
        Some(Planned {
            parent: parent.map(|parent| parent.id),
            reserve: Vec::new(),
            detail: Detail { scope: Some(self.scope), include_children: true, ..Detail::default() },
        })
    }

    fn outcome(&self, _: &Index, done: Finished) -> Result<Assigned, Error> {
        let address = addresses_of(done.records).into_iter().next();
        let address = address.ok_or_else(|| Error::ReleasedSince { request: self.request.clone() })?;
        Ok(Assigned { address, repeated: done.repeated })
    }
}
