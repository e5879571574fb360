//! Opens a ledger, and hands out its parts.

use std::sync::Arc;

use secrecy::ExposeSecret as _;

use super::database::{PostgresLedger, SqliteLedger};
use super::ended_lease::EndedLeases;
use super::error::Error;
use super::intent::IntentStore;
use super::job_lease::JobLeases;
use super::journal::Journal;
use super::observation::Observations;
use super::outbox::Outbox;
use super::pool::PoolStore;
use super::quarantine::QuarantineStore;
use super::settings::LedgerSettings;

/// The parts of an open ledger. All of them are the same database; clones share it.
#[derive(Clone)]
pub struct LedgerHandles {
    pub intents: Arc<dyn IntentStore>,
    pub pools: Arc<dyn PoolStore>,
    pub quarantine: Arc<dyn QuarantineStore>,
    pub journal: Arc<dyn Journal>,
    pub outbox: Arc<dyn Outbox>,
    pub observations: Arc<dyn Observations>,
    pub ended_leases: Arc<dyn EndedLeases>,
    pub job_leases: Arc<dyn JobLeases>,
}

impl LedgerHandles {
    fn of(
        database: Arc<
            impl IntentStore
            + PoolStore
            + QuarantineStore
            + Journal
            + Outbox
            + Observations
            + EndedLeases
            + JobLeases
            + 'static,
        >,
    ) -> Self {
        Self {
            intents: database.clone(),
            pools: database.clone(),
            quarantine: database.clone(),
            journal: database.clone(),
            outbox: database.clone(),
            observations: database.clone(),
            ended_leases: database.clone(),
            job_leases: database,
        }
    }
}

/// Opens the ledger, creates it if it does not exist, and brings its schema up to date. Fails if a newer version of Leasehold
/// has changed the schema.
pub async fn open(settings: &LedgerSettings) -> Result<LedgerHandles, Error> {
    Ok(match settings {
        LedgerSettings::Temporary => LedgerHandles::of(Arc::new(SqliteLedger::temporary().await?)),
        LedgerSettings::Sqlite(path) => LedgerHandles::of(Arc::new(SqliteLedger::open(path).await?)),
        LedgerSettings::Postgres(url) => {
            LedgerHandles::of(Arc::new(PostgresLedger::open(url.expose_secret()).await?))
        }
    })
}
