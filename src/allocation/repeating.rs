//! The answer to a request that was answered before.

use super::error::Error;
use super::executor::Executor;
use super::operation::{Finished, Operation};
use super::ports::WrittenRecords;
use crate::cache::Batch;
use crate::ledger::{Intent, IntentKind};
use crate::model::{Address, AddressId};

impl Executor {
    /// The answer to a request that was answered before.
    pub(super) async fn repeat<O: Operation>(&self, operation: &O, intent: Intent) -> Result<O::Done, Error> {
        let records = self.recorded(&intent).await?;
        let Intent { parent, detail, .. } = intent;
        operation.outcome(&*self.cache.snapshot()?, Finished { parent, detail, records, repeated: true })
    }

    /// The records that a done intent made, as they are now, found by their ids: people edit the rest.
    async fn recorded(&self, intent: &Intent) -> Result<WrittenRecords, Error> {
        let released = || Error::ReleasedSince { request: intent.request.clone() };
        let made = &intent.detail.made;
        match intent.kind {
            IntentKind::Addresses | IntentKind::Assignment | IntentKind::PoolFill => {
                let index = self.cache.snapshot()?;
                let cached: Vec<_> =
                    made.iter().filter_map(|id| index.address(AddressId(*id)).cloned()).collect();
                if cached.len() == made.len() {
                    return Ok(WrittenRecords::Addresses(
                        cached.iter().map(|record| Address::clone(record)).collect(),
                    ));
                }
                let reading = self.cache.begin_reading();
                let mut found = self.netbox.addresses_by_id(made).await?;
                if found.len() != made.len() {
                    return Err(released());
                }
                self.cache.handed_out().amend(&mut found);
                found.sort_by_key(|record| made.iter().position(|id| *id == record.id.0));
                self.publish(Batch::from(found.clone()).read_during(reading)).await;
                Ok(WrittenRecords::Addresses(found))
            }
            IntentKind::Prefix => {
                let reading = self.cache.begin_reading();
                let found =
                    self.netbox.prefixes_by_id(made).await?.into_iter().next().ok_or_else(released)?;
                self.publish(Batch::from(vec![found.clone()]).read_during(reading)).await;
                Ok(WrittenRecords::Prefix(Box::new(found)))
            }
            IntentKind::Release
            | IntentKind::RegisterLease
            | IntentKind::UpdateLease
            | IntentKind::RenewLease
            | IntentKind::EndLease => Ok(WrittenRecords::Deleted),
        }
    }
}
