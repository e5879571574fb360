//! Listings on DNS blocklists, and how far the zones were asked about a block.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::choice::UnknownChoice;
use super::network::Network;

/// The meaning of a blocklist's answer code, from the least to the most severe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListingClass {
    /// The code describes the address without an objection. Example: its country.
    Informational,
    /// The owner of the space declares that it sends no mail. This is no sign of abuse.
    Policy,
    /// Abuse from the address was reported.
    Abuse,
}

impl ListingClass {
    /// The name of the class in settings and in stored JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Policy => "policy",
            Self::Abuse => "abuse",
        }
    }
}

impl FromStr for ListingClass {
    type Err = UnknownChoice;

    fn from_str(text: &str) -> Result<Self, UnknownChoice> {
        match text {
            "informational" => Ok(Self::Informational),
            "policy" => Ok(Self::Policy),
            "abuse" => Ok(Self::Abuse),
            other => Err(UnknownChoice { given: other.to_owned(), choices: "abuse, policy, informational" }),
        }
    }
}

/// The answer of a zone that lists an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The most severe class among the codes.
    pub class: ListingClass,
    /// The A records of the answer.
    pub codes: Vec<Ipv4Addr>,
    /// The TXT record of the answer; empty if there is none.
    pub reason: String,
}

/// A listing with the period over which it was observed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownListing {
    pub listing: Listing,
    /// The time of the first observation.
    pub since: Timestamp,
    /// The time of the latest observation.
    pub checked: Timestamp,
}

/// How far one zone was asked about one block. A round asks about every address of the block, over several runs. An address
/// that a complete round covered is not listed if it is neither in `listed` nor in `failed`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneCoverage {
    pub block: Option<Network>,
    /// The start of the current round; `None` between rounds.
    pub began: Option<Timestamp>,
    /// The first address that the current round has not asked about yet.
    pub next: Option<IpAddr>,
    /// The start of the latest complete round; `None` before the first. Every address was asked about since then.
    pub complete: Option<Timestamp>,
    pub listed: BTreeMap<IpAddr, KnownListing>,
    /// The addresses whose latest query failed, with the error. An earlier listing of such an address stays in `listed`.
    pub failed: BTreeMap<IpAddr, String>,
    /// The error of the zone as a whole and its time; `None` if the zone answered the last time.
    #[serde(rename = "trouble")]
    pub zone_error: Option<(String, Timestamp)>,
}

/// The listings that existed when the lease began. They are inherited from earlier users of the block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// The time at which the baseline was taken; `None` if there is none yet.
    pub taken: Option<Timestamp>,
    /// The listed addresses of each zone.
    pub listed: BTreeMap<String, Vec<IpAddr>>,
}

impl Baseline {
    /// Whether the zone listed this address when the lease began.
    pub fn holds(&self, zone: &str, address: IpAddr) -> bool {
        self.listed.get(zone).is_some_and(|addresses| addresses.contains(&address))
    }
}
