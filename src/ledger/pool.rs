//! Pools: addresses that are reserved in NetBox ahead of demand, and whom they were handed out to.

use async_trait::async_trait;
use jiff::Timestamp;

use super::error::Error;
use super::intent::{Intent, Owner};
use crate::model::{Address, PrefixId, RequestId};

/// Who may hand an address out: a process, and a number that rises whenever another process takes it over. An address is only ever
/// handed out over the claim that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockClaim {
    pub owner: Owner,
    pub epoch: u64,
}

/// Whom an address was handed out to.
#[derive(Clone, Debug, PartialEq)]
pub struct HandedTo {
    pub request: RequestId,
    /// Who asked; empty if it is not known.
    pub caller: String,
    /// The record as it is to be.
    pub wanted: Address,
    /// When it was handed out.
    pub at: Timestamp,
    /// Why NetBox refuses the record as it is to be; `None` if it has not refused it.
    pub refusal: Option<String>,
}

/// What an address of a pool is used for.
#[derive(Clone, Debug, PartialEq)]
pub enum PoolUse {
    /// It can be handed out.
    Stock,
    /// Somebody has it, and NetBox's record does not say so yet.
    HandedOut(Box<HandedTo>),
    /// Its record is being deleted, and nobody can get it.
    Returning,
}

/// An address that a pool has reserved in NetBox.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolAddress {
    /// The record as NetBox held it when it came into stock.
    pub record: Address,
    /// The prefix that it came from.
    pub parent: PrefixId,
    pub claim: StockClaim,
    pub used: PoolUse,
}

/// Addresses of the stock that a request is given.
#[derive(Clone, Debug, PartialEq)]
pub struct HandOut {
    /// The intent of the request, which is done with it.
    pub intent: Intent,
    /// The claims on the addresses, each with the record as it is to be, in the order of their index.
    pub addresses: Vec<(StockClaim, Address)>,
}

/// What became of a hand-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stocked {
    /// The request has the addresses.
    HandedOut,
    /// An intent with the same request id exists. Nothing was stored.
    Before,
    /// One of the addresses is no longer this claim's to hand out. Nothing was stored.
    Gone,
}

/// Keeps the addresses of pools, durably.
#[async_trait]
pub trait PoolStore: Send + Sync {
    /// Says that a process lives until an instant, takes over what belongs to processes of which that is not known by `now`, and
    /// gives everything that belongs to it then.
    async fn claim_pools(
        &self,
        owner: &Owner,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<PoolAddress>, Error>;

    /// Fills that have not failed, and whose addresses are not in stock yet.
    async fn fills(&self) -> Result<Vec<Intent>, Error>;

    /// Puts the records of a fill into stock and deletes its intent, in one transaction. Returns whether that was not done before; if it
    /// was, nothing is stored.
    async fn stock(&self, fill: &RequestId, addresses: &[PoolAddress], now: Timestamp)
    -> Result<bool, Error>;

    /// Hands addresses out in one transaction, and answers for each. Exactly one of several callers at once gets an address.
    async fn hand_out_all(&self, hand_outs: &[HandOut]) -> Result<Vec<Stocked>, Error>;

    /// Every address that was handed out and whose record does not say so yet, whoever handed it out. The oldest come first.
    async fn incomplete(&self) -> Result<Vec<PoolAddress>, Error>;

    /// Stores why NetBox refuses the record of an address as it is to be.
    async fn refuse(&self, address: &Address, refusal: &str) -> Result<(), Error>;

    /// The addresses of a prefix that are in stock or being returned, whoever they belong to.
    async fn stock_within(&self, parent: PrefixId) -> Result<Vec<PoolAddress>, Error>;

    /// Takes addresses out of stock, whoever they belong to, to return them to NetBox, and gives those that nobody has and that nobody
    /// can get any more.
    async fn take_back(&self, addresses: &[Address], now: Timestamp) -> Result<Vec<PoolAddress>, Error>;

    /// Forgets addresses: their records say who has them, or are gone, or are somebody else's.
    async fn forget(&self, addresses: &[Address]) -> Result<(), Error>;
}
