//! Step one of a start: open what holds data, which is NetBox's client, the cache, the ledger and the event log.

use std::path::Path;
use std::sync::Arc;

use super::error::Error;
use crate::cache::{Cache, Opened, StoreIdentity};
use crate::clock::Clock;
use crate::config::Settings;
use crate::events::EventLog;
use crate::ledger::{self, LedgerHandles, LedgerSettings};
use crate::netbox::{Client, Field};

/// Everything that holds data. All of it is shared with the capabilities.
pub(super) struct Stores {
    pub(super) client: Client,
    pub(super) cache: Arc<Cache>,
    pub(super) ledger: LedgerHandles,
    /// Written by the cache's commit hook: a change reaches the log before readers of the cache see it.
    pub(super) log: Arc<EventLog>,
}

/// Opens the stores. NetBox is not contacted: it may be out of reach while a server starts.
pub(super) async fn open(settings: &Settings, clock: &Arc<dyn Clock>) -> Result<Stores, Error> {
    create_directories(settings)?;
    let client = Client::new(&settings.netbox)?;
    let (cache, opened) = match &settings.cache_file {
        Some(path) => Cache::open(path, &identity(&client), clock.as_ref()).await?,
        None => (Cache::in_memory().await?, Opened::Empty),
    };
    let ledger = ledger::open(&settings.ledger).await?;
    let log = EventLog::open(ledger.journal.clone(), clock.clone()).await?;
    let cache = Arc::new(cache.with_commit_hook(log.clone()));
    match opened {
        Opened::Loaded => tracing::info!(counts = ?cache.counts(), "serving from the cache file"),
        Opened::Empty | Opened::SetAside { .. } => {
            tracing::info!("the cache is empty: a full pass over NetBox comes first");
        }
    }
    Ok(Stores { client, cache, ledger, log })
}

/// Creates the directories of the cache file and of a ledger file.
fn create_directories(settings: &Settings) -> Result<(), Error> {
    let ledger_file = match &settings.ledger {
        LedgerSettings::Sqlite(path) => Some(path),
        LedgerSettings::Temporary | LedgerSettings::Postgres(_) => None,
    };
    let directories = settings.cache_file.iter().chain(ledger_file).filter_map(|file| file.parent());
    for directory in directories {
        create_directory(directory)?;
    }
    Ok(())
}

fn create_directory(path: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(|source| Error::Directory { path: path.to_owned(), source })
}

/// What a cache file must have been read from to be served: the same NetBox, with the same names of custom fields.
fn identity(client: &Client) -> StoreIdentity {
    let mut text = client.url().to_string();
    for field in Field::ALL {
        let name = client.fields().name(field);
        if name != field.default_name() {
            text.push_str(&format!(" {field}={name}"));
        }
    }
    StoreIdentity(text)
}
