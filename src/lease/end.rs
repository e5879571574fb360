//! EndLease: whether it is allowed, and what to write. Pure.

use super::error::Error;
use crate::model::{Network, Prefix};
use crate::netbox::{FieldChange, PrefixDraft};

/// End a lease: the prefix loses its lease and becomes deprecated, or is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndLease {
    /// Whether the lease may end although addresses of the prefix are recorded.
    pub allow_in_use: bool,
    /// Whether to delete the prefix instead of marking it as deprecated. A prefix with addresses or children is not deleted.
    pub delete_prefix: bool,
}

impl EndLease {
    /// Whether the lease may end, given how many addresses and child prefixes are recorded in the prefix.
    pub fn check(self, network: Network, addresses: u64, children: u64) -> Result<(), Error> {
        if addresses > 0 && (!self.allow_in_use || self.delete_prefix) {
            return Err(Error::InUse { network, count: addresses });
        }
        if children > 0 && self.delete_prefix {
            return Err(Error::HasChildren { network, count: children });
        }
        Ok(())
    }

    /// The record as it will be if the prefix is kept.
    pub fn preview(self, prefix: &Prefix) -> Prefix {
        Prefix { status: "deprecated".to_owned(), lease: None, ..prefix.clone() }
    }

    /// What is written if the prefix is kept: no lease, and the status `deprecated`, so that nobody announces it by mistake.
    pub fn draft() -> PrefixDraft {
        PrefixDraft {
            status: Some("deprecated".to_owned()),
            fields: FieldChange::clear_lease(),
            ..PrefixDraft::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_in_use_ends_only_if_allowed_and_is_never_deleted() {
        let network = "203.0.113.0/24".parse().unwrap();
        assert!(EndLease::default().check(network, 3, 0).is_err());
        assert!(EndLease { allow_in_use: true, delete_prefix: false }.check(network, 3, 2).is_ok());
        assert!(EndLease { allow_in_use: true, delete_prefix: true }.check(network, 3, 0).is_err());
        assert!(EndLease { allow_in_use: true, delete_prefix: true }.check(network, 0, 1).is_err());
    }
}
