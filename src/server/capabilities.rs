//! Step two of a start: make the capabilities out of the stores.

use std::sync::Arc;

use super::error::Error;
use super::sources;
use super::stores::Stores;
use crate::allocation::{Allocator, Executor, ExecutorParts, Jitter};
use crate::cache::Cache;
use crate::clock::Clock;
use crate::config::Settings;
use crate::events::{EventLog, Historian};
use crate::expiry::ExpiryEngine;
use crate::ledger::Owner;
use crate::netbox::Client;
use crate::notify::Notifier;
use crate::rpki::Validator;
use crate::sync::Syncer;
use crate::validation::{CheckRounds, OnDemandChecks};

/// Every capability, shared by the jobs (step three) and the edge (step four).
#[derive(Clone)]
pub(super) struct Components {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) client: Client,
    pub(super) cache: Arc<Cache>,
    pub(super) log: Arc<EventLog>,
    pub(super) syncer: Arc<Syncer>,
    pub(super) allocator: Arc<Allocator>,
    pub(super) historian: Arc<Historian>,
    pub(super) engine: Arc<ExpiryEngine>,
    pub(super) notifier: Arc<Notifier>,
    pub(super) validator: Arc<Validator>,
    pub(super) checks: Arc<CheckRounds>,
    pub(super) on_demand: Arc<OnDemandChecks>,
}

/// Makes the capabilities. Sources that hold data (VRPs by RTR, for one) begin to follow it.
pub(super) async fn build(
    settings: &Settings,
    stores: Stores,
    owner: Owner,
    clock: Arc<dyn Clock>,
) -> Result<Components, Error> {
    let Stores { client, cache, ledger, log } = stores;
    let sources = sources::start(&settings.checks, clock.clone())?;
    let validation = &settings.checks.validation;
    let executor = Executor::new(ExecutorParts {
        netbox: Arc::new(client.clone()),
        cache: cache.clone(),
        intents: ledger.intents,
        quarantine: ledger.quarantine,
        clock: clock.clone(),
        policy: settings.allocation.clone(),
        owner,
        jitter: Jitter::random(),
    });
    Ok(Components {
        syncer: Arc::new(Syncer::new(client.clone(), cache.clone(), clock.clone()).await),
        allocator: Arc::new(Allocator::new(executor).with_pools(
            ledger.pools,
            log.clone(),
            settings.pools.clone(),
        )),
        historian: Arc::new(Historian::new(client.clone(), cache.clone(), log.clone())),
        engine: Arc::new(ExpiryEngine::new(
            cache.clone(),
            log.clone(),
            clock.clone(),
            settings.expiry.clone(),
        )),
        notifier: Arc::new(Notifier::new(&settings.notify, log.clone(), ledger.outbox, clock.clone())?),
        validator: sources.validator.clone(),
        checks: Arc::new(CheckRounds::new(
            sources.clone(),
            client.clone(),
            cache.clone(),
            log.clone(),
            ledger.observations.clone(),
            clock.clone(),
            validation.clone(),
        )),
        on_demand: Arc::new(OnDemandChecks::new(
            sources,
            cache.clone(),
            ledger.observations,
            clock.clone(),
            validation.clone(),
        )),
        clock,
        client,
        cache,
        log,
    })
}
