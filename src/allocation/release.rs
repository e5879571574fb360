//! Giving addresses back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;

use super::allocator::{ATTEMPTS, Allocator};
use super::error::Error;
use super::intents::Start;
use crate::cache::{Batch, Index};
use crate::ledger::{Detail, Fingerprint, IntentKind, IntentState};
use crate::model::{Address, AddressId, RequestId, Table};
use crate::netbox::Certainty;

/// Which addresses to give back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Release {
    /// All that a request allocated.
    Allocation(RequestId),
    /// These, by address.
    Addresses {
        /// Where.
        table: Table,
        /// Which.
        addresses: Vec<IpAddr>,
        /// Also those that Leasehold did not allocate.
        foreign: bool,
    },
}

/// Addresses given back.
#[derive(Clone, Debug)]
pub struct Released {
    /// As they stood before.
    pub addresses: Vec<Arc<Address>>,
}

impl Allocator {
    /// Gives addresses back, all or none: their records are deleted from NetBox.
    pub async fn release(self: &Arc<Self>, release: Release, request: RequestId) -> Result<Released, Error> {
        self.detached(|this| async move { this.release_now(&release, &request).await }).await
    }

    /// What [`Allocator::release`] would give back now.
    pub fn preview_release(&self, release: &Release) -> Result<Vec<Arc<Address>>, Error> {
        named(&*self.index()?, release)
    }

    async fn release_now(&self, release: &Release, request: &RequestId) -> Result<Released, Error> {
        let _turn = self.one_at_a_time.lock().await;
        let fingerprint = Fingerprint::of(release);
        let known = self.known(request, IntentKind::Release, &fingerprint).await?;
        let done =
            |detail: &Detail| Released { addresses: detail.released.iter().cloned().map(Arc::new).collect() };
        let (detail, mut uncertain) = match known {
            Some(Start::Repeat(intent)) => return Ok(done(&intent.detail)),
            // Taken up again: the ids that were written down are what the caller meant, whatever stands at those addresses now.
            Some(Start::Proceed { detail, uncertain }) => (detail, uncertain),
            None => {
                let addresses = named(&*self.index()?, release)?;
                let released = addresses.iter().map(|address| Address::clone(address)).collect();
                let detail = Detail { released, ..Detail::default() };
                match self.begin(request, IntentKind::Release, fingerprint, None, detail).await? {
                    Start::Repeat(intent) => return Ok(done(&intent.detail)),
                    Start::Proceed { detail, uncertain } => (detail, uncertain),
                }
            }
        };
        // Before they go: from the moment on that they are free they rest, also if this server dies in between.
        self.rest(&detail.released).await?;
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
            // NetBox refuses a list that names a record it no longer has: somebody deleted it, or we did, unheard.
            let ask = error.certainty() == Certainty::Unknown
                || matches!(
                    error,
                    crate::netbox::Error::Rejected { .. } | crate::netbox::Error::NotFound { .. }
                );
            uncertain |= error.certainty() == Certainty::Unknown;
            if !ask {
                outcome = Err(Self::unless_uncertain(uncertain, request, error.into()));
                break;
            }
            let standing: Vec<Address> =
                match self.ask(|| async { Ok(self.client.by_ids(&ids).await?) }).await {
                    Ok(standing) => standing,
                    Err(_) => break,
                };
            if standing.is_empty() {
                outcome = Ok(());
                break;
            }
            if standing.len() == left.len() && error.certainty() == Certainty::NotDone {
                outcome = Err(Self::unless_uncertain(uncertain, request, error.into()));
                break;
            }
            left = standing.iter().map(|record| record.id).collect();
        }
        if let Err(error) = outcome {
            return Err(self.give_up(request, &detail, error).await);
        }
        self.publish(Batch { gone_addresses: ids, ..Batch::default() }).await;
        self.ledger.set(request, IntentState::Done, &detail, self.clock.now()).await?;
        Ok(done(&detail))
    }
}

impl Allocator {
    /// Lets addresses rest that are given back.
    async fn rest(&self, released: &[Address]) -> Result<(), Error> {
        // An address may stand more than once where uniqueness is not enforced.
        let mut by_table: BTreeMap<Table, BTreeSet<IpAddr>> = BTreeMap::new();
        for address in released {
            by_table.entry(address.table).or_default().insert(address.host());
        }
        for (table, addresses) in by_table {
            let addresses: Vec<IpAddr> = addresses.into_iter().collect();
            self.ledger.rest(table, &addresses, self.clock.now()).await?;
        }
        Ok(())
    }
}

/// The records that a release names; all of them or an error that lists what is missing.
fn named(index: &Index, release: &Release) -> Result<Vec<Arc<Address>>, Error> {
    match release {
        Release::Allocation(request) => {
            let (addresses, _) = index.allocated(request);
            if addresses.is_empty() {
                return Err(Error::AllocationNotFound { request: request.clone() });
            }
            Ok(addresses.into_iter().cloned().collect())
        }
        Release::Addresses { table, addresses, foreign } => {
            let mut found = Vec::new();
            let mut missing = Vec::new();
            let mut not_ours = Vec::new();
            for host in addresses {
                match index.addresses_at(*table, *host) {
                    [] => missing.push(*host),
                    records if !*foreign && records.iter().any(|record| record.allocation.is_none()) => {
                        not_ours.push(*host);
                    }
                    records => found.extend(records.iter().cloned()),
                }
            }
            if !missing.is_empty() {
                return Err(Error::AddressesNotFound { addresses: missing, table: *table });
            }
            if !not_ours.is_empty() {
                return Err(Error::Foreign { addresses: not_ours });
            }
            Ok(found)
        }
    }
}
