//! AssignAddress: the record of one address that the caller names.

use std::sync::Arc;

use ipnet::IpNet;

use super::addresses::Allocated;
use super::allocator::{ATTEMPTS, Allocator, with_mask};
use super::commands::AssignAddress;
use super::error::Error;
use super::fingerprint::Fingerprinted as _;
use super::intents::Start;
use super::plan as pick;
use crate::cache::Index;
use crate::ledger::{Detail, IntentKind};
use crate::model::{Address, Network};
use crate::netbox::{self, Certainty};

/// The record of an assigned address.
#[derive(Clone, Debug)]
pub struct Assigned {
    pub address: Arc<Address>,
    /// Whether an earlier call with the same request id recorded it.
    pub repeated: bool,
}

impl Allocator {
    /// Records one address that the caller names.
    pub async fn assign(self: &Arc<Self>, command: AssignAddress) -> Result<Assigned, Error> {
        self.detached(|this| async move { this.assign_now(&command).await }).await
    }

    /// The address and mask that [`Allocator::assign`] would record now.
    pub fn preview_assign(&self, command: &AssignAddress) -> Result<IpNet, Error> {
        assignable(&*self.cache.ready_snapshot()?, command)
    }

    async fn assign_now(&self, command: &AssignAddress) -> Result<Assigned, Error> {
        let _turn = self.one_at_a_time.lock().await;
        let fingerprint = command.fingerprint();
        let known = self.known(&command.request, IntentKind::Assignment, &fingerprint).await?;
        let first = |allocated: Allocated| {
            let address = allocated.addresses.into_iter().next();
            address.ok_or_else(|| Error::ReleasedSince { request: command.request.clone() })
        };
        if let Some(Start::Repeat(intent)) = known {
            return Ok(Assigned { address: first(self.repeat(&intent).await?)?, repeated: true });
        }
        let index = self.cache.ready_snapshot()?;
        let interface = assignable(&index, command)?;
        let parent = index.chain(command.scope, Network::host(command.address)).last().cloned();
        let detail = Detail { wanted: 1, ..Detail::default() };
        let start = match known {
            Some(start) => start,
            None => {
                let parent = parent.as_ref();
                self.begin(&command.request, IntentKind::Assignment, fingerprint, parent, detail).await?
            }
        };
        let (detail, uncertain) = match start {
            Start::Repeat(intent) => {
                return Ok(Assigned { address: first(self.repeat(&intent).await?)?, repeated: true });
            }
            Start::Proceed { detail, uncertain } => (detail, uncertain),
        };
        let written = self.write_assignment(command, interface, uncertain).await;
        let addresses = self.conclude(&command.request, detail, written).await?;
        let address = addresses.into_iter().next().ok_or(Error::TaskLost)?;
        Ok(Assigned { address, repeated: false })
    }

    /// Writes until the record is in NetBox, or until it is known that it is not.
    async fn write_assignment(
        &self,
        command: &AssignAddress,
        interface: IpNet,
        mut uncertain: bool,
    ) -> Result<Vec<Address>, Error> {
        let taken = || Error::AddressTaken { address: command.address, scope: command.scope };
        for _ in 0..ATTEMPTS {
            let draft =
                command.text.address_drafts(&command.request, 1).into_iter().next().unwrap_or_default();
            let error = match self.client.create_addresses(command.scope, &[(interface, draft)]).await {
                Ok(records) => {
                    return match self.yield_to_rivals(command.scope, records).await? {
                        Some(records) => Ok(records),
                        None => Err(taken()),
                    };
                }
                Err(error) => error,
            };
            if matches!(error, netbox::Error::Duplicate { .. }) {
                if let Some(records) = self.recorded(&command.request, 1).await? {
                    return Ok(records);
                }
                self.refresh(command.scope, &[interface]).await?;
                return Err(Self::unless_uncertain(uncertain, &command.request, taken()));
            }
            if error.certainty() == Certainty::NotDone {
                return Err(Self::unless_uncertain(uncertain, &command.request, error.into()));
            }
            uncertain = true;
            match self.ask_record(&command.request, 1).await {
                Ok(Some(records)) => return Ok(records),
                Ok(None) => {}
                Err(_) => break,
            }
        }
        Err(Error::Unsettled { request: command.request.clone() })
    }
}

/// The address with the mask of the most specific prefix that contains it, if the address can be recorded.
fn assignable(index: &Index, command: &AssignAddress) -> Result<IpNet, Error> {
    let (address, scope) = (command.address, command.scope);
    let lookup = index.lookup(scope, address);
    let parent = lookup.chain.last().ok_or(Error::NoContainingPrefix { address, scope })?;
    if !lookup.records.is_empty() {
        return Err(Error::AddressTaken { address, scope });
    }
    if !pick::is_usable(parent, address) {
        return Err(Error::NotAssignable { address, network: parent.network });
    }
    Ok(with_mask(address, parent.network))
}
