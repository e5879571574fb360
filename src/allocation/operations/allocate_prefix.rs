//! AllocatePrefix: a free child prefix of a parent.

use std::sync::Arc;

use super::allocate_addresses::lane;
use super::reserved::whole;
use crate::allocation::commands::{AllocatePrefix, ParentSelector};
use crate::allocation::error::Error;
use crate::allocation::fingerprint::Fingerprinted as _;
use crate::allocation::operation::{Finished, Operation, Plan, PlanContext, Planned, Traces};
use crate::allocation::plan::requirement::SpaceNeeded;
use crate::allocation::plan::{self, Limits};
use crate::allocation::ports::{Write, WrittenRecords};
use crate::cache::{Index, PrefixKey};
use crate::ledger::{Detail, Fingerprint, IntentKind};
use crate::model::{Network, Prefix, RequestId, VrfScope};

/// The child prefix that a command allocated.
#[derive(Clone, Debug)]
pub struct AllocatedPrefix {
    pub prefix: Arc<Prefix>,
    /// The prefix that it came from; `None` if it has been deleted since.
    pub parent: Option<Arc<Prefix>>,
    /// Whether an earlier call with the same request id allocated it.
    pub repeated: bool,
}

impl AllocatePrefix {
    /// The parent and the lowest free block of it.
    pub(in crate::allocation) fn choose(
        &self,
        context: &PlanContext<'_>,
    ) -> Result<(Arc<Prefix>, Network), Error> {
        let limits = Limits { exclude: &self.exclude, ..context.limits() };
        let needed = SpaceNeeded::Block(self.length);
        let parent = context.parent(&self.parent, needed, limits, self.purpose)?;
        let network = parent.network;
        if self.length <= network.length() || self.length > network.max_length() {
            return Err(Error::Length { network, length: self.length });
        }
        let taken = plan::taken_blocks(context.index, &parent, limits);
        match plan::lowest_block(&parent, &taken, self.length) {
            Some(block) => Ok((parent, block)),
            None => {
                let largest = plan::largest_block(&parent, &taken);
                Err(Error::NoBlock { network, length: self.length, largest })
            }
        }
    }
}

impl Operation for AllocatePrefix {
    type Done = AllocatedPrefix;

    fn request(&self) -> &RequestId {
        &self.request
    }

    fn kind(&self) -> IntentKind {
        IntentKind::Prefix
    }

    fn method(&self) -> &'static str {
        "AllocatePrefix"
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint_of_body()
    }

    fn lane(&self, index: &Index) -> VrfScope {
        lane(&self.parent, index)
    }

    fn plan(&self, context: &PlanContext<'_>) -> Result<Plan, Error> {
        let (parent, block) = self.choose(context)?;
        let planned = Planned {
            parent: Some(parent.id),
            reserve: whole(parent.scope, block),
            detail: Detail { scope: Some(parent.scope), network: Some(block), ..Detail::default() },
        };
        let draft = self.text.prefix_draft(&self.request);
        let write = Write::CreatePrefix { scope: parent.scope, network: block, draft };
        Ok(Plan::write(planned, write))
    }

    fn adopt(&self, index: &Index, traces: &Traces) -> Option<Planned> {
        let Traces::Records(WrittenRecords::Prefix(found)) = traces else { return None };
        // A lease that was registered under the same request id has made a record, too. It is no child of this length.
        if found.network.length() != self.length {
            return None;
        }
        let parent = match &self.parent {
            ParentSelector::Id(id) => index.prefix(*id).cloned(),
            ParentSelector::Prefix(scope, network) => {
                index.resolve(PrefixKey::Network(*scope, *network)).ok().cloned()
            }
            ParentSelector::Any(_) => index
                .chain(found.scope, found.network)
                .filter(|around| around.network != found.network)
                .last()
                .cloned(),
        };
        let child_of = |parent: &Prefix| {
            parent.scope == found.scope
                && parent.network != found.network
                && parent.network.contains(found.network)
        };
        if parent.as_ref().is_some_and(|parent| !child_of(parent)) {
            return None;
        }
        Some(Planned {
            parent: parent.map(|parent| parent.id),
            reserve: Vec::new(),
            detail: Detail { scope: Some(found.scope), network: Some(found.network), ..Detail::default() },
        })
    }

    fn outcome(&self, index: &Index, done: Finished) -> Result<AllocatedPrefix, Error> {
        let WrittenRecords::Prefix(prefix) = done.records else {
            return Err(Error::ReleasedSince { request: self.request.clone() });
        };
        let parent = done.parent.and_then(|id| index.prefix(id).cloned());
        Ok(AllocatedPrefix { prefix: Arc::new(*prefix), parent, repeated: done.repeated })
    }
}
