//! Leasehold's custom fields: their names in NetBox, which can be mapped, and values to write into them.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use crate::model::{AllocationId, Asn, Reputation, RoaStatus};

/// A custom field that Leasehold keeps on prefixes or, for the allocation id, also on addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The organisation that holds the address space and leases it out.
    LeaseOwner,
    /// First day of the term.
    LeaseStart,
    /// Last day of the term, inclusive.
    LeaseExpiry,
    /// Last day to renew or to give notice.
    LeaseNoticeDate,
    /// Reference of the Letter of Authorisation.
    LoaReference,
    /// The AS that may originate the block.
    OriginAsn,
    /// Last verdict of route origin validation (RFC 6811).
    RoaStatus,
    /// When `RoaStatus` was observed.
    RoaChecked,
    /// Whether the IRR has a route object of the block with the origin.
    IrrRegistered,
    /// Last verdict of the blocklists.
    Reputation,
    /// When `Reputation` was observed.
    ReputationChecked,
    /// Request id and index of the allocation that created the record.
    AllocationId,
}

impl Field {
    /// All fields, in the order in which people read them.
    pub const ALL: [Self; 12] = [
        Self::LeaseOwner,
        Self::LeaseStart,
        Self::LeaseExpiry,
        Self::LeaseNoticeDate,
        Self::LoaReference,
        Self::OriginAsn,
        Self::RoaStatus,
        Self::RoaChecked,
        Self::IrrRegistered,
        Self::Reputation,
        Self::ReputationChecked,
        Self::AllocationId,
    ];

    /// The name of the field unless it is mapped to another.
    pub fn default_name(self) -> &'static str {
        match self {
            Self::LeaseOwner => "lease_owner",
            Self::LeaseStart => "lease_start",
            Self::LeaseExpiry => "lease_expiry",
            Self::LeaseNoticeDate => "lease_notice_date",
            Self::LoaReference => "loa_reference",
            Self::OriginAsn => "origin_asn",
            Self::RoaStatus => "roa_status",
            Self::RoaChecked => "roa_checked",
            Self::IrrRegistered => "irr_registered",
            Self::Reputation => "reputation",
            Self::ReputationChecked => "reputation_checked",
            Self::AllocationId => "allocation_id",
        }
    }

    /// The field that has this default name.
    pub fn from_default_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.default_name() == name)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.default_name())
    }
}

/// The names of Leasehold's custom fields in one NetBox: the default name unless it is mapped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldNames {
    mapped: BTreeMap<Field, String>,
}

/// Why a mapping of field names (`netbox.fields`) is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldNamesError {
    #[error("netbox.fields.{0} is not one of Leasehold's fields")]
    Unknown(String),
    #[error(
        "netbox.fields.{field} = {name:?}: the name of a custom field consists of a-z, A-Z, 0-9 and _ only"
    )]
    Name { field: Field, name: String },
    #[error("netbox.fields: {0:?} is the name of two fields; each field needs a name of its own")]
    Twice(String),
}

impl FieldNames {
    /// Builds the mapping from pairs of a default name and the name in this NetBox.
    pub fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, FieldNamesError> {
        let mut mapped = BTreeMap::new();
        for (key, name) in pairs {
            let field =
                Field::from_default_name(key).ok_or_else(|| FieldNamesError::Unknown(key.to_owned()))?;
            if !Self::is_name(name) {
                return Err(FieldNamesError::Name { field, name: name.to_owned() });
            }
            mapped.insert(field, name.to_owned());
        }
        let names = Self { mapped };
        let mut seen = std::collections::BTreeSet::new();
        for field in Field::ALL {
            if !seen.insert(names.name(field)) {
                return Err(FieldNamesError::Twice(names.name(field).to_owned()));
            }
        }
        Ok(names)
    }

    /// The name of a field in this NetBox.
    pub fn name(&self, field: Field) -> &str {
        self.mapped.get(&field).map_or(field.default_name(), String::as_str)
    }

    /// Whether NetBox takes a text as the name of a custom field.
    pub fn is_name(text: &str) -> bool {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    }

    /// Whether a custom field of this name is one of Leasehold's.
    pub fn is_own(&self, name: &str) -> bool {
        Field::ALL.into_iter().any(|field| self.name(field) == name)
    }

