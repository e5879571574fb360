//! Traces in NetBox of a request that the ledger does not know: another ledger began it, or this one was lost.

use super::error::Error;
use super::executor::Executor;
use super::operation::{Operation, Plan, Planned, Traces};
use super::ports::WrittenRecords;
use super::run::Run;
use crate::ledger::IntentKind;
use crate::model::Address;
use crate::netbox::ObjectKind;

/// What stands before the first request of a run.
pub(super) enum Prospect {
    Plan(Plan),
    /// The space that it needs is reserved by other open writes.
    HeldByOthers,
    /// Records of this request stand already.
    Found(Box<Planned>, WrittenRecords),
}

impl Executor {
    /// Traces of a request that the ledger does not know, as far as they can be had without a read of NetBox (creations), or
    /// must be looked for before anything is changed (changes and deletions).
    pub(super) async fn traces_at_once<O: Operation>(
        &self,
        run: &Run<'_, O>,
    ) -> Result<Option<Traces>, Error> {
        let request = run.operation.request();
        let (addresses, prefix) = {
            let index = self.cache.snapshot()?;
            let (addresses, prefix) = index.allocated(request);
            (
                addresses.into_iter().map(|address| address.id.0).collect::<Vec<_>>(),
                prefix.map(|found| found.id.0),
            )
        };
        if let Some(id) = prefix {
            let found = self.netbox.prefixes_by_id(&[id]).await?.into_iter().next();
            return Ok(found.map(|prefix| Traces::Records(WrittenRecords::Prefix(Box::new(prefix)))));
        }
        if !addresses.is_empty() {
            let found = self.netbox.addresses_by_id(&addresses).await?;
            return Ok(traces_of(found));
        }
        match run.operation.kind() {
            IntentKind::Addresses | IntentKind::Prefix | IntentKind::Assignment | IntentKind::PoolFill => {
                Ok(None)
            }
            IntentKind::Release
            | IntentKind::RegisterLease
            | IntentKind::UpdateLease
            | IntentKind::RenewLease
            | IntentKind::EndLease => {
                let logged = self.netbox.logged(request).await?.filter(|logged| !logged.is_empty());
                Ok(logged.map(Traces::Logged))
            }
        }
    }

    /// Traces of a creation that the ledger does not know, from NetBox itself.
    pub(super) async fn traces_in_netbox<O: Operation>(
        &self,
        run: &Run<'_, O>,
    ) -> Result<Option<Traces>, Error> {
        let request = run.operation.request();
        match run.operation.kind() {
            IntentKind::Addresses | IntentKind::Assignment | IntentKind::PoolFill => {
                let found = self.netbox.addresses_of(request, run.operation.count()).await?;
                Ok(traces_of(found))
            }
            IntentKind::Prefix | IntentKind::RegisterLease => {
                let found = self.netbox.prefix_of(request).await?;
                Ok(found.map(|prefix| Traces::Records(WrittenRecords::Prefix(Box::new(prefix)))))
            }
            IntentKind::Release | IntentKind::UpdateLease | IntentKind::RenewLease | IntentKind::EndLease => {
                Ok(None)
            }
        }
    }

    /// What the ledger keeps of traces, if they are those of this command.
    pub(super) fn adopt<O: Operation>(&self, run: &Run<'_, O>, traces: Traces) -> Result<Prospect, Error> {
        let request = run.operation.request();
        let index = self.cache.snapshot()?;
        let planned = run.operation.adopt(&index, &traces);
        let mut planned = planned.ok_or_else(|| Error::RequestIdReused { request: request.clone() })?;
        tracing::info!(%request, method = run.operation.method(),
            "NetBox has the outcome of a request that the ledger does not know");
        let records = match traces {
            Traces::Records(records) => records,
            Traces::Logged(_) => WrittenRecords::Deleted,
        };
        planned.detail.made = ids_of(&records).into_iter().map(|(_, id)| id).collect();
        Ok(Prospect::Found(Box::new(planned), records))
    }
}

/// Traces, if there are any.
fn traces_of(found: Vec<Address>) -> Option<Traces> {
    (!found.is_empty()).then_some(Traces::Records(WrittenRecords::Addresses(found)))
}

/// The kinds and ids of records.
pub(super) fn ids_of(records: &WrittenRecords) -> Vec<(ObjectKind, u64)> {
    match records {
        WrittenRecords::Addresses(list) => {
            list.iter().map(|record| (ObjectKind::Address, record.id.0)).collect()
        }
        WrittenRecords::Prefix(prefix) => vec![(ObjectKind::Prefix, prefix.id.0)],
        WrittenRecords::Deleted => Vec::new(),
    }
}
