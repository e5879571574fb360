//! RenewLease: the last day of a lease moves.

use std::sync::Arc;

use jiff::civil::Date;

use super::change_lease::{current, lane, logged_change, planned};
use crate::allocation::commands::LeaseCommand;
use crate::allocation::error::Error;
use crate::allocation::fingerprint::Fingerprinted as _;
use crate::allocation::operation::{Finished, Operation, Plan, PlanContext, Planned, Traces};
use crate::allocation::ports::Write;
use crate::cache::Index;
use crate::lease::RenewLease;
use crate::ledger::{Fingerprint, IntentKind};
use crate::model::{Prefix, RequestId, VrfScope};
use crate::netbox::PrefixDraft;

/// The lease after a renewal.
#[derive(Clone, Debug)]
pub struct Renewed {
    pub prefix: Arc<Prefix>,
    pub previous_expiry: Option<Date>,
}

impl Operation for LeaseCommand<RenewLease> {
    type Done = Renewed;

    fn request(&self) -> &RequestId {
        &self.request
    }

    fn kind(&self) -> IntentKind {
        IntentKind::RenewLease
    }

    fn method(&self) -> &'static str {
        "RenewLease"
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint_of_body()
    }

    fn lane(&self, index: &Index) -> VrfScope {
        lane(index, self)
    }

    fn plan(&self, context: &PlanContext<'_>) -> Result<Plan, Error> {
        let (prefix, lease) = current(context.index, self)?;
        let renewed = self.change.apply(lease)?;
        let fields = RenewLease::changes(lease, &renewed);
        let after = Prefix { lease: Some(Box::new(renewed)), ..Prefix::clone(prefix) };
        let planned = planned(prefix, Some(after));
        if fields.is_empty() {
            return Ok(Plan::Nothing(Box::new(planned)));
        }
        let draft = PrefixDraft { fields, ..PrefixDraft::default() };
        let write = Write::PatchPrefix { id: prefix.id, read: prefix.revision.clone(), draft };
        Ok(Plan::write(planned, write))
    }

    fn adopt(&self, _: &Index, traces: &Traces) -> Option<Planned> {
        let (before, after) = logged_change(self, traces)?;
        let after = after?;
        let moved = after.lease.as_ref().is_some_and(|lease| lease.term.expiry == Some(self.change.expiry));
        moved.then(|| planned(&before, Some(after)))
    }

    fn outcome(&self, _: &Index, done: Finished) -> Result<Renewed, Error> {
        let before = done.detail.before.and_then(|before| before.lease);
        let prefix = done.detail.after.ok_or(Error::TaskLost)?;
        Ok(Renewed { prefix: Arc::new(*prefix), previous_expiry: before.and_then(|lease| lease.term.expiry) })
    }
}
