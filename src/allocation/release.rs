//! ReleaseAddresses: deletes the records of addresses from NetBox and puts the addresses into quarantine.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::allocator::{ATTEMPTS, Allocator};
use super::commands::ReleaseAddresses;
use super::error::Error;
use super::fingerprint::Fingerprinted as _;
use super::intents::Start;
use crate::cache::{Batch, Index};
use crate::ledger::{Detail, IntentKind, IntentState};
use crate::model::{Address, AddressId, RequestId, VrfScope};
use crate::netbox::{self, Certainty};

/// The addresses that a command released.
#[derive(Clone, Debug)]
pub struct Released {
    /// Their records as they were before.
    pub addresses: Vec<Arc<Address>>,
}

impl Allocator {
    /// Releases addresses, all of them or none.
    pub async fn release(
        self: &Arc<Self>,
        command: ReleaseAddresses,
        request: RequestId,
    ) -> Result<Released, Error> {
        self.detached(|this| async move { this.release_now(&command, &request).await }).await
    }

    /// The records that [`Allocator::release`] would delete now.
    pub fn preview_release(&self, command: &ReleaseAddresses) -> Result<Vec<Arc<Address>>, Error> {
        selected(&*self.cache.ready_snapshot()?, command)
    }

    async fn release_now(&self, command: &ReleaseAddresses, request: &RequestId) -> Result<Released, Error> {
        let _turn = self.one_at_a_time.lock().await;
        let fingerprint = command.fingerprint();
        let known = self.known(request, IntentKind::Release, &fingerprint).await?;
        let done =
            |detail: &Detail| Released { addresses: detail.released.iter().cloned().map(Arc::new).collect() };
        let (detail, mut uncertain) = match known {
            Some(Start::Repeat(intent)) => return Ok(done(&intent.detail)),
            // A resumed release deletes the records that the intent lists: other records may have these addresses by now.
            Some(Start::Proceed { detail, uncertain }) => (detail, uncertain),
            None => {
                let addresses = selected(&*self.cache.ready_snapshot()?, command)?;
                let released = addresses.iter().map(|address| Address::clone(address)).collect();
                let detail = Detail { released, ..Detail::default() };
                match self.begin(request, IntentKind::Release, fingerprint, None, detail).await? {
                    Start::Repeat(intent) => return Ok(done(&intent.detail)),
                    Start::Proceed { detail, uncertain } => (detail, uncertain),
                }
            }
        };
        // Before the records are deleted: were it after, a crash in between would leave free addresses without quarantine.
        self.put_into_quarantine(&detail.released).await?;
        let ids: Vec<u64> = detail.released.iter().map(|record| record.id.0).collect();
        let mut left: Vec<AddressId> = ids.iter().copied().map(AddressId).collect();
        let mut outcome = Err(Error::Unsettled { request: request.clone() });
        for _ in 0..ATTEMPTS {
            let error = match self.client.delete_addresses(&left).await {
                Ok(()) => {
                    outcome = Ok(());
                    break;
                }
                Err(error) => error,
            };
            // NetBox refuses a list that names a record which is deleted already: by another writer, or by an earlier attempt
            // of ours whose answer was lost.
            let ask = error.certainty() == Certainty::Unknown
                || error.is_content_refused()
                || matches!(error, netbox::Error::NotFound { .. });
            uncertain |= error.certainty() == Certainty::Unknown;
            if !ask {
                outcome = Err(Self::unless_uncertain(uncertain, request, error.into()));
                break;
            }
            let recorded: Vec<Address> =
                match self.ask(|| async { Ok(self.client.by_ids(&ids).await?) }).await {
                    Ok(recorded) => recorded,
                    Err(_) => break,
                };
            if recorded.is_empty() {
                outcome = Ok(());
                break;
            }
            if recorded.len() == left.len() && error.certainty() == Certainty::NotDone {
                outcome = Err(Self::unless_uncertain(uncertain, request, error.into()));
                break;
            }
            left = recorded.iter().map(|record| record.id).collect();
        }
        if let Err(error) = outcome {
            return Err(self.give_up(request, &detail, error).await);
        }
        self.publish(Batch { deleted_addresses: ids, ..Batch::default() }).await;
        self.intents.set(request, IntentState::Done, &detail, self.clock.now()).await?;
        Ok(done(&detail))
    }

    /// Starts the quarantine of addresses.
    async fn put_into_quarantine(&self, released: &[Address]) -> Result<(), Error> {
        // A scope that does not enforce uniqueness can hold several records of one address.
        let mut by_scope: BTreeMap<VrfScope, BTreeSet<IpAddr>> = BTreeMap::new();
        for address in released {
            by_scope.entry(address.scope).or_default().insert(address.host());
        }
        for (scope, addresses) in by_scope {
            let addresses: Vec<IpAddr> = addresses.into_iter().collect();
            self.quarantine.quarantine(scope, &addresses, self.clock.now()).await?;
        }
        Ok(())
    }
}

/// The records that a command selects, or an error that lists every address without a record.
fn selected(index: &Index, command: &ReleaseAddresses) -> Result<Vec<Arc<Address>>, Error> {
    match command {
        ReleaseAddresses::Allocation(request) => {
            let (addresses, _) = index.allocated(request);
            if addresses.is_empty() {
                return Err(Error::AllocationNotFound { request: request.clone() });
            }
            Ok(addresses.into_iter().cloned().collect())
        }
        ReleaseAddresses::Addresses { scope, addresses, allow_foreign } => {
            let (mut found, mut missing, mut foreign) = (Vec::new(), Vec::new(), Vec::new());
            for host in addresses {
                match index.addresses_at(*scope, *host) {
                    [] => missing.push(*host),
                    records
                        if !*allow_foreign && records.iter().any(|record| record.allocation.is_none()) =>
                    {
                        foreign.push(*host);
                    }
                    records => found.extend(records.iter().cloned()),
                }
            }
            if !missing.is_empty() {
                return Err(Error::AddressesNotFound { addresses: missing, scope: *scope });
            }
            if !foreign.is_empty() {
                return Err(Error::NotAllocatedHere { addresses: foreign });
            }
            Ok(found)
        }
    }
}
