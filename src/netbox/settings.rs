//! Settings of the connection to NetBox: where it is, who asks, and how much may be asked at once.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::fields::FieldNames;

/// Enough to keep the three workers of a usual gunicorn busy.
const DEFAULT_PARALLEL: NonZeroUsize = NonZeroUsize::new(4).unwrap();
/// The `timeout` of gunicorn in the configuration that NetBox ships.
const DEFAULT_REQUEST_LIMIT: Duration = Duration::from_mins(2);
/// NetBox's own MAX_PAGE_SIZE unless it is changed.
const DEFAULT_PAGE_SIZE: NonZeroU32 = NonZeroU32::new(1000).unwrap();

/// Where NetBox is, the token to use, time limits, and the size and number of parallel reads.
#[derive(Clone, Debug)]
pub struct NetBoxSettings {
    /// The address of NetBox itself, without `/api`. Example: <https://netbox.internal>.
    pub url: Url,
    /// API token, v1 (40 hex digits) or v2 (`nbt_KEY.SECRET`).
    pub token: SecretString,
    /// A PEM file with further certificate authorities to trust.
    pub ca_file: Option<PathBuf>,
    /// The time limit of one attempt of a read.
    pub read_timeout: Duration,
    /// The time limit of a write. NetBox needs about 9 s to create a list of 1000 addresses.
    pub write_timeout: Duration,
    /// How long NetBox may still work on a request whose client is gone: the time limit of its own server.
    pub request_limit: Duration,
    /// How many pages a full pass requests at the same time.
    pub parallel: NonZeroUsize,
    /// Rows per page. NetBox caps it at its MAX_PAGE_SIZE.
    pub page_size: NonZeroU32,
    /// The names of Leasehold's custom fields in this NetBox.
    pub fields: FieldNames,
}

impl NetBoxSettings {
    /// The defaults of everything but the URL and the token.
    pub fn new(url: Url, token: SecretString) -> Self {
        Self {
            url,
            token,
            ca_file: None,
            read_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_mins(1),
            request_limit: DEFAULT_REQUEST_LIMIT,
            parallel: DEFAULT_PARALLEL,
            page_size: DEFAULT_PAGE_SIZE,
            fields: FieldNames::default(),
        }
    }
}

/// Why no client can be built from the settings.
#[derive(Debug, thiserror::Error)]
pub enum NetBoxSettingsError {
    #[error("netbox.ca_file {path} cannot be read: {source}")]
    CaFile { path: PathBuf, source: std::io::Error },
    #[error("netbox.ca_file {path} contains no PEM certificate that can be read")]
    CaFormat { path: PathBuf },
    /// The token is empty, or contains characters that an HTTP header cannot carry.
    #[error("netbox.token is empty or contains characters that no token has")]
    Token,
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
}
