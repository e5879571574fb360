//! What blocklists say of addresses, and how far they were asked about a block.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Network;

/// What kind of thing a listing says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Good to know: a country, a network's size.
    Informational,
    /// The owner of the space says that no mail should come from it: no abuse.
    Policy,
    /// Something was done from it.
    Abuse,
}

impl Class {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Policy => "policy",
            Self::Abuse => "abuse",
        }
    }
}

impl FromStr for Class {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "informational" => Ok(Self::Informational),
            "policy" => Ok(Self::Policy),
            "abuse" => Ok(Self::Abuse),
            other => Err(format!("{other:?} is none of abuse, policy, informational")),
        }
    }
}

/// An address is on a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The gravest class of its codes.
    pub class: Class,
    /// What the zone answered.
    pub codes: Vec<Ipv4Addr>,
    /// Its TXT record, empty if it has none.
    pub reason: String,
}

/// A listing and since when it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The listing.
    pub listing: Listing,
    /// First seen.
    pub since: Timestamp,
    /// Last seen.
    pub checked: Timestamp,
}

/// How far a zone was asked about a block. What is covered and neither listed nor failed is not listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// The block that it is of.
    pub block: Option<Network>,
    /// When the round under way began; `None` between rounds.
    pub began: Option<Timestamp>,
    /// The first address that the round under way has not covered.
    pub next: Option<IpAddr>,
    /// When the last whole round began: every address was asked about since. `None` before the first.
    pub complete: Option<Timestamp>,
    /// What is listed.
    pub listed: BTreeMap<IpAddr, Seen>,
    /// What gave no answer at the last try, and why: neither listed nor not, but for what is listed already.
    pub failed: BTreeMap<IpAddr, String>,
    /// Why the zone as a whole says nothing, and since when.
    pub trouble: Option<(String, Timestamp)>,
}

/// What was listed when the lease began: inherited, not of our doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// When it was taken.
    pub taken: Option<Timestamp>,
    /// Addresses by zone.
    pub listed: BTreeMap<String, Vec<IpAddr>>,
}

impl Baseline {
    /// Whether this listing was there before us.
    pub fn holds(&self, zone: &str, address: IpAddr) -> bool {
        self.listed.get(zone).is_some_and(|addresses| addresses.contains(&address))
    }
}
