//! UpdateLease: agreed values of a lease, except its last day.

use std::sync::Arc;

use super::change_lease::{current, lane, logged_change, planned};
use crate::allocation::commands::LeaseCommand;
use crate::allocation::error::Error;
use crate::allocation::fingerprint::Fingerprinted as _;
use crate::allocation::operation::{Finished, Operation, Plan, PlanContext, Planned, Traces};
use crate::allocation::ports::Write;
use crate::cache::Index;
use crate::lease::UpdateLease;
use crate::ledger::{Fingerprint, IntentKind};
use crate::model::{Prefix, RequestId, VrfScope};
use crate::netbox::PrefixDraft;

/// The lease after an update.
#[derive(Clone, Debug)]
pub struct Updated {
    pub prefix: Arc<Prefix>,
}

impl Operation for LeaseCommand<UpdateLease> {
    type Done = Updated;

    fn request(&self) -> &RequestId {
        &self.request
    }

    fn kind(&self) -> IntentKind {
        IntentKind::UpdateLease
    }

    fn method(&self) -> &'static str {
        "UpdateLease"
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint_of_body()
    }

    fn lane(&self, index: &Index) -> VrfScope {
        lane(index, self)
    }

    fn plan(&self, context: &PlanContext<'_>) -> Result<Plan, Error> {
        let (prefix, lease) = current(context.index, self)?;
        let draft = self.change.draft(prefix, lease)?;
        if draft == PrefixDraft::default() {
            return Ok(Plan::Nothing(Box::new(planned(prefix, Some(Prefix::clone(prefix))))));
        }
        let after = self.change.preview(prefix, lease);
        let write = Write::PatchPrefix { id: prefix.id, read: prefix.revision.clone(), draft };
        Ok(Plan::write(planned(prefix, Some(after)), write))
    }

    fn adopt(&self, _: &Index, traces: &Traces) -> Option<Planned> {
        let (before, after) = logged_change(self, traces)?;
        Some(planned(&before, Some(after?)))
    }

    fn outcome(&self, _: &Index, done: Finished) -> Result<Updated, Error> {
        let prefix = done.detail.after.ok_or(Error::TaskLost)?;
        Ok(Updated { prefix: Arc::new(*prefix) })
    }
}
