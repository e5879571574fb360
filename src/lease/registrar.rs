//! The registrar: carries out what policy decides.

use std::sync::Arc;

use jiff::civil::Date;
use tokio::sync::Mutex;

use super::error::Error;
use super::policy::{End, RegisterPlan, Registration, Renewal};
use crate::cache::{self, Batch, Cache, Index};
use crate::model::{Lease, Network, Prefix, PrefixId, Revision, Table};
use crate::netbox::{self, Client, PrefixDraft};

/// How often a write is decided anew after the record moved on in between.
const ATTEMPTS: u32 = 4;

/// Which prefix is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// By NetBox's id.
    Id(PrefixId),
    /// By table and prefix.
    Prefix(Table, Network),
}

/// A registered lease.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The prefix with its lease.
    pub prefix: Arc<Prefix>,
    /// The prefix stood before.
    pub adopted: bool,
}

/// A renewed lease.
#[derive(Clone, Debug)]
pub struct Renewed {
    /// The prefix with its lease.
    pub prefix: Arc<Prefix>,
    /// The last day before.
    pub previous_expiry: Option<Date>,
}

/// An ended lease.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The prefix with its lease as it stood before.
    pub before: Arc<Prefix>,
    /// Addresses of the block that were recorded.
    pub addresses_in_use: u64,
}

/// Registers, renews and ends leases, one write at a time.
pub struct Registrar {
    client: Client,
    cache: Arc<Cache>,
    /// Two registrations of one prefix at once would both find it missing.
    one_at_a_time: Mutex<()>,
}

impl Registrar {
    /// A registrar over a NetBox and its cache.
    pub fn new(client: Client, cache: Arc<Cache>) -> Self {
        Self { client, cache, one_at_a_time: Mutex::new(()) }
    }

