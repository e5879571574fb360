//! The quarantine, kept in memory: read from the ledger once, and then only what was released since.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Mutex;

use crate::cache::trie::Trie;
use crate::ledger::{Error, QuarantineStore, QuarantinedAddress};
use crate::model::{Address, Network, Prefix, VrfScope};

/// How far back an increment reaches, so that a release is not missed whose time another server took before it stored it.
const OVERLAP: Duration = Duration::from_mins(1);

/// The addresses in quarantine, by scope. A clone is cheap: versions share what they have in common.
#[derive(Clone, Debug, Default)]
pub struct Quarantined {
    by_scope: HashMap<VrfScope, Trie<QuarantinedAddress>>,
}

impl Quarantined {
    /// Those inside a prefix, in ascending order. Visits no address outside it.
    pub fn within(&self, parent: &Prefix) -> impl Iterator<Item = IpAddr> + '_ {
        let network = parent.network;
        let of_scope = self.by_scope.get(&parent.scope).into_iter();
        of_scope.flat_map(move |addresses| addresses.within(network)).map(|row| row.address)
    }

    /// The lowest host from `first` to `last` that is not in quarantine; `None` if each is. It takes no longer where more are.
    pub(super) fn first_outside(&self, scope: VrfScope, first: IpAddr, last: IpAddr) -> Option<IpAddr> {
        match self.by_scope.get(&scope) {
            Some(addresses) => addresses.first_missing_host(first, last),
            None => (first <= last).then_some(first),
        }
    }

    /// Those of some addresses that are in it.
    pub fn among(&self, addresses: Vec<(VrfScope, IpAddr)>) -> impl Iterator<Item = IpAddr> + '_ {
        let within = addresses.into_iter().filter(|(scope, address)| self.get(*scope, *address).is_some());
        within.map(|(_, address)| address)
    }

    fn get(&self, scope: VrfScope, address: IpAddr) -> Option<Timestamp> {
        self.by_scope.get(&scope)?.get(Network::host(address)).map(|row| row.released)
    }

    fn put(&mut self, row: QuarantinedAddress) {
        let addresses = self.by_scope.entry(row.scope).or_default();
        addresses.update(Network::host(row.address), |slot| *slot = Some(row));
    }

    fn remove(&mut self, scope: VrfScope, address: IpAddr) {
        if let Some(addresses) = self.by_scope.get_mut(&scope) {
            addresses.update(Network::host(address), |slot| *slot = None);
        }
    }
}

impl FromIterator<(VrfScope, IpAddr)> for Quarantined {
    fn from_iter<I: IntoIterator<Item = (VrfScope, IpAddr)>>(addresses: I) -> Self {
        let mut quarantined = Self::default();
        for (scope, address) in addresses {
            quarantined.put(QuarantinedAddress { scope, address, released: Timestamp::MAX });
        }
        quarantined
    }
}

/// The quarantine of the ledger, kept up to date in memory.
pub struct QuarantineView {
    store: Arc<dyn QuarantineStore>,
    lasts: Duration,
    view: Mutex<View>,
}

#[derive(Default)]
struct View {
    quarantined: Quarantined,
    /// The same addresses, and earlier releases of them, by the time of their release.
    by_time: BTreeSet<(Timestamp, VrfScope, IpAddr)>,
    /// The latest release that was read; `None` before the first read.
    latest: Option<Timestamp>,
}

impl View {
    /// Takes in a release. Of two of one address the later counts.
    fn put(&mut self, row: QuarantinedAddress) {
        if self.quarantined.get(row.scope, row.address).is_none_or(|before| before < row.released) {
            self.by_time.insert((row.released, row.scope, row.address));
            self.quarantined.put(row);
        }
    }

    /// Removes the addresses that were released at this instant or before.
    fn end(&mut self, cutoff: Timestamp) {
        while let Some((released, scope, address)) = self.by_time.first().copied()
            && released <= cutoff
        {
            self.by_time.pop_first();
            if self.quarantined.get(scope, address) == Some(released) {
                self.quarantined.remove(scope, address);
            }
        }
    }
}

impl QuarantineView {
    /// A view of this store. An address is in quarantine for `lasts` after its release; zero means never.
    pub fn new(store: Arc<dyn QuarantineStore>, lasts: Duration) -> Self {
        Self { store, lasts, view: Mutex::default() }
    }

    /// The addresses in quarantine at an instant, releases of other servers included.
    pub async fn at(&self, now: Timestamp) -> Result<Quarantined, Error> {
        if self.lasts.is_zero() {
            return Ok(Quarantined::default());
        }
        let cutoff = self.cutoff(now);
        let mut view = self.view.lock().await;
        let since = match view.latest {
            None => cutoff,
            Some(latest) => latest.checked_sub(OVERLAP).unwrap_or(Timestamp::MIN).max(cutoff),
        };
        for row in self.store.quarantined(since).await? {
            view.latest = view.latest.max(Some(row.released));
            view.put(row);
        }
        view.latest = view.latest.or(Some(cutoff));
        view.end(cutoff);
        Ok(view.quarantined.clone())
    }

    /// Starts the quarantine of addresses.
    pub async fn put(&self, released: &[Address], now: Timestamp) -> Result<(), Error> {
        if self.lasts.is_zero() {
            return Ok(());
        }
        for (scope, addresses) in by_scope(released) {
            self.store.quarantine(scope, &addresses, now).await?;
            let mut view = self.view.lock().await;
            for address in addresses {
                view.put(QuarantinedAddress { scope, address, released: now });
            }
        }
        Ok(())
    }

    /// Takes addresses out of quarantine, since they were not released after all. If that fails they stay in it for its time.
    pub async fn lift(&self, released: &[Address]) {
        for (scope, addresses) in by_scope(released) {
            if let Err(error) = self.store.lift(scope, &addresses).await {
                tracing::warn!(%error, "addresses that were not released stay in quarantine");
                continue;
            }
            let mut view = self.view.lock().await;
            for address in addresses {
                view.quarantined.remove(scope, address);
            }
        }
    }

    /// Deletes the addresses whose quarantine is over, from the ledger and from memory.
    pub async fn end(&self, now: Timestamp) -> Result<(), Error> {
        let cutoff = self.cutoff(now);
        self.store.end_quarantine(cutoff).await?;
        self.view.lock().await.end(cutoff);
        Ok(())
    }

    fn cutoff(&self, now: Timestamp) -> Timestamp {
        now.checked_sub(self.lasts).unwrap_or(Timestamp::MIN)
    }
}

/// The hosts of records by scope. A scope that does not enforce uniqueness can hold several records of one address.
fn by_scope(records: &[Address]) -> BTreeMap<VrfScope, Vec<IpAddr>> {
    let mut by_scope: BTreeMap<VrfScope, Vec<IpAddr>> = BTreeMap::new();
    for record in records {
        by_scope.entry(record.scope).or_default().push(record.host());
    }
    for addresses in by_scope.values_mut() {
        addresses.sort_unstable();
        addresses.dedup();
    }
    by_scope
}