    /// The `custom_fields` object in the body of a write.
    pub(super) fn object<'a>(
        &self,
        changes: impl IntoIterator<Item = &'a FieldChange>,
    ) -> Map<String, Value> {
        changes.into_iter().map(|change| (self.name(change.field()).to_owned(), change.value())).collect()
    }
}

/// A value to write into the custom field of the same name; `None` clears it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldChange {
    LeaseOwner(Option<String>),
    LeaseStart(Option<Date>),
    LeaseExpiry(Option<Date>),
    LeaseNoticeDate(Option<Date>),
    LoaReference(Option<String>),
    OriginAsn(Option<Asn>),
    RoaStatus(Option<RoaStatus>),
    RoaChecked(Option<Timestamp>),
    IrrRegistered(Option<bool>),
    Reputation(Option<Reputation>),
    ReputationChecked(Option<Timestamp>),
    AllocationId(Option<AllocationId>),
}

impl FieldChange {
    /// The changes that clear every lease field of a prefix.
    pub fn clear_lease() -> Vec<Self> {
        let contract = [
            Self::LeaseOwner(None),
            Self::LeaseStart(None),
            Self::LeaseExpiry(None),
            Self::LeaseNoticeDate(None),
            Self::LoaReference(None),
            Self::OriginAsn(None),
        ];
        contract.into_iter().chain(Self::clear_verdicts()).collect()
    }

    /// The changes that clear every recorded verdict of a prefix.
    pub fn clear_verdicts() -> [Self; 5] {
        [
            Self::RoaStatus(None),
            Self::RoaChecked(None),
            Self::IrrRegistered(None),
            Self::Reputation(None),
            Self::ReputationChecked(None),
        ]
    }

    fn field(&self) -> Field {
        match self {
            Self::LeaseOwner(_) => Field::LeaseOwner,
            Self::LeaseStart(_) => Field::LeaseStart,
            Self::LeaseExpiry(_) => Field::LeaseExpiry,
            Self::LeaseNoticeDate(_) => Field::LeaseNoticeDate,
            Self::LoaReference(_) => Field::LoaReference,
            Self::OriginAsn(_) => Field::OriginAsn,
            Self::RoaStatus(_) => Field::RoaStatus,
            Self::RoaChecked(_) => Field::RoaChecked,
            Self::IrrRegistered(_) => Field::IrrRegistered,
            Self::Reputation(_) => Field::Reputation,
            Self::ReputationChecked(_) => Field::ReputationChecked,
            Self::AllocationId(_) => Field::AllocationId,
        }
    }

    fn value(&self) -> Value {
        match self {
            Self::LeaseOwner(text) | Self::LoaReference(text) => json!(text),
            Self::LeaseStart(day) | Self::LeaseExpiry(day) | Self::LeaseNoticeDate(day) => {
                json!(day.map(|day| day.to_string()))
            }
            Self::OriginAsn(asn) => json!(asn.map(Asn::number)),
            Self::RoaStatus(word) => json!(word.map(RoaStatus::as_str)),
            Self::Reputation(word) => json!(word.map(Reputation::as_str)),
            Self::RoaChecked(at) | Self::ReputationChecked(at) => json!(at.map(|at| at.to_string())),
            Self::IrrRegistered(flag) => json!(flag),
            Self::AllocationId(id) => json!(id.as_ref().map(ToString::to_string)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_name_is_used_and_the_others_keep_theirs() {
        let names = FieldNames::from_pairs([("lease_owner", "lessor")]).unwrap();
        assert_eq!(names.name(Field::LeaseOwner), "lessor");
        assert_eq!(names.name(Field::LeaseExpiry), "lease_expiry");
        assert!(names.is_own("lessor") && !names.is_own("lease_owner"));
    }

    #[test]
    fn two_fields_of_one_name_and_unknown_fields_are_refused() {
        assert!(FieldNames::from_pairs([("lease_owner", "lease_expiry")]).is_err());
        assert!(FieldNames::from_pairs([("lease_ower", "x")]).is_err());
        assert!(FieldNames::from_pairs([("lease_owner", "a b")]).is_err());
    }
}
