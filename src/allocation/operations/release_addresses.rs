//! ReleaseAddresses: deletes the records of addresses from NetBox and puts the addresses into quarantine.

use std::sync::Arc;

use crate::allocation::commands::{ReleaseAddresses, ReleaseCommand};
use crate::allocation::error::Error;
use crate::allocation::fingerprint::Fingerprinted as _;
use crate::allocation::operation::{Finished, Operation, Plan, PlanContext, Planned, Preparation, Traces};
use crate::allocation::plan::release::selected;
use crate::allocation::ports::Write;
use crate::allocation::queue::Turn;
use crate::cache::Index;
use crate::ledger::{Detail, Fingerprint, IntentKind};
use crate::model::{Address, RequestId, VrfScope};

/// The addresses that a command released.
#[derive(Clone, Debug)]
pub struct Released {
    /// Their records as they were before.
    pub addresses: Vec<Arc<Address>>,
}

impl Operation for ReleaseCommand {
    type Done = Released;

    fn request(&self) -> &RequestId {
        &self.request
    }

    fn kind(&self) -> IntentKind {
        IntentKind::Release
    }

    fn method(&self) -> &'static str {
        "ReleaseAddresses"
    }

    fn fingerprint(&self) -> Fingerprint {
        self.selection.fingerprint_of_body()
    }

    fn lane(&self, index: &Index) -> VrfScope {
        match &self.selection {
            ReleaseAddresses::Addresses { scope, .. } => *scope,
            ReleaseAddresses::Allocation(target) => {
                index.allocated(target).0.first().map_or(VrfScope::Global, |address| address.scope)
            }
        }
    }

    fn turn(&self) -> Turn {
        Turn::Together
    }

    fn preparation(&self) -> Preparation<'_> {
        match &self.selection {
            ReleaseAddresses::Addresses { scope, addresses, .. } => {
                Preparation::ReadAddresses(*scope, addresses)
            }
            ReleaseAddresses::Allocation(target) => Preparation::ReadAllocation(target),
        }
    }

    fn plan(&self, context: &PlanContext<'_>) -> Result<Plan, Error> {
        // A resumed release deletes the records that the intent lists: other records may have these addresses by now.
        let (released, left) = match context.stored {
            Some(stored) => {
                let left: Vec<_> = context.prepared.target_records.iter().map(|record| record.id).collect();
                (stored.released.clone(), left)
            }
            None => {
                let prepared = context.prepared;
                let records = selected(
                    context.index,
                    &self.selection,
                    prepared.target.as_ref(),
                    &prepared.target_records,
                )?;
                let ids = records.iter().map(|record| record.id).collect();
                (records, ids)
            }
        };
        let detail = Detail { released, ..Detail::default() };
        let planned = Planned { parent: None, reserve: Vec::new(), detail };
        if left.is_empty() {
            return Ok(Plan::Nothing(Box::new(planned)));
        }
        Ok(Plan::write(planned, Write::DeleteAddresses { ids: left }))
    }

    fn adopt(&self, _: &Index, traces: &Traces) -> Option<Planned> {
        let Traces::Logged(logged) = traces else { return None };
        let deleted =
            |(before, after): &(Option<Address>, Option<Address>)| before.clone().filter(|_| after.is_none());
        let released: Vec<Address> = logged.addresses.iter().filter_map(deleted).collect();
        let same = match &self.selection {
            ReleaseAddresses::Allocation(_) => true,
            ReleaseAddresses::Addresses { scope, addresses, .. } => {
                released.iter().all(|record| record.scope == *scope && addresses.contains(&record.host()))
            }
        };
        if released.is_empty() || !same || !logged.prefixes.is_empty() {
            return None;
        }
        let detail = Detail { released, ..Detail::default() };
        Some(Planned { detail, ..Planned::default() })
    }

    fn outcome(&self, _: &Index, done: Finished) -> Result<Released, Error> {
        Ok(Released { addresses: done.detail.released.into_iter().map(Arc::new).collect() })
    }
}
