//! The rounds: every leased block in force is looked at, what changed is confirmed, told and folded back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use tokio::sync::Mutex;

use super::recorder::{self, Look, Recorder};
use super::settings::ValidationSettings;
use super::sources::Sources;
use super::standing::Sighting;
use super::sweeper::{self, Target};
use super::sweeps::Sweeps;
use super::{sweep, words};
use crate::cache::{self, Cache, Index};
use crate::clock::Clock;
use crate::events::EventLog;
use crate::ledger::{self, Observations};
use crate::model::{Check, CouldNotCheck, Phase, Prefix, PrefixId, Route, Sweep, Verdict};
use crate::netbox::{self, Client};

/// Which blocks a round looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All that are leased and in force.
    All,
    /// Of those the ones that were never looked at: just registered, or recorded by hand.
    New,
}

/// Routes asked about at once. Sources that are asked over a network bound it further.
const ROUTES_AT_ONCE: usize = 32;
/// How often it is looked whether there are records.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long the first round waits for VRPs to arrive.
const VRPS_AT_START: Duration = Duration::from_secs(20);

/// A round did not end well. What it found before is kept.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    /// What was observed cannot be kept.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// A verdict cannot be folded back.
    #[error("a verdict cannot be folded back: {0}")]
    NetBox(#[from] netbox::Error),
    /// NetBox has it and the cache has not.
    #[error(transparent)]
    Cache(#[from] cache::Error),
    /// Some blocks gave no answer.
    #[error("{failed} of {blocks} blocks could not be checked; {first}")]
    Unchecked {
        /// So many.
        failed: usize,
        /// Of so many.
        blocks: usize,
        /// The first of them, and why.
        first: String,
    },
}

/// Checks every leased block.
pub struct Checks {
    sources: Sources,
    recorder: Recorder,
    sweeps: Sweeps,
    /// Held for a whole round: two of one kind at once would count one look twice.
    roa_round: Mutex<()>,
    irr_round: Mutex<()>,
    reputation_round: Mutex<()>,
}

impl Checks {
    /// Asks these sources and keeps what is found in these observations.
    pub fn new(
        sources: Sources,
        client: Client,
        cache: Arc<Cache>,
        log: Arc<EventLog>,
        observations: Arc<dyn Observations>,
        clock: Arc<dyn Clock>,
        settings: ValidationSettings,
    ) -> Self {
        let sweeps = Sweeps::new(observations.clone(), settings.reputation.clone());
        let recorder = Recorder {
            client,
            cache,
            log,
            observations,
            clock,
            settings,
            behind: std::sync::Mutex::default(),
            folding: Mutex::default(),
        };
        Self {
            sources,
            recorder,
            sweeps,
            roa_round: Mutex::default(),
            irr_round: Mutex::default(),
            reputation_round: Mutex::default(),
        }
    }

    /// One round of origin validation.
    pub async fn roa(&self, scope: Scope) -> Result<usize, RoundError> {
        let _alone = self.roa_round.lock().await;
        if !self.sources.validator.is_configured() {
            return Ok(0);
        }
        self.sources.validator.ready(VRPS_AT_START).await;
        self.routes(Peer::Rpki, scope).await
    }

    /// One round over the registries.
    pub async fn irr(&self, scope: Scope) -> Result<usize, RoundError> {
        let _alone = self.irr_round.lock().await;
        if !self.sources.registry.is_configured() {
            return Ok(0);
        }
        self.routes(Peer::Irr, scope).await
    }

    /// Looks at the route of every block, and again at those that say something new, as often as it takes to confirm it.
    async fn routes(&self, peer: Peer, scope: Scope) -> Result<usize, RoundError> {
        let check = peer.check();
        let index = self.index().await;
        let known = self.known(scope, check).await?;
        let mut blocks =
            self.in_force(&index, |prefix| route(prefix).is_some() && !known.contains(&prefix.id));
        if blocks.is_empty() && scope == Scope::New {
            return Ok(0);
        }
        let all = blocks.len();
        let mut failures = Failures::default();
        for nth in 0..self.recorder.settings.confirmations.max(1) {
            if nth > 0 {
                tokio::time::sleep(self.recorder.settings.confirm_after).await;
            }
            let asked = blocks.into_iter().filter_map(|prefix| Some((route(&prefix)?, prefix)));
            let looks: Vec<(Arc<Prefix>, Look)> = stream::iter(asked)
                .map(|(route, prefix)| self.look(peer, route, prefix))
                .buffer_unordered(ROUTES_AT_ONCE)
                .collect()
                .await;
            for (prefix, look) in &looks {
                failures.note(prefix, look.as_ref().err());
            }
            blocks = self.recorder.take(check, looks).await?;
            if blocks.is_empty() {
                break;
            }
        }
        self.recorder.forget_ended().await?;
        self.recorder.fold_back(check).await?;
        failures.or(all)
    }

    async fn look(&self, peer: Peer, route: Route, prefix: Arc<Prefix>) -> (Arc<Prefix>, Look) {
        let about = recorder::about(peer.check(), &prefix);
        let look = match peer {
            Peer::Rpki => {
                let seen = self.sources.validator.validate(route).await;
                seen.map(|seen| words::roa(route, &seen, about))
            }
            Peer::Irr => {
                let seen = self.sources.registry.check(route, self.recorder.clock.now()).await;
                seen.map(|seen| words::irr(route, &seen, about))
            }
        };
        (prefix, look)
    }

    /// Folds back what NetBox could not take when it was found.
    pub async fn fold(&self) -> Result<usize, RoundError> {
        self.recorder.catch_up().await
    }

    /// One run over the blocklists: recorded addresses and what was listed first, then as much of the rest as the budget allows,
    /// the block that was whole the longest ago first.
    pub async fn reputation(&self, scope: Scope) -> Result<usize, RoundError> {
        let _alone = self.reputation_round.lock().await;
        if !self.sources.lists.is_configured() {
            return Ok(0);
        }
        let index = self.index().await;
        let known = self.known(scope, Check::Reputation).await?;
        let listable = |prefix: &Prefix| !self.sources.lists.zones(prefix.network.first()).is_empty();
        let mut blocks = Vec::new();
        for prefix in self.in_force(&index, |prefix| listable(prefix) && !known.contains(&prefix.id)) {
            blocks.push((self.sweeps.load(&self.sources.lists, &prefix).await?, prefix));
        }
        // Never whole comes before whole long ago; a zone that is in trouble has no say in it.
        blocks.sort_by_key(|(sweeps, _)| {
            let well = |sweep: &&Option<Sweep>| sweep.as_ref().is_none_or(|sweep| sweep.trouble.is_none());
            let zones = sweeps.iter().map(|(_, sweep)| sweep).filter(well);
            zones.map(|sweep| sweep.as_ref().and_then(|sweep| sweep.complete)).min()
        });
        if blocks.is_empty() && scope == Scope::New {
            return Ok(0);
        }
        let mut left = self.recorder.settings.reputation.budget;
        let (all, mut failures) = (blocks.len(), Failures::default());
        for (mut sweeps, prefix) in blocks {
            left = left.saturating_sub(self.sweep(&index, &prefix, &mut sweeps, left).await);
            let now = self.recorder.clock.now();
            self.sweeps.store(prefix.id, &sweeps, now).await?;
            let baseline = self.sweeps.take_baseline(&prefix, &sweeps, now).await?;
            let judged = self.sweeps.judge(&index, &prefix, &sweeps, baseline.as_ref());
            let observed = judged.observed.unwrap_or(now);
            let look = judged.verdict.map(|reputation| Sighting {
                about: recorder::about(Check::Reputation, &prefix),
                verdict: Verdict::Reputation(reputation),
                reason: judged.reason,
                source: sweeps.iter().map(|(zone, _)| zone.as_str()).collect::<Vec<_>>().join(", "),
                observed,
            });
            // That a first round has not ended yet is no failure: it goes on in the next run.
            let in_trouble = |sweep: &Sweep| sweep.trouble.is_some() || !sweep.failed.is_empty();
            let troubled = sweeps.iter().filter_map(|(_, sweep)| sweep.as_ref()).any(in_trouble);
            failures.note(&prefix, look.as_ref().err().filter(|_| troubled));
            // A block at a time: what a long run has found is known at once, and kept if the server stops.
            self.recorder.take(Check::Reputation, vec![(prefix, look)]).await?;
        }
        self.recorder.forget_ended().await?;
        self.recorder.fold_back(Check::Reputation).await?;
        failures.or(all)
    }

    /// Carries the sweeps of a block on, all zones at once; answers how much of the budget that took.
    async fn sweep(
        &self,
        index: &Index,
        prefix: &Prefix,
        sweeps: &mut [(String, Option<Sweep>)],
        budget: usize,
    ) -> usize {
        let target = Target { block: prefix.network, recorded: recorded(index, prefix), budget };
        let runs = sweeps.iter_mut().map(|(zone, sweep)| {
            let target = &target;
            async move {
                let sweep = sweep.get_or_insert_default();
                sweeper::advance(&self.sources.lists, zone, target, sweep, &*self.recorder.clock, |_| {})
                    .await
            }
        });
        futures::future::join_all(runs).await.into_iter().max().unwrap_or(0)
    }

    /// Blocks to leave out: those that were looked at before, if only new ones are wanted.
    async fn known(&self, scope: Scope, check: Check) -> Result<BTreeSet<PrefixId>, ledger::Error> {
        match (scope, check) {
            (Scope::All, _) => Ok(BTreeSet::new()),
            (Scope::New, Check::Reputation) => Ok(self.sweeps.swept().await?.into_iter().collect()),
            (Scope::New, Check::Roa | Check::Irr) => self.recorder.known(check).await,
        }
    }

    /// The records, once there are any: a round that is due at start waits for the first full pass.
    async fn index(&self) -> Arc<Index> {
        let cache = &self.recorder.cache;
        while !cache.is_ready() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        cache.snapshot()
    }

    /// Leased blocks that are worth a look: what has ended is no longer ours to worry about.
    fn in_force(&self, index: &Index, wanted: impl Fn(&Prefix) -> bool) -> Vec<Arc<Prefix>> {
        let today = self.recorder.clock.today();
        let in_force = |prefix: &&Arc<Prefix>| {
            prefix.lease.as_ref().is_some_and(|lease| lease.term.phase(today) != Phase::Expired)
                && wanted(prefix)
        };
        index.leased().filter(in_force).cloned().collect()
    }
}

/// Who is asked about a route.
#[derive(Clone, Copy, Debug)]
enum Peer {
    Rpki,
    Irr,
}

impl Peer {
    fn check(self) -> Check {
        match self {
            Self::Rpki => Check::Roa,
            Self::Irr => Check::Irr,
        }
    }
}

/// The announcement that a lease is for.
fn route(prefix: &Prefix) -> Option<Route> {
    let origin = prefix.lease.as_ref()?.origin?;
    Some(Route { prefix: prefix.network, origin })
}

/// The recorded addresses of a block; of a space that nobody sweeps, no more of them than the largest swept block has.
fn recorded(index: &Index, prefix: &Prefix) -> Vec<IpAddr> {
    let most = 1 << sweep::SWEPT_BITS;
    let hosts = index.addresses_within(prefix.table, prefix.network).map(|address| address.host());
    hosts.take(most).collect()
}

/// Blocks that gave no answer.
#[derive(Default)]
struct Failures {
    blocks: BTreeMap<PrefixId, String>,
}

impl Failures {
    /// The last look at a block counts.
    fn note(&mut self, prefix: &Prefix, failure: Option<&CouldNotCheck>) {
        match failure {
            Some(could_not) => {
                self.blocks.insert(prefix.id, format!("{}: {could_not}", prefix.network));
            }
            None => {
                self.blocks.remove(&prefix.id);
            }
        }
    }

    fn or(self, blocks: usize) -> Result<usize, RoundError> {
        let failed = self.blocks.len();
        match self.blocks.into_values().next() {
            Some(first) => Err(RoundError::Unchecked { failed, blocks, first }),
            None => Ok(blocks),
        }
    }
}
