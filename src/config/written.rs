//! Everything that can be set, as the file and the environment write it, with its defaults. Unknown keys are errors.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize, Serializer};

use super::LogFormat;
use super::checks::{WrittenBgp, WrittenChecks, WrittenDnsbl, WrittenIrr, WrittenRipeStat, WrittenRpki};
use super::notify::WrittenNotify;
use super::policies::{WrittenAllocation, WrittenValidation};

/// A secret as written: shown as `(set)`, never as it is.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Hidden(pub(super) String);

impl Serialize for Hidden {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.0.is_empty() { "" } else { "(set)" })
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Everything that can be set, as written.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Written {
    pub(super) netbox: WrittenNetBox,
    pub(super) server: WrittenServer,
    pub(super) storage: WrittenStorage,
    pub(super) ledger: WrittenLedger,
    pub(super) sync: WrittenSync,
    pub(super) lease: WrittenLease,
    pub(super) events: WrittenEvents,
    pub(super) expiry: WrittenExpiry,
    pub(super) notify: WrittenNotify,
    pub(super) calendar: WrittenCalendar,
    pub(super) allocation: WrittenAllocation,
    pub(super) rpki: WrittenRpki,
    pub(super) irr: WrittenIrr,
    pub(super) bgp: WrittenBgp,
    pub(super) dnsbl: WrittenDnsbl,
    pub(super) ripestat: WrittenRipeStat,
    pub(super) validation: WrittenValidation,
    pub(super) log: WrittenLog,
}

impl Written {
    pub(super) fn checks(&self) -> WrittenChecks<'_> {
        WrittenChecks {
            rpki: &self.rpki,
            irr: &self.irr,
            bgp: &self.bgp,
            dnsbl: &self.dnsbl,
            ripestat: &self.ripestat,
            validation: &self.validation,
        }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenNetBox {
    pub(super) url: String,
    pub(super) token: Hidden,
    pub(super) token_file: Option<PathBuf>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) read_timeout_seconds: u64,
    pub(super) write_timeout_seconds: u64,
    pub(super) parallel: usize,
    pub(super) page_size: u32,
    pub(super) fields: BTreeMap<String, String>,
}

impl Default for WrittenNetBox {
    fn default() -> Self {
        Self {
            url: String::new(),
            token: Hidden::default(),
            token_file: None,
            ca_file: None,
            read_timeout_seconds: 30,
            write_timeout_seconds: 60,
            parallel: 4,
            page_size: 1000,
            fields: BTreeMap::new(),
        }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenServer {
    pub(super) grpc_listen: SocketAddr,
    pub(super) http_listen: SocketAddr,
    pub(super) allow_remote: bool,
    pub(super) drain_seconds: u64,
}

impl Default for WrittenServer {
    fn default() -> Self {
        Self {
            grpc_listen: SocketAddr::from(([127, 0, 0, 1], 50051)),
            http_listen: SocketAddr::from(([127, 0, 0, 1], 50080)),
            allow_remote: false,
            drain_seconds: 15,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenStorage {
    pub(super) directory: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenLedger {
    pub(super) postgres_url: Hidden,
    pub(super) postgres_url_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenSync {
    pub(super) poll_seconds: f64,
    pub(super) full_pass_seconds: u64,
}

impl Default for WrittenSync {
    fn default() -> Self {
        Self { poll_seconds: 2.0, full_pass_seconds: 3600 }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenLease {
    pub(super) time_zone: String,
}

impl Default for WrittenLease {
    fn default() -> Self {
        Self { time_zone: "UTC".to_owned() }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenLog {
    pub(super) level: String,
    pub(super) format: LogFormat,
}

impl Default for WrittenLog {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenCalendar {
    pub(super) token: Hidden,
    pub(super) token_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenEvents {
    pub(super) bookmark_seconds: u64,
    pub(super) keep_days: u32,
    pub(super) keep_at_most: u64,
}

impl Default for WrittenEvents {
    fn default() -> Self {
        Self { bookmark_seconds: 30, keep_days: 400, keep_at_most: 5_000_000 }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenExpiry {
    pub(super) thresholds: Vec<i32>,
    pub(super) notice_thresholds: Vec<i32>,
    /// By owner; a list, since names of owners are no keys.
    pub(super) owners: Vec<WrittenOwner>,
}

impl Default for WrittenExpiry {
    fn default() -> Self {
        let thresholds = vec![60, 30, 14, 7, 1, 0];
        Self { notice_thresholds: thresholds.clone(), thresholds, owners: Vec::new() }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenOwner {
    pub(super) owner: String,
    #[serde(default)]
    pub(super) thresholds: Option<Vec<i32>>,
    #[serde(default)]
    pub(super) notice_thresholds: Option<Vec<i32>>,
}
