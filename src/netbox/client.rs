//! The client of one NetBox: its settings, its version, and the connection that all questions share.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use serde_json::Value;
use url::Url;

use super::custom_fields::CustomFields;
use super::error::{Error, NetBoxResult};
use super::fields::FieldNames;
use super::request::ApiRequest;
use super::settings::{NetBoxSettings, NetBoxSettingsError};
use super::transport::Transport;
use super::unique_check::UniqueCheck;
use super::version::{Capabilities, NotAVersion, Version};

/// A client of one NetBox. A clone is cheap and shares the connections.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Transport,
    fields: FieldNames,
    page_size: NonZeroU32,
    parallel: NonZeroUsize,
    request_limit: Duration,
    /// Written once, by the first [`Client::connect`] that succeeds; all clones see it.
    version: Arc<OnceLock<Version>>,
    /// What NetBox said last of its custom fields; `None` before it was asked.
    custom_fields: Arc<ArcSwapOption<CustomFields>>,
    /// What was measured last of the check of allocation ids; `None` before.
    unique_check: Arc<ArcSwapOption<UniqueCheck>>,
}

impl Client {
    /// A client that has not spoken to NetBox yet. The only I/O is reading the CA file.
    pub fn new(settings: &NetBoxSettings) -> Result<Self, NetBoxSettingsError> {
        Ok(Self {
            transport: Transport::new(settings)?,
            fields: settings.fields.clone(),
            page_size: settings.page_size,
            parallel: settings.parallel,
            request_limit: settings.request_limit,
            version: Arc::default(),
            custom_fields: Arc::default(),
            unique_check: Arc::default(),
        })
    }

    /// Asks NetBox for its version (GET /api/status/) and refuses one that Leasehold does not support. Everything that
    /// differs between versions ([`Client::capabilities`]) follows from the answer.
    pub async fn connect(&self) -> NetBoxResult<Version> {
        let status = self.transport.read(ApiRequest::get("status/", &[])).await?;
        let text = status.get("netbox-version").and_then(Value::as_str).ok_or_else(|| Error::NotNetBox {
            url: self.transport.base().to_string(),
            found: "a status without netbox-version".to_owned(),
        })?;
        let found: Version = text.parse().map_err(|error: NotAVersion| Error::Malformed {
            attempt: "GET status/".to_owned(),
            cause: error.to_string(),
        })?;
        if !found.is_supported() {
            let supported = format!("{} to {}", Version::OLDEST, Version::NEWEST);
            return Err(Error::UnsupportedVersion { found: found.to_string(), supported });
        }
        if self.version.set(found).is_ok() {
            tracing::info!(version = %found, url = %self.transport.base(), "connected to NetBox");
        }
        Ok(found)
    }

    /// NetBox's version; `None` until [`Client::connect`] has succeeded.
    pub fn version(&self) -> Option<Version> {
        self.version.get().copied()
    }

    /// NetBox's base URL, without `/api` and with a trailing slash.
    pub fn url(&self) -> &Url {
        self.transport.base()
    }

    /// The names of Leasehold's custom fields in this NetBox.
    pub fn fields(&self) -> &FieldNames {
        &self.fields
    }

    /// How long NetBox may still work on a request whose client is gone.
    pub fn request_limit(&self) -> Duration {
        self.request_limit
    }

    /// How many pages a full pass requests at the same time.
    pub fn parallel(&self) -> usize {
        self.parallel.get()
    }

    /// What this NetBox can do. Until its version is known, what the oldest supported version can do.
    pub fn capabilities(&self) -> Capabilities {
        let oldest = Version { major: Version::OLDEST.major, minor: Version::OLDEST.minor, patch: 0 };
        self.version().unwrap_or(oldest).capabilities()
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(super) fn known_custom_fields(&self) -> &ArcSwapOption<CustomFields> {
        &self.custom_fields
    }

    /// What was measured last of the check of allocation ids ([`Client::measure_unique_check`]); `None` before.
    pub fn unique_check(&self) -> Option<UniqueCheck> {
        self.unique_check.load().as_deref().copied()
    }

    pub(super) fn remember_unique_check(&self, measured: UniqueCheck) {
        self.unique_check.store(Some(Arc::new(measured)));
    }

    pub(super) fn page_size(&self) -> NonZeroU32 {
        self.page_size
    }
}
