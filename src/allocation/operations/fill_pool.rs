//! FillPool: the addresses that a pool reserves ahead. No caller asks for it.

use super::allocate_addresses::Allocated;
use crate::allocation::commands::AllocateAddresses;
use crate::allocation::error::Error;
use crate::allocation::operation::{Finished, Operation, Plan, PlanContext, Planned, Traces};
use crate::allocation::queue::Turn;
use crate::cache::Index;
use crate::ledger::{Fingerprint, IntentKind};
use crate::model::{RequestId, VrfScope};

/// An allocation that nobody has asked for yet.
pub(in crate::allocation) struct FillPool(pub(in crate::allocation) AllocateAddresses);

impl Operation for FillPool {
    type Done = Allocated;

    fn request(&self) -> &RequestId {
        self.0.request()
    }

    fn kind(&self) -> IntentKind {
        IntentKind::PoolFill
    }

    fn method(&self) -> &'static str {
        "FillPool"
    }

    fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint()
    }

    fn count(&self) -> u32 {
        self.0.count()
    }

    fn lane(&self, index: &Index) -> VrfScope {
        self.0.lane(index)
    }

    fn turn(&self) -> Turn {
        self.0.turn()
    }

    fn plan(&self, context: &PlanContext<'_>) -> Result<Plan, Error> {
        self.0.plan(context)
    }

    fn adopt(&self, index: &Index, traces: &Traces) -> Option<Planned> {
        self.0.adopt(index, traces)
    }

    fn outcome(&self, index: &Index, done: Finished) -> Result<Allocated, Error> {
        self.0.outcome(index, done)
    }
}
