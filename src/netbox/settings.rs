//! How to reach NetBox.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::fields::FieldNames;

/// How to reach NetBox and how hard to lean on it.
#[derive(Clone, Debug)]
pub struct NetBoxSettings {
    /// NetBox's own address, without `/api`. Example: <https://netbox.internal>.
    pub url: Url,
    /// API token: v1 (40 hex digits) or v2 (`nbt_KEY.SECRET`).
    pub token: SecretString,
    /// A PEM file with further certificate authorities to trust.
    pub ca_file: Option<PathBuf>,
    /// Longest wait for the answer to a read.
    pub read_timeout: Duration,
    /// Longest wait for the answer to a write. A list of 1000 addresses takes NetBox about 9 s.
    pub write_timeout: Duration,
    /// How many pages a full pass asks for at once.
    pub parallel: usize,
    /// Rows a page; NetBox caps it by its MAX_PAGE_SIZE.
    pub page_size: u32,
    /// What Leasehold's custom fields are called in this NetBox.
    pub fields: FieldNames,
}

impl NetBoxSettings {
    /// Sane settings for an address and a token.
    pub fn new(url: Url, token: SecretString) -> Self {
        Self {
            url,
            token,
            ca_file: None,
            read_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_mins(1),
            parallel: 4,
            page_size: 1000,
            fields: FieldNames::default(),
        }
    }
}

/// Settings that no client can be made of.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The CA file cannot be read.
    #[error("netbox.ca_file {path}: {source}")]
    CaFile {
        /// As configured.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The CA file holds no certificates.
    #[error("netbox.ca_file {path} holds no PEM certificate that can be read")]
    CaFormat {
        /// As configured.
        path: PathBuf,
    },
    /// The token is empty or cannot stand in a header.
    #[error("netbox.token is empty or holds characters that no token has")]
    Token,
    /// The HTTP client could not be built.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
}
