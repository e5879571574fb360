//! The registrar: reads the record, computes what to write, writes it, and tries again if the record changed in between.

use std::sync::Arc;

use jiff::civil::Date;
use tokio::sync::Mutex;

use super::end::EndLease;
use super::error::Error;
use super::lookup::leased;
use super::register::{RegisterLease, RegistrationPlan};
use super::renew::RenewLease;
use super::update::UpdateLease;
use crate::cache::{self, Batch, Cache, Index, PrefixKey, ResolveError};
use crate::model::{Network, Prefix, PrefixId, Revision, VrfScope};
use crate::netbox::{self, Client, PrefixDraft};

/// How often a write is computed again after the record changed in between.
const ATTEMPTS: u32 = 4;

/// The lease after a registration.
#[derive(Clone, Debug)]
pub struct Registered {
    pub prefix: Arc<Prefix>,
    /// Whether NetBox had the prefix before.
    pub adopted: bool,
}

/// The lease after a renewal.
#[derive(Clone, Debug)]
pub struct Renewed {
    pub prefix: Arc<Prefix>,
    pub previous_expiry: Option<Date>,
}

/// The lease that was ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The prefix with its lease, as it was before.
    pub before: Arc<Prefix>,
    /// The number of addresses of the prefix that are recorded.
    pub addresses_in_use: u64,
}

/// Registers, changes, renews and ends leases, one at a time.
pub struct Registrar {
    client: Client,
    cache: Arc<Cache>,
    /// Held while a command runs: two registrations of the same prefix at once would both find it missing.
    one_at_a_time: Mutex<()>,
}

impl Registrar {
    /// A registrar that writes to this NetBox and puts what it wrote into this cache.
    pub fn new(client: Client, cache: Arc<Cache>) -> Self {
        Self { client, cache, one_at_a_time: Mutex::new(()) }
    }

