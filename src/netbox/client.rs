//! The client: one NetBox, its version, and reads of records by id or by filter.

use serde_json::Value;
use url::Url;

use super::error::{Error, Result};
use super::fields::FieldNames;
use super::records::Record;
use super::settings::{NetBoxSettings, SettingsError};
use super::transport::{Request, Transport};
use super::version::{Capabilities, Version};

/// How many ids NetBox is asked for at once.
const IDS_A_REQUEST: usize = 100;

/// Speaks to one NetBox. Cheap to clone: connections are shared.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Transport,
    fields: FieldNames,
    page_size: u32,
    parallel: usize,
    version: std::sync::Arc<std::sync::OnceLock<Version>>,
}

impl Client {
    /// A client that has not spoken to NetBox yet: no I/O but reading the CA file.
    pub fn new(settings: &NetBoxSettings) -> Result<Self, SettingsError> {
        Ok(Self {
            transport: Transport::new(settings)?,
            fields: settings.fields.clone(),
            page_size: settings.page_size,
            parallel: settings.parallel.max(1),
            version: std::sync::Arc::default(),
        })
    }

    /// Asks for NetBox's version (GET /api/status/) and refuses one that is not supported. What this client sends
    /// afterwards follows from the answer.
    pub async fn connect(&self) -> Result<Version> {
        let status = self.transport.read(Request::get("status/", &[])).await?;
        let text = status.get("netbox-version").and_then(Value::as_str).ok_or_else(|| Error::NotNetBox {
            url: self.transport.base().to_string(),
            found: "a status without netbox-version".to_owned(),
        })?;
        let found: Version = text.parse().map_err(|error: super::version::NotAVersion| Error::Malformed {
            attempt: "GET status/".to_owned(),
            cause: error.to_string(),
        })?;
        if !found.is_supported() {
            return Err(Error::UnsupportedVersion { found });
        }
        if self.version.set(found).is_ok() {
            tracing::info!(version = %found, url = %self.transport.base(), "connected to NetBox");
        }
        Ok(found)
    }

    /// The version, once [`Client::connect`] has seen it.
    pub fn version(&self) -> Option<Version> {
        self.version.get().copied()
    }

    /// NetBox's base URL.
    pub fn url(&self) -> &Url {
        self.transport.base()
    }

    /// What the fields are called.
    pub fn fields(&self) -> &FieldNames {
        &self.fields
    }

    /// How many pages a full pass may ask for at once.
    pub fn parallel(&self) -> usize {
        self.parallel
    }

    /// What this NetBox can do; before it has been asked, what the oldest can.
    pub fn capabilities(&self) -> Capabilities {
        let oldest = Version { major: Version::OLDEST.major, minor: Version::OLDEST.minor, patch: 0 };
        self.version().unwrap_or(oldest).capabilities()
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(super) fn page_size(&self) -> u32 {
        self.page_size
    }

    /// Reads records by id. Those that NetBox no longer has are simply not in the answer.
    pub async fn by_ids<R: Record>(&self, ids: &[u64]) -> Result<Vec<R>> {
        let mut found = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(IDS_A_REQUEST) {
            let mut query: Vec<(&str, String)> = chunk.iter().map(|id| ("id", id.to_string())).collect();
            query.push(("limit", IDS_A_REQUEST.to_string()));
            query.push(("fields", R::FIELDS.to_owned()));
            let page = self.transport.read(Request::get(R::PATH, &query)).await?;
            let rows = self.rows::<R>(&page)?;
            found.extend(rows.into_iter().filter(|row| chunk.contains(&row.id())));
        }
        Ok(found)
    }

    /// Reads the records that match a filter, at most a page of them. **NetBox ignores filters that it does not know**:
    /// check the answer on this side too.
    pub async fn find<R: Record>(&self, filter: &[(&str, String)]) -> Result<Vec<R>> {
        let mut query = filter.to_vec();
        query.push(("limit", self.page_size.to_string()));
        query.push(("fields", R::FIELDS.to_owned()));
        let page = self.transport.read(Request::get(R::PATH, &query)).await?;
        self.rows(&page)
    }

    /// The rows of a page. A row that cannot be understood fails the page: a cache with a hole would hand out what is
    /// taken.
    pub(super) fn rows<R: Record>(&self, page: &Value) -> Result<Vec<R>> {
        let malformed = |cause: String| Error::Malformed { attempt: format!("GET {}", R::PATH), cause };
        page.get("results")
            .and_then(Value::as_array)
            .ok_or_else(|| malformed("no results".to_owned()))?
            .iter()
            .map(|row| R::parse(row, &self.fields).map_err(&malformed))
            .collect()
    }
}
