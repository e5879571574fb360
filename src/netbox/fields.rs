//! Leasehold's own custom fields in NetBox and what they are called there.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use crate::model::{AllocationId, Asn, Reputation, RoaStatus};

/// A custom field that Leasehold keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// Who holds the resource.
    LeaseOwner,
    /// First day.
    LeaseStart,
    /// Last day.
    LeaseExpiry,
    /// Last day to renew or give notice.
    LeaseNoticeDate,
    /// Reference of the LOA.
    LoaReference,
    /// The AS that may originate the block.
    OriginAsn,
    /// Verdict of origin validation.
    RoaStatus,
    /// When it was observed.
    RoaChecked,
    /// Whether a route object stands.
    IrrRegistered,
    /// Verdict of the blocklists.
    Reputation,
    /// When it was observed.
    ReputationChecked,
    /// Who allocated the record.
    AllocationId,
}

impl Field {
    /// All of them, in the order in which people read them.
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

    /// The name it has unless it is mapped.
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

    /// The field with this default name.
    pub fn from_default_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.default_name() == name)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.default_name())
    }
}

/// What the fields are called in this NetBox: the default name unless mapped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldNames {
    mapped: BTreeMap<Field, String>,
}

/// Why a mapping of names is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldNamesError {
    /// Not one of ours.
    #[error("netbox.fields.{0} is none of Leasehold's fields")]
    Unknown(String),
    /// NetBox allows letters, digits and underscores.
    #[error("netbox.fields.{field} = {name:?}: NetBox's field names are made of a-z A-Z 0-9 _ only")]
    Name {
        /// Which field.
        field: Field,
        /// The name refused.
        name: String,
    },
    /// Two fields of one name.
    #[error("netbox.fields: {0:?} is the name of two fields")]
    Twice(String),
}

impl FieldNames {
    /// From pairs of default name and the name in this NetBox.
    pub fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, FieldNamesError> {
        let mut mapped = BTreeMap::new();
        for (key, name) in pairs {
            let field =
                Field::from_default_name(key).ok_or_else(|| FieldNamesError::Unknown(key.to_owned()))?;
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
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

    /// The name in this NetBox.
    pub fn name(&self, field: Field) -> &str {
        self.mapped.get(&field).map_or(field.default_name(), String::as_str)
    }

    /// Whether the name is that of one of Leasehold's fields.
    pub fn is_own(&self, name: &str) -> bool {
        Field::ALL.into_iter().any(|field| self.name(field) == name)
    }

    /// The `custom_fields` object of a write.
    pub(super) fn object<'a>(
        &self,
        changes: impl IntoIterator<Item = &'a FieldChange>,
    ) -> Map<String, Value> {
        changes.into_iter().map(|change| (self.name(change.field()).to_owned(), change.value())).collect()
    }
}

/// A value to write into one of Leasehold's fields; `None` clears it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the field of the same name
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
    /// What clears every lease field of a prefix.
    pub fn clear_lease() -> Vec<Self> {
        vec![
            Self::LeaseOwner(None),
            Self::LeaseStart(None),
            Self::LeaseExpiry(None),
            Self::LeaseNoticeDate(None),
            Self::LoaReference(None),
            Self::OriginAsn(None),
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
