//! RegisterLease: the lease of a prefix, which is created if NetBox does not have it.

use std::sync::Arc;

use super::reserved::whole;
use crate::allocation::error::Error;
use crate::allocation::fingerprint::Fingerprinted as _;
use crate::allocation::operation::{Finished, Operation, Plan, PlanContext, Planned, Preparation, Traces};
use crate::allocation::ports::{Write, WrittenRecords};
use crate::cache::{Index, PrefixKey, ResolveError};
use crate::lease::{RegisterLease, RegistrationPlan};
use crate::ledger::{Detail, Fingerprint, IntentKind};
use crate::model::{Prefix, RequestId, VrfScope};

/// The lease after a registration.
#[derive(Clone, Debug)]
pub struct Registered {
    pub prefix: Arc<Prefix>,
    /// Whether NetBox had the prefix before.
    pub adopted: bool,
}

/// The prefix that a registration is about; `None` if the snapshot does not have it.
pub(in crate::allocation) fn recorded(
    index: &Index,
    command: &RegisterLease,
) -> Result<Option<Arc<Prefix>>, Error> {
    match index.resolve(PrefixKey::Network(command.scope, command.network)) {
        Ok(prefix) => Ok(Some(prefix.clone())),
        Err(ResolveError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Operation for RegisterLease {
    type Done = Registered;

    fn request(&self) -> &RequestId {
        &self.request
    }

    fn kind(&self) -> IntentKind {
        IntentKind::RegisterLease
    }

    fn method(&self) -> &'static str {
        "RegisterLease"
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint_of_body()
    }

    fn lane(&self, _: &Index) -> VrfScope {
        self.scope
    }

    fn preparation(&self) -> Preparation<'_> {
        // The cache may be seconds behind somebody who created the prefix in NetBox, and NetBox may accept duplicates.
        Preparation::ReadNetwork(self.scope, self.network)
    }

    fn plan(&self, context: &PlanContext<'_>) -> Result<Plan, Error> {
        let recorded = recorded(context.index, self)?;
        let after = Box::new(self.preview(recorded.as_deref()));
        let planned = |before: Option<Box<Prefix>>| Planned {
            parent: before.as_ref().map(|prefix| prefix.id),
            reserve: whole(self.scope, self.network),
            detail: Detail {
                scope: Some(self.scope),
                network: Some(self.network),
                adopted: before.is_some(),
                before,
                after: Some(after.clone()),
                ..Detail::default()
            },
        };
        let before = recorded.as_deref().cloned().map(Box::new);
        Ok(match (self.plan(recorded.as_deref())?, before) {
            (RegistrationPlan::Create(draft), _) => {
                let write = Write::CreatePrefix { scope: self.scope, network: self.network, draft };
                Plan::write(planned(None), write)
            }
            (RegistrationPlan::Adopt(draft), Some(before)) => {
                let write = Write::PatchPrefix { id: before.id, read: before.revision.clone(), draft };
                Plan::write(planned(Some(before)), write)
            }
            (RegistrationPlan::Nothing, before) => Plan::Nothing(Box::new(planned(before))),
            // `plan` adopts only what is recorded.
            (RegistrationPlan::Adopt(_), None) => return Err(Error::Contended),
        })
    }

    fn adopt(&self, _: &Index, traces: &Traces) -> Option<Planned> {
        let (before, after) = match traces {
            Traces::Records(WrittenRecords::Prefix(found)) => (None, Prefix::clone(found)),
            Traces::Records(_) => return None,
            Traces::Logged(logged) => {
                let (before, after) = logged.prefixes.last()?;
                (before.clone(), after.clone()?)
            }
        };
        let lease = after.lease.as_deref()?;
        let same = after.network == self.network
            && after.scope == self.scope
            && lease.owner.as_deref() == Some(self.owner.as_str());
        if !same {
            return None;
        }
        Some(Planned {
            parent: Some(after.id),
            reserve: Vec::new(),
            detail: Detail {
                scope: Some(self.scope),
                network: Some(self.network),
                adopted: before.is_some(),
                before: before.map(Box::new),
                after: Some(Box::new(after)),
                ..Detail::default()
            },
        })
    }

    fn outcome(&self, _: &Index, done: Finished) -> Result<Registered, Error> {
        let prefix = done.detail.after.ok_or(Error::TaskLost)?;
        Ok(Registered { prefix: Arc::new(*prefix), adopted: done.detail.adopted })
    }
}
