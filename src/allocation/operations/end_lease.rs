//! EndLease: the prefix loses its lease and becomes deprecated, or is deleted.

use std::sync::Arc;

use super::change_lease::{current, lane, logged_change, planned};
use super::reserved::whole;
use crate::allocation::commands::LeaseCommand;
use crate::allocation::error::Error;
use crate::allocation::fingerprint::Fingerprinted as _;
use crate::allocation::operation::{Finished, Operation, Plan, PlanContext, Planned, Preparation, Traces};
use crate::allocation::ports::Write;
use crate::cache::Index;
use crate::lease::EndLease;
use crate::ledger::{Fingerprint, IntentKind};
use crate::model::{Address, Prefix, RequestId, VrfScope};

/// The lease that was ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The prefix with its lease, as it was before.
    pub before: Arc<Prefix>,
    /// The number of addresses of the prefix that are recorded.
    pub addresses_in_use: u64,
}

impl LeaseCommand<EndLease> {
    /// The prefix, and how many of its addresses are recorded, if its lease may end. Only addresses that count are counted.
    pub(in crate::allocation) fn check(
        &self,
        index: &Index,
        counts: impl Fn(&Address) -> bool,
    ) -> Result<(Arc<Prefix>, u64), Error> {
        let (prefix, _) = current(index, self)?;
        let (addresses, children) = in_use(index, prefix, counts);
        self.change.check(prefix.network, addresses, children)?;
        Ok((prefix.clone(), addresses))
    }
}

/// How many addresses and child prefixes stand in a prefix. In a container of the global table, what stands in VRFs counts too,
/// as in NetBox.
fn in_use(index: &Index, prefix: &Prefix, counts: impl Fn(&Address) -> bool) -> (u64, u64) {
    let everywhere = prefix.scope == VrfScope::Global && prefix.status == "container";
    let scopes: Vec<VrfScope> = if everywhere { index.scopes().collect() } else { vec![prefix.scope] };
    let (mut addresses, mut children) = (0, 0);
    for scope in scopes {
        let recorded = index.addresses_within(scope, prefix.network);
        addresses += recorded.filter(|record| counts(record)).count() as u64;
        let inside = index.prefixes_within(scope, prefix.network);
        children += inside.filter(|child| child.id != prefix.id).count() as u64;
    }
    (addresses, children)
}

impl Operation for LeaseCommand<EndLease> {
    type Done = Ended;

    fn request(&self) -> &RequestId {
        &self.request
    }

    fn kind(&self) -> IntentKind {
        IntentKind::EndLease
    }

    fn method(&self) -> &'static str {
        "EndLease"
    }

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint_of_body()
    }

    fn lane(&self, index: &Index) -> VrfScope {
        lane(index, self)
    }

    fn preparation(&self) -> Preparation<'_> {
        // An address that another server or a person recorded a moment ago counts as in use.
        Preparation::CatchUp
    }

    fn second_look(&self) -> Preparation<'_> {
        Preparation::CatchUp
    }

    fn plan(&self, context: &PlanContext<'_>) -> Result<Plan, Error> {
        let (prefix, addresses) = self.check(context.index, |_| true)?;
        let after = (!self.change.delete_prefix).then(|| self.change.preview(&prefix));
        let mut planned = planned(&prefix, after);
        // Nobody allocates from the block while its lease ends.
        planned.reserve = whole(prefix.scope, prefix.network);
        planned.detail.addresses_in_use = addresses;
        planned.detail.deleted_prefix = self.change.delete_prefix;
        let read = prefix.revision.clone();
        let write = if self.change.delete_prefix {
            Write::DeletePrefix { id: prefix.id, read }
        } else {
            Write::PatchPrefix { id: prefix.id, read, draft: EndLease::draft() }
        };
        Ok(Plan::write(planned, write))
    }

    fn adopt(&self, index: &Index, traces: &Traces) -> Option<Planned> {
        let (before, after) = logged_change(self, traces)?;
        let ended = after.as_ref().is_none_or(|after| after.lease.is_none());
        if !ended || after.is_none() != self.change.delete_prefix {
            return None;
        }
        let (addresses, _) = in_use(index, &before, |_| true);
        let mut planned = planned(&before, after);
        planned.detail.addresses_in_use = addresses;
        planned.detail.deleted_prefix = self.change.delete_prefix;
        Some(planned)
    }

    fn outcome(&self, _: &Index, done: Finished) -> Result<Ended, Error> {
        let before = done.detail.before.ok_or(Error::TaskLost)?;
        Ok(Ended { before: Arc::new(*before), addresses_in_use: done.detail.addresses_in_use })
    }
}