    /// Registers a leased block, or adopts the prefix that stands.
    pub async fn register(&self, wish: &Registration, validate_only: bool) -> Result<Registered, Error> {
        let _turn = self.one_at_a_time.lock().await;
        for _ in 0..ATTEMPTS {
            let standing = self.standing(wish.table, wish.network)?;
            let plan = wish.plan(standing.as_deref())?;
            let adopted = standing.is_some();
            if validate_only {
                return Ok(Registered { prefix: Arc::new(wish.preview(standing.as_deref())), adopted });
            }
            let answer = match (&plan, &standing) {
                (RegisterPlan::Nothing, Some(standing)) => {
                    return Ok(Registered { prefix: standing.clone(), adopted: true });
                }
                (RegisterPlan::Adopt(draft), Some(standing)) => {
                    self.client.patch_prefix(standing.id, &standing.revision, draft).await
                }
                (RegisterPlan::Create(draft), _) => {
                    // The cache may be seconds behind a person who made the prefix by hand, and NetBox need not refuse a
                    // second one: ask before making it.
                    if self.look_for(wish.table, wish.network).await? {
                        continue;
                    }
                    self.client.create_prefix(wish.network, wish.table, draft).await
                }
                // A plan over a record that stands is only made where one stands.
                (RegisterPlan::Adopt(_) | RegisterPlan::Nothing, None) => {
                    return Err(Error::Changed { network: wish.network });
                }
            };
            match answer {
                Ok(prefix) => return Ok(Registered { prefix: self.publish(prefix).await?, adopted }),
                Err(error) if error.is_duplicate() || matches!(error, netbox::Error::Changed) => {
                    let refreshed = match &standing {
                        Some(standing) => self.read_again(standing.id).await?,
                        None => self.look_for(wish.table, wish.network).await?,
                    };
                    if !refreshed {
                        return Err(error.into());
                    }
                }
                // The same call again is right whatever came of this one; so try it here once the record is readable.
                Err(error) if error.certainty() == netbox::Certainty::Unknown => {
                    if !self.look_for(wish.table, wish.network).await.unwrap_or(false) {
                        return Err(error.into());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Changed { network: wish.network })
    }

    /// Moves the expiry of a lease and what goes with it. `read` is the version that the caller decided on, if it says.
    pub async fn renew(
        &self,
        target: Target,
        renewal: &Renewal,
        read: Option<&Revision>,
        validate_only: bool,
    ) -> Result<Renewed, Error> {
        let _turn = self.one_at_a_time.lock().await;
        for _ in 0..ATTEMPTS {
            let (prefix, lease) = leased(&*self.index()?, target)?;
            held(&prefix, read)?;
            let after = renewal.apply(&lease)?;
            let previous_expiry = lease.term.expiry;
            let fields = Renewal::changes(&lease, &after);
            if validate_only || fields.is_empty() {
                let preview = Prefix { lease: Some(Box::new(after)), ..Prefix::clone(&prefix) };
                return Ok(Renewed { prefix: Arc::new(preview), previous_expiry });
            }
            let draft = PrefixDraft { fields, ..PrefixDraft::default() };
            match self.client.patch_prefix(prefix.id, &prefix.revision, &draft).await {
                Ok(prefix) => return Ok(Renewed { prefix: self.publish(prefix).await?, previous_expiry }),
                Err(netbox::Error::Changed) => {
                    self.read_again(prefix.id).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Changed { network: leased(&*self.index()?, target)?.0.network })
    }

    /// Ends a lease.
    pub async fn end(
        &self,
        target: Target,
        end: End,
        read: Option<&Revision>,
        validate_only: bool,
    ) -> Result<Ended, Error> {
        let _turn = self.one_at_a_time.lock().await;
        for _ in 0..ATTEMPTS {
            let index = self.index()?;
            let (prefix, _) = leased(&index, target)?;
            held(&prefix, read)?;
            let addresses = index.addresses_within(prefix.table, prefix.network).count() as u64;
            let children = index
                .prefixes_within(prefix.table, prefix.network)
                .filter(|child| child.id != prefix.id)
                .count() as u64;
            end.check(prefix.network, addresses, children)?;
            let ended = Ended { before: prefix.clone(), addresses_in_use: addresses };
            if validate_only {
                return Ok(ended);
            }
            let answer = if end.delete_prefix {
                self.client.delete_prefix(prefix.id, &prefix.revision).await.map(|()| None)
            } else {
                self.client.patch_prefix(prefix.id, &prefix.revision, &End::draft()).await.map(Some)
            };
            match answer {
                Ok(Some(after)) => {
                    self.publish(after).await?;
                    return Ok(ended);
                }
                Ok(None) => {
                    self.cache.apply(Batch { gone_prefixes: vec![prefix.id.0], ..Batch::default() }).await?;
                    return Ok(ended);
                }
                Err(netbox::Error::Changed) => {
                    self.read_again(prefix.id).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Changed { network: leased(&*self.index()?, target)?.0.network })
    }

    fn index(&self) -> Result<Arc<Index>, Error> {
        if self.cache.is_ready() {
            Ok(self.cache.snapshot())
        } else {
            Err(Error::NotReady { trouble: self.cache.freshness().trouble().to_string() })
        }
    }

    fn standing(&self, table: Table, network: Network) -> Result<Option<Arc<Prefix>>, Error> {
        let index = self.index()?;
        match index.prefixes_at(table, network) {
            [] => Ok(None),
            [only] => Ok(Some(only.clone())),
            several => Err(Error::PrefixAmbiguous {
                network,
                table,
                ids: several.iter().map(|prefix| prefix.id).collect(),
            }),
        }
    }

    /// Asks NetBox for a prefix that the cache does not hold; whether it is there.
    async fn look_for(&self, table: Table, network: Network) -> Result<bool, Error> {
        let vrf = table.vrf().map_or("null".to_owned(), |id| id.to_string());
        let rows: Vec<Prefix> = self.client.find(&[("prefix", network.to_string()), ("vrf_id", vrf)]).await?;
        let found: Vec<Prefix> =
            rows.into_iter().filter(|row| row.network == network && row.table == table).collect();
        let there = !found.is_empty();
        self.cache.apply(Batch::from(found)).await?;
        Ok(there)
    }

    /// Reads a prefix again that moved on; whether it is still there.
    async fn read_again(&self, id: PrefixId) -> Result<bool, Error> {
        let found: Vec<Prefix> = self.client.by_ids(&[id.0]).await?;
        let there = !found.is_empty();
        let gone_prefixes = if there { Vec::new() } else { vec![id.0] };
        self.cache.apply(Batch { prefixes: found, gone_prefixes, ..Batch::default() }).await?;
        Ok(there)
    }

    async fn publish(&self, prefix: Prefix) -> Result<Arc<Prefix>, Error> {
        let shared = Arc::new(prefix.clone());
        match self.cache.apply(Batch::from(vec![prefix])).await {
            // Not seen by readers, so not done as promised; the same call again finds the record and tells it.
            Err(error @ cache::Error::Witness(_)) => return Err(error.into()),
            Err(error) => tracing::error!(%error, "the cache file is behind; memory is not"),
            Ok(()) => {}
        }
        Ok(shared)
    }
}

/// The prefix that is meant.
pub fn prefix_of(index: &Index, target: Target) -> Result<Arc<Prefix>, Error> {
    match target {
        Target::Id(id) => index.prefix(id).cloned().ok_or(Error::PrefixIdNotFound { id }),
        Target::Prefix(table, network) => match index.prefixes_at(table, network) {
            [] => Err(Error::PrefixNotFound { network, table, elsewhere: index.tables_with(network) }),
            [only] => Ok(only.clone()),
            several => {
                // Of duplicates, the one that carries the lease is meant if there is just one.
                let mut carrying = several.iter().filter(|prefix| prefix.lease.is_some());
                match (carrying.next(), carrying.next()) {
                    (Some(only), None) => Ok(only.clone()),
                    _ => Err(Error::PrefixAmbiguous {
                        network,
                        table,
                        ids: several.iter().map(|prefix| prefix.id).collect(),
                    }),
                }
            }
        },
    }
}

/// The prefix that is meant and the lease that it carries itself.
pub fn leased(index: &Index, target: Target) -> Result<(Arc<Prefix>, Lease), Error> {
    let prefix = prefix_of(index, target)?;
    match &prefix.lease {
        Some(lease) => Ok((prefix.clone(), Lease::clone(lease))),
        None => Err(Error::NoLease { network: prefix.network, table: prefix.table }),
    }
}

/// The prefix whose lease covers a network: the most specific of its chain that carries one.
pub fn covering(index: &Index, table: Table, network: Network) -> Result<Arc<Prefix>, Error> {
    let found = index.covering_lease(table, network).map(|(prefix, _)| prefix.clone());
    found.ok_or(Error::NotCovered { network, table })
}

fn held(prefix: &Prefix, read: Option<&Revision>) -> Result<(), Error> {
    match read {
        Some(read) if *read != prefix.revision => Err(Error::Changed { network: prefix.network }),
        _ => Ok(()),
    }
}
