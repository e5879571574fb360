//! The lease of a prefix: what leased space carries and owned space does not.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::asn::Asn;
use super::choice::UnknownChoice;
use super::term::Term;

/// The lease that a prefix carries if `lease_owner` or `lease_expiry` is set. Any other part may be missing, because people
/// edit NetBox too. The last five fields are verdicts that Leasehold writes back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The organisation that holds the address space. Example: ACME-LIR.
    pub owner: Option<String>,
    pub term: Term,
    /// The reference of the Letter of Authorisation.
    pub loa_reference: Option<String>,
    /// The AS that may originate the block.
    pub origin: Option<Asn>,
    pub roa_status: Option<RoaStatus>,
    /// The observation time of `roa_status`.
    pub roa_checked: Option<Timestamp>,
    /// Whether a registry has a route object for exactly this block and origin.
    pub irr_registered: Option<bool>,
    pub reputation: Option<Reputation>,
    /// The observation time of `reputation`.
    pub reputation_checked: Option<Timestamp>,
}

impl Lease {
    /// The contract alone: owner, term, LOA reference and origin, without the verdicts.
    #[must_use]
    pub fn contract(&self) -> Self {
        Self {
            owner: self.owner.clone(),
            term: self.term,
            loa_reference: self.loa_reference.clone(),
            origin: self.origin,
            ..Self::default()
        }
    }
}

/// Declares an enum whose values are the choices of a custom field in NetBox.
macro_rules! netbox_choices {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $value:literal,)+ } $choices:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every value, in the order of NetBox's choice set.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The value in NetBox's choice set.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $value,)+
                }
            }
        }

        impl FromStr for $name {
            type Err = UnknownChoice;

            fn from_str(text: &str) -> Result<Self, UnknownChoice> {
                match text {
                    $($value => Ok(Self::$variant),)+
                    other => Err(UnknownChoice { given: other.to_owned(), choices: $choices }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

netbox_choices!(
    /// The value of the custom field `roa_status`: route origin validation of the block with its origin AS (RFC 6811).
    RoaStatus {
        Valid = "valid",
        Invalid = "invalid",
        /// RFC 6811 calls this state NotFound.
        Unknown = "unknown",
    } "valid, invalid, unknown"
);

netbox_choices!(
    /// The verdict of the DNS blocklists on a block, as the custom field `reputation` names it.
    Reputation {
        Clean = "clean",
        Listed = "listed",
        /// Only a small share of the addresses is listed for abuse, or only policy lists contain them.
        Watch = "watch",
    } "clean, listed, watch"
);
