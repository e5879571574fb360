//! Answers on demand. Asks the same sources as the rounds, now, and writes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::join_all;
use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc};

use super::error::Error;
use super::preflight::{Aspect, Case, Finding, is_ready};
use super::reputation::{self, BlockReputation};
use super::settings::ValidationSettings;
use super::sources::Sources;
use super::sweep;
use super::sweeper::{self, Target};
use super::sweeps::Sweeps;
use crate::cache::{Cache, Index};
use crate::clock::Clock;
use crate::irr::IrrVerdict;
use crate::ledger::{Observation, ObservationKind, Observations};
use crate::model::{
    Asn, Check, CouldNotCheck, Network, Observed, Prefix, Reputation, Route, RouteVerdict, Standing, Sweep,
    Table, Verdict,
};

/// A block to be announced.
#[derive(Clone, Debug)]
pub struct PreflightWish {
    /// Where it stands.
    pub table: Table,
    /// The block.
    pub block: Network,
    /// Who is to announce it; whom the lease names, if absent.
    pub origin: Option<Asn>,
    /// What is to be announced of it; the block itself, if empty.
    pub announce: Vec<Network>,
    /// Days that the lease must have left; as configured, if absent.
    pub min_days_left: Option<i32>,
}

/// What a preflight found.
#[derive(Clone, Debug)]
pub struct Preflight {
    /// Nothing blocks the announcement.
    pub ready: bool,
    /// Everything that was looked at.
    pub findings: Vec<Finding>,
    /// The prefix whose lease covers the block.
    pub leased: Option<Arc<Prefix>>,
    /// Who would announce it.
    pub origin: Option<Asn>,
}

/// How far a check of a block's reputation has come.
#[derive(Clone, Debug)]
pub enum ReputationProgress {
    /// Answers so far, of so many; and how many of them were listings.
    Asked {
        /// So far.
        done: u64,
        /// Of so many.
        of: u64,
        /// Listings among them.
        listed: u64,
    },
    /// The end.
    Judged(Box<BlockReputation>),
}

/// Progress is told this often, counted in answers.
const TELL_EVERY: u64 = 64;

/// Whole blocks that are asked about at once: lists count queries by who asks, and the rounds have to ask, too.
const BLOCKS_AT_ONCE: usize = 2;

/// Answers on demand.
pub struct Inspector {
    sources: Sources,
    cache: Arc<Cache>,
    observations: Arc<dyn Observations>,
    clock: Arc<dyn Clock>,
    settings: ValidationSettings,
    /// A permit for each whole block that is being asked about.
    blocks: Arc<Semaphore>,
}

impl Inspector {
    /// Asks these sources.
    pub fn new(
        sources: Sources,
        cache: Arc<Cache>,
        observations: Arc<dyn Observations>,
        clock: Arc<dyn Clock>,
        settings: ValidationSettings,
    ) -> Self {
        let blocks = Arc::new(Semaphore::new(BLOCKS_AT_ONCE));
        Self { sources, cache, observations, clock, settings, blocks }
    }