    /// Registers the lease of a prefix, which is created if NetBox does not have it.
    pub async fn register(&self, command: &RegisterLease, validate_only: bool) -> Result<Registered, Error> {
        let _turn = self.one_at_a_time.lock().await;
        let (scope, network) = (command.scope, command.network);
        for _ in 0..ATTEMPTS {
            let recorded = recorded(&*self.cache.ready_snapshot()?, scope, network)?;
            let plan = command.plan(recorded.as_deref())?;
            let adopted = recorded.is_some();
            if validate_only {
                let prefix = Arc::new(command.preview(recorded.as_deref()));
                return Ok(Registered { prefix, adopted });
            }
            let answer = match (&plan, &recorded) {
                (RegistrationPlan::Nothing, Some(recorded)) => {
                    return Ok(Registered { prefix: recorded.clone(), adopted: true });
                }
                (RegistrationPlan::Adopt(draft), Some(recorded)) => {
                    self.client.patch_prefix(recorded.id, &recorded.revision, draft).await
                }
                (RegistrationPlan::Create(draft), _) => {
                    // The cache may be seconds behind somebody who created the prefix in NetBox, and NetBox may accept
                    // duplicates: ask NetBox before creating one.
                    if self.refresh_at(scope, network).await? {
                        continue;
                    }
                    self.client.create_prefix(network, scope, draft).await
                }
                // `plan` answers these two only for a recorded prefix.
                (RegistrationPlan::Adopt(_) | RegistrationPlan::Nothing, None) => {
                    return Err(Error::Changed { network });
                }
            };
            match answer {
                Ok(prefix) => return Ok(Registered { prefix: self.publish(prefix).await?, adopted }),
                Err(error @ (netbox::Error::Duplicate { .. } | netbox::Error::Changed)) => {
                    let found = match &recorded {
                        Some(recorded) => self.refresh_id(recorded.id).await?,
                        None => self.refresh_at(scope, network).await?,
                    };
                    if !found {
                        return Err(error.into());
                    }
                }
                // The write may have succeeded. If the record can be read, the next round compares it with the command.
                Err(error) if error.certainty() == netbox::Certainty::Unknown => {
                    if !self.refresh_at(scope, network).await.unwrap_or(false) {
                        return Err(error.into());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Changed { network })
    }

    /// Changes agreed values of a lease and returns its prefix after that. `read` is the version of the record that the caller
    /// decided on, if it names one: another version is an error.
    pub async fn update(
        &self,
        key: PrefixKey,
        command: &UpdateLease,
        read: Option<&Revision>,
        validate_only: bool,
    ) -> Result<Arc<Prefix>, Error> {
        let _turn = self.one_at_a_time.lock().await;
        for _ in 0..ATTEMPTS {
            let index = self.cache.ready_snapshot()?;
            let (prefix, lease) = leased(&index, key)?;
            check_version(prefix, read)?;
            let draft = command.draft(prefix, lease)?;
            if draft == PrefixDraft::default() {
                return Ok(prefix.clone());
            }
            if validate_only {
                return Ok(Arc::new(command.preview(prefix, lease)));
            }
            match self.client.patch_prefix(prefix.id, &prefix.revision, &draft).await {
                Ok(prefix) => return self.publish(prefix).await,
                Err(netbox::Error::Changed) => {
                    self.refresh_id(prefix.id).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Changed { network: self.network_of(key)? })
    }

    /// Moves the last day of a lease. `read` is the version of the record that the caller decided on, if it names one: another
    /// version is an error.
    pub async fn renew(
        &self,
        key: PrefixKey,
        command: &RenewLease,
        read: Option<&Revision>,
        validate_only: bool,
    ) -> Result<Renewed, Error> {
        let _turn = self.one_at_a_time.lock().await;
        for _ in 0..ATTEMPTS {
            let index = self.cache.ready_snapshot()?;
            let (prefix, lease) = leased(&index, key)?;
            check_version(prefix, read)?;
            let after = command.apply(lease)?;
            let previous_expiry = lease.term.expiry;
            let fields = RenewLease::changes(lease, &after);
            if validate_only || fields.is_empty() {
                let preview = Prefix { lease: Some(Box::new(after)), ..Prefix::clone(prefix) };
                return Ok(Renewed { prefix: Arc::new(preview), previous_expiry });
            }
            let draft = PrefixDraft { fields, ..PrefixDraft::default() };
            match self.client.patch_prefix(prefix.id, &prefix.revision, &draft).await {
                Ok(prefix) => return Ok(Renewed { prefix: self.publish(prefix).await?, previous_expiry }),
                Err(netbox::Error::Changed) => {
                    self.refresh_id(prefix.id).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Changed { network: self.network_of(key)? })
    }

    /// Ends a lease. `read` is the version of the record that the caller decided on; another version is an error.
    pub async fn end(
        &self,
        key: PrefixKey,
        command: EndLease,
        read: Option<&Revision>,
        validate_only: bool,
    ) -> Result<Ended, Error> {
        let _turn = self.one_at_a_time.lock().await;
        for _ in 0..ATTEMPTS {
            let index = self.cache.ready_snapshot()?;
            let (prefix, _) = leased(&index, key)?;
            check_version(prefix, read)?;
            let addresses = index.addresses_within(prefix.scope, prefix.network).count() as u64;
            let children = index
                .prefixes_within(prefix.scope, prefix.network)
                .filter(|child| child.id != prefix.id)
                .count() as u64;
            command.check(prefix.network, addresses, children)?;
            let ended = Ended { before: prefix.clone(), addresses_in_use: addresses };
            if validate_only {
                return Ok(ended);
            }
            let answer = if command.delete_prefix {
                self.client.delete_prefix(prefix.id, &prefix.revision).await.map(|()| None)
            } else {
                self.client.patch_prefix(prefix.id, &prefix.revision, &EndLease::draft()).await.map(Some)
            };
            match answer {
                Ok(Some(after)) => {
                    self.publish(after).await?;
                    return Ok(ended);
                }
                Ok(None) => {
                    let deleted_prefixes = vec![prefix.id.0];
                    self.cache.apply(Batch { deleted_prefixes, ..Batch::default() }).await?;
                    return Ok(ended);
                }
                Err(netbox::Error::Changed) => {
                    self.refresh_id(prefix.id).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Changed { network: self.network_of(key)? })
    }

    fn network_of(&self, key: PrefixKey) -> Result<Network, Error> {
        Ok(self.cache.ready_snapshot()?.resolve(key)?.network)
    }

    /// Reads the records of a network from NetBox into the cache. Returns whether there are any.
    async fn refresh_at(&self, scope: VrfScope, network: Network) -> Result<bool, Error> {
        let found = self.client.prefixes_at(scope, network).await?;
        let any = !found.is_empty();
        self.cache.apply(Batch::from(found)).await?;
        Ok(any)
    }

    /// Reads a prefix from NetBox into the cache. Returns whether it still exists.
    async fn refresh_id(&self, id: PrefixId) -> Result<bool, Error> {
        let found: Vec<Prefix> = self.client.by_ids(&[id.0]).await?;
        let exists = !found.is_empty();
        let deleted_prefixes = if exists { Vec::new() } else { vec![id.0] };
        self.cache.apply(Batch { prefixes: found, deleted_prefixes, ..Batch::default() }).await?;
        Ok(exists)
    }

    /// Puts a written record into the cache, so that readers see it before the answer. If the event log cannot take the change,
    /// readers do not see it, and the caller gets an error: the same call again finds the record and publishes it.
    async fn publish(&self, prefix: Prefix) -> Result<Arc<Prefix>, Error> {
        let shared = Arc::new(prefix.clone());
        match self.cache.apply(Batch::from(vec![prefix])).await {
            Err(error @ cache::Error::CommitHook(_)) => return Err(error.into()),
            Err(error) => {
                tracing::error!(%error, "the cache file could not be written; memory is up to date");
            }
            Ok(()) => {}
        }
        Ok(shared)
    }
}

/// The prefix that a registration is about; `None` if the cache does not have it.
fn recorded(index: &Index, scope: VrfScope, network: Network) -> Result<Option<Arc<Prefix>>, Error> {
    match index.resolve(PrefixKey::Network(scope, network)) {
        Ok(prefix) => Ok(Some(prefix.clone())),
        Err(ResolveError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn check_version(prefix: &Prefix, read: Option<&Revision>) -> Result<(), Error> {
    match read {
        Some(read) if *read != prefix.revision => Err(Error::Changed { network: prefix.network }),
        _ => Ok(()),
    }
}
