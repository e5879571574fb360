//! One named address.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::allocator::{ATTEMPTS, Allocated, Allocator, with_mask};
use super::error::Error;
use super::intents::Start;
use super::pick;
use super::wish::AssignWish;
use crate::cache::Index;
use crate::ledger::{Detail, Fingerprint, IntentKind};
use crate::model::{Address, Network};
use crate::netbox::Certainty;

/// A named address recorded.
#[derive(Clone, Debug)]
pub struct Assigned {
    /// The record.
    pub address: Arc<Address>,
    /// The request had been answered before.
    pub repeated: bool,
}

impl Allocator {
    /// Records one named address.
    pub async fn assign(self: &Arc<Self>, wish: AssignWish) -> Result<Assigned, Error> {
        self.detached(|this| async move { this.assign_now(&wish).await }).await
    }

    /// Whether [`Allocator::assign`] would succeed now.
    pub fn preview_assign(&self, wish: &AssignWish) -> Result<IpNet, Error> {
        Self::assignable(&*self.index()?, wish)
    }

    async fn assign_now(&self, wish: &AssignWish) -> Result<Assigned, Error> {
        let _turn = self.one_at_a_time.lock().await;
        let fingerprint = Fingerprint::of(wish);
        let known = self.known(&wish.request, IntentKind::Assignment, &fingerprint).await?;
        let first = |allocated: Allocated| {
            let address = allocated.addresses.into_iter().next();
            address.ok_or_else(|| Error::ReleasedSince { request: wish.request.clone() })
        };
        if let Some(Start::Repeat(intent)) = known {
            return Ok(Assigned { address: first(self.again(&intent).await?)?, repeated: true });
        }
        let index = self.index()?;
        let interface = Self::assignable(&index, wish)?;
        let parent = index.chain(wish.table, Network::host(wish.address)).last().cloned();
        let detail = Detail { wanted: 1, ..Detail::default() };
        let start = match known {
            Some(start) => start,
            None => {
                self.begin(&wish.request, IntentKind::Assignment, fingerprint, parent.as_ref(), detail)
                    .await?
            }
        };
        let (detail, uncertain) = match start {
            Start::Repeat(intent) => {
                return Ok(Assigned { address: first(self.again(&intent).await?)?, repeated: true });
            }
            Start::Proceed { detail, uncertain } => (detail, uncertain),
        };
        let written = self.write_assignment(wish, interface, uncertain).await;
        let addresses = self.conclude(&wish.request, detail, written).await?;
        let address = addresses.into_iter().next().ok_or(Error::CutShort)?;
        Ok(Assigned { address, repeated: false })
    }

    async fn write_assignment(
        &self,
        wish: &AssignWish,
        interface: IpNet,
        mut uncertain: bool,
    ) -> Result<Vec<Address>, Error> {
        let taken = || Error::Taken { address: wish.address, table: wish.table };
        for _ in 0..ATTEMPTS {
            let draft = wish.text.address_drafts(&wish.request, 1).into_iter().next().unwrap_or_default();
            let error = match self.client.create_addresses(wish.table, &[(interface, draft)]).await {
                Ok(records) => {
                    return match self.yield_to_rivals(wish.table, records).await? {
                        Some(records) => Ok(records),
                        None => Err(taken()),
                    };
                }
                Err(error) => error,
            };
            if error.is_duplicate() {
                if let Some(records) = self.recorded(&wish.request, 1).await? {
                    return Ok(records);
                }
                self.look_again(wish.table, &[interface]).await?;
                return Err(Self::unless_uncertain(uncertain, &wish.request, taken()));
            }
            if error.certainty() == Certainty::NotDone {
                return Err(Self::unless_uncertain(uncertain, &wish.request, error.into()));
            }
            uncertain = true;
            match self.ask_record(&wish.request, 1).await {
                Ok(Some(records)) => return Ok(records),
                Ok(None) => {}
                Err(_) => break,
            }
        }
        Err(Error::Unsettled { request: wish.request.clone() })
    }

    /// The address with the mask it gets, if it can be recorded: a prefix holds it and nobody has it.
    fn assignable(index: &Index, wish: &AssignWish) -> Result<IpNet, Error> {
        let lookup = index.lookup(wish.table, wish.address);
        let homeless = Error::Homeless { address: wish.address, table: wish.table };
        let parent = lookup.chain.last().ok_or(homeless)?;
        if !lookup.records.is_empty() {
            return Err(Error::Taken { address: wish.address, table: wish.table });
        }
        let (first, last) = pick::usable(parent);
        let as_number = match wish.address {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        if as_number < first || as_number > last {
            return Err(Error::NotAssignable { address: wish.address, network: parent.network });
        }
        Ok(with_mask(wish.address, parent.network))
    }
}
