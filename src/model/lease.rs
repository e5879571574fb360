//! The lease of a block: the three things that leased space carries and owned space does not, and what goes with them.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Asn, Term};

/// What a prefix says when it carries `lease_owner` or `lease_expiry`. Each part may be missing: people edit NetBox too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Who holds the resource. Example: ACME-LIR.
    pub owner: Option<String>,
    /// From when to when, and by when to give notice.
    pub term: Term,
    /// Reference of the Letter of Authorisation.
    pub loa_reference: Option<String>,
    /// The AS that may originate the block.
    pub origin: Option<Asn>,
    /// Last recorded verdict of origin validation.
    pub roa_status: Option<RoaStatus>,
    /// When it was observed.
    pub roa_checked: Option<Timestamp>,
    /// Whether a route object with the origin is registered.
    pub irr_registered: Option<bool>,
    /// Last recorded verdict of the blocklists.
    pub reputation: Option<Reputation>,
    /// When it was observed.
    pub reputation_checked: Option<Timestamp>,
}

impl Lease {
    /// The same without what was observed of the block: what was agreed.
    #[must_use]
    pub fn agreed(&self) -> Self {
        Self {
            owner: self.owner.clone(),
            term: self.term,
            loa_reference: self.loa_reference.clone(),
            origin: self.origin,
            ..Self::default()
        }
    }
}

/// A word that NetBox holds where only a few are known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is none of {known}")]
pub struct UnknownWord {
    /// The word found.
    pub word: String,
    /// The words known, for people.
    pub known: &'static str,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ } known $known:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every value, in the order of NetBox's choice set.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that NetBox holds.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    other => Err(UnknownWord { word: other.to_owned(), known: $known }),
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

words!(
    /// What the routing table believes of a block and its origin, in the article's words.
    RoaStatus {
        /// RFC 6811 Valid.
        Valid = "valid",
        /// RFC 6811 Invalid.
        Invalid = "invalid",
        /// RFC 6811 NotFound.
        Unknown = "unknown",
    } known "valid, invalid, unknown"
);

words!(
    /// What the blocklists say of a block, in the article's words.
    Reputation {
        /// No list that counts lists any of it.
        Clean = "clean",
        /// Listed on a list that counts.
        Listed = "listed",
        /// Worth a look.
        Watch = "watch",
    } known "clean, listed, watch"
);