    /// The sources, for those who ask how they are.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    fn index(&self) -> Result<Arc<Index>, Error> {
        if self.cache.is_ready() {
            Ok(self.cache.snapshot())
        } else {
            Err(Error::NotReady { trouble: self.cache.freshness().trouble().to_string() })
        }
    }

    /// The route that is asked about: with the origin given, or the one that the covering lease names.
    pub fn route(&self, table: Table, prefix: Network, origin: Option<Asn>) -> Result<Route, Error> {
        let origin = match origin {
            Some(origin) => Some(origin),
            None => self.index()?.covering_lease(table, prefix).and_then(|(_, lease)| lease.origin),
        };
        Ok(Route { prefix, origin: origin.ok_or(Error::NoOrigin { network: prefix })? })
    }

    /// What the RPKI says of a route.
    pub async fn validate(&self, route: Route) -> Result<Observed<RouteVerdict>, CouldNotCheck> {
        self.sources.validator.validate(route).await
    }

    /// Where a route stands in the registries.
    pub async fn irr(&self, route: Route) -> Result<Observed<IrrVerdict>, CouldNotCheck> {
        self.sources.registry.check(route, self.clock.now()).await
    }

    /// What the sweeps have found of a leased block so far; asks nobody.
    pub async fn recorded_reputation(&self, table: Table, block: Network) -> Result<BlockReputation, Error> {
        let index = self.index()?;
        let Some((prefix, _)) = index.covering_lease(table, block) else {
            return Ok(reputation::judge(sweep::space(block, 0), &[], None, &self.settings.reputation));
        };
        let sweeps = self.sweeps();
        let mut kept = sweeps.load(&self.sources.lists, prefix).await?;
        let baseline = sweeps.baseline(prefix).await?;
        // A part of a leased block is judged by what is known of that part.
        for (_, sweep) in &mut kept {
            if let Some(Sweep { listed, failed, .. }) = sweep {
                listed.retain(|address, _| block.contains_address(*address));
                failed.retain(|address, _| block.contains_address(*address));
            }
        }
        let count = index.addresses_within(table, block).count();
        Ok(reputation::judge(sweep::space(block, count), &kept, baseline.as_ref(), &self.settings.reputation))
    }

    /// Asks every list about every address of a block, recorded ones first, and tells how far it has come. Dropping the
    /// receiver ends it.
    pub async fn reputation(
        self: &Arc<Self>,
        table: Table,
        block: Network,
    ) -> Result<mpsc::Receiver<ReputationProgress>, Error> {
        let index = self.index()?;
        if !sweep::is_swept(block) {
            return Err(Error::TooLarge { network: block, shortest: block.max_length() - sweep::SWEPT_BITS });
        }
        let one = block.host_bits() == 0;
        let turn =
            if one { None } else { Some(self.blocks.clone().try_acquire_owned().map_err(|_| Error::Busy)?) };
        let covering = index.covering_lease(table, block).map(|(prefix, _)| prefix.clone());
        let baseline = match &covering {
            Some(prefix) => self.sweeps().baseline(prefix).await?,
            None => None,
        };
        let recorded = index.addresses_within(table, block).map(|address| address.host()).collect();
        let (tell, told) = mpsc::channel(16);
        let this = self.clone();
        tokio::spawn(async move {
            let asking = this.ask_all(block, recorded, &tell);
            let sweeps = tokio::select! {
                sweeps = asking => sweeps,
                () = tell.closed() => return,
            };
            let judged = reputation::judge(
                sweep::space(block, 0),
                &sweeps,
                baseline.as_ref(),
                &this.settings.reputation,
            );
            let _ = tell.send(ReputationProgress::Judged(Box::new(judged))).await;
            drop(turn);
        });
        Ok(told)
    }

    async fn ask_all(
        &self,
        block: Network,
        recorded: Vec<std::net::IpAddr>,
        tell: &mpsc::Sender<ReputationProgress>,
    ) -> Vec<(String, Option<Sweep>)> {
        let zones = self.sources.lists.zones(block.first());
        let of = sweep::space(block, 0) * zones.len() as u64;
        let (done, listed) = (AtomicU64::new(0), AtomicU64::new(0));
        let asked = |answer: &sweep::Answer| {
            let more = u64::from(matches!(answer.1, Ok(Some(_))));
            let listed = listed.fetch_add(more, Ordering::Relaxed) + more;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(TELL_EVERY) {
                // A reader that is slow misses some of the progress and none of the result.
                let _ = tell.try_send(ReputationProgress::Asked { done, of, listed });
            }
        };
        let target = Target { block, recorded, budget: usize::MAX };
        let runs = zones.iter().map(|zone| async {
            let mut sweep = Sweep::default();
            sweeper::advance(&self.sources.lists, &zone.name, &target, &mut sweep, &*self.clock, &asked)
                .await;
            (zone.name.clone(), Some(sweep))
        });
        join_all(runs).await
    }

    /// Everything that an announcement needs.
    pub async fn preflight(&self, wish: &PreflightWish) -> Result<Preflight, Error> {
        let index = self.index()?;
        let covering = index.covering_lease(wish.table, wish.block);
        let leased = covering.map(|(prefix, _)| prefix.clone());
        let lease = leased.as_ref().and_then(|prefix| prefix.lease.as_deref());
        let policy = &self.settings.preflight;
        let case = Case { block: wish.block, lease, required: &policy.required };
        let now = self.clock.now();
        let origin = wish.origin.or_else(|| lease.and_then(|lease| lease.origin));
        let announced: BTreeSet<Network> = if wish.announce.is_empty() {
            [wish.block].into()
        } else {
            wish.announce.iter().copied().collect()
        };

        let routing = async {
            let Some(origin) = origin else { return (case.no_origin(), Vec::new()) };
            let routes = announced.iter().map(|prefix| Route { prefix: *prefix, origin });
            let looks = join_all(routes.map(|route| async move {
                let (roa, irr) = tokio::join!(self.validate(route), self.irr(route));
                (route, roa, irr)
            }))
            .await;
            let roa = looks.iter().flat_map(|(route, roa, _)| case.roa(*route, roa)).collect();
            let irr = looks.iter().map(|(route, _, irr)| case.irr(*route, irr)).collect();
            (roa, irr)
        };
        let seen = async {
            match &self.sources.routes {
                Some(routes) => routes.sighting(wish.block).await,
                None => Err(CouldNotCheck::not_configured()),
            }
        };
        let ((roa, irr), seen, reputation, geofeed) = tokio::join!(
            routing,
            seen,
            self.held_reputation(wish.table, wish.block, leased.as_deref()),
            self.geofeed(&case, leased.as_deref(), now),
        );
        let (held, why_not) = reputation?;
        let mut findings = vec![
            case.term(self.clock.today(), wish.min_days_left.unwrap_or(policy.min_days_left)),
            case.loa(),
        ];
        findings.extend(roa);
        findings.extend(irr);
        findings.extend(case.bgp(origin, &seen, now, policy.bgp_stale_after));
        findings.push(case.reputation(held.as_ref(), &why_not, now, policy.reputation_stale_after));
        findings.push(geofeed);
        Ok(Preflight { ready: is_ready(&findings), findings, leased, origin })
    }

    /// The verdict that is held of the block's lease; if there is none, why not.
    async fn held_reputation(
        &self,
        table: Table,
        block: Network,
        leased: Option<&Prefix>,
    ) -> Result<(Option<Standing>, CouldNotCheck), Error> {
        if !self.sources.lists.is_configured() {
            return Ok((None, CouldNotCheck::not_configured()));
        }
        let Some(prefix) = leased else {
            return Ok((None, CouldNotCheck::one("blocklists", "only leased blocks are swept")));
        };
        let rows = self.observations.load(ObservationKind::Verdict, Some(prefix.id)).await?;
        let row = rows.iter().find(|row| row.subject == Check::Reputation.as_str());
        let held: Option<Standing> = row.map(Observation::read).transpose()?;
        let settled = CouldNotCheck::not_configured;
        if let Some(held) = &held
            && prefix.network == block
        {
            return Ok((Some(held.clone()), settled()));
        }
        let part = self.recorded_reputation(table, block).await?;
        let Some(held) = held else {
            let waiting = CouldNotCheck::one("blocklists", "the first sweep has not been judged yet");
            return Ok((None, part.verdict.err().unwrap_or(waiting)));
        };
        // Of a part, what is known of that part counts where it is worse than what is held of the whole.
        match (part.verdict, held.verdict) {
            (Err(could_not), _) => Ok((None, could_not)),
            (Ok(word), Verdict::Reputation(whole)) if badness(word) > badness(whole) => {
                let standing = Standing {
                    verdict: Verdict::Reputation(word),
                    reason: part.reason,
                    observed: part.observed.unwrap_or(held.observed),
                    candidate: None,
                    ..held
                };
                Ok((Some(standing), settled()))
            }
            (Ok(_), _) => Ok((Some(held), settled())),
        }
    }

    async fn geofeed(&self, case: &Case<'_>, leased: Option<&Prefix>, now: Timestamp) -> Finding {
        let field = &self.settings.preflight.geofeed_field;
        let recorded = leased.and_then(|prefix| prefix.custom_fields.get(field)).and_then(|url| url.as_str());
        let url = match recorded.map(str::trim).filter(|url| !url.is_empty()) {
            Some(url) => Some(url.to_owned()),
            // RFC 9632: without one of our own, the registry may know.
            None => match self.sources.registry.geofeed(case.block).await {
                Ok(url) => url,
                Err(could_not) => return case.unchecked(Aspect::Geofeed, case.block, &could_not),
            },
        };
        let said = match &url {
            Some(url) => {
                self.sources.geofeeds.get(url, now).await.map(|feed| feed.map(|feed| feed.of(case.block)))
            }
            None => Err(CouldNotCheck::not_configured()),
        };
        case.geofeed(url.as_deref(), &said)
    }

    fn sweeps(&self) -> Sweeps {
        Sweeps::new(self.observations.clone(), self.settings.reputation.clone())
    }
}

fn badness(reputation: Reputation) -> u8 {
    match reputation {
        Reputation::Clean => 0,
        Reputation::Watch => 1,
        Reputation::Listed => 2,
    }
}
