//! The options that select events.

use clap::Args;

use super::references::{parse_tenant, parse_vrf};
use crate::rpc::proto::v1;

/// The events that a command lists or follows.
#[derive(Clone, Debug, Args)]
pub(crate) struct EventFilterArgs {
    /// Only of this type, such as lease_expiring; may be repeated
    #[arg(long = "type", value_name = "TYPE", value_parser = parse_event_type)]
    pub(crate) types: Vec<v1::EventType>,
    /// Only of leases of this owner
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) owner: String,
    /// Only of this tenant: its slug, id:12 or name:…
    #[arg(long, value_name = "TENANT", value_parser = parse_tenant)]
    pub(crate) tenant: Option<v1::TenantRef>,
    /// Only with this tag, by slug
    #[arg(long, default_value = "", hide_default_value = true, value_name = "SLUG")]
    pub(crate) tag: String,
    /// Only within this prefix
    #[arg(long, default_value = "", hide_default_value = true, value_name = "PREFIX")]
    pub(crate) within: String,
    /// Only of this VRF: its id, name or RD; 0 for the global table
    #[arg(long, value_name = "VRF", value_parser = parse_vrf)]
    pub(crate) vrf: Option<v1::VrfRef>,
}

impl EventFilterArgs {
    /// The types as the API encodes them.
    pub(crate) fn types(&self) -> Vec<i32> {
        self.types.iter().map(|kind| i32::from(*kind)).collect()
    }
}

/// Reads `lease_expiring`, `LEASE-EXPIRING` or `EVENT_TYPE_LEASE_EXPIRING`.
fn parse_event_type(text: &str) -> Result<v1::EventType, String> {
    let name = text.to_uppercase().replace('-', "_");
    let name = name.strip_prefix(EVENT_TYPE_PREFIX).unwrap_or(&name);
    v1::EventType::from_str_name(&format!("{EVENT_TYPE_PREFIX}{name}"))
        .filter(|kind| *kind != v1::EventType::Unspecified)
        .ok_or_else(|| format!("is none of {}", type_names().join(", ")))
}

/// The prefix of every name of the enum.
pub(crate) const EVENT_TYPE_PREFIX: &str = "EVENT_TYPE_";

/// The names that `--type` accepts.
fn type_names() -> Vec<String> {
    (1..)
        .map_while(|number| v1::EventType::try_from(number).ok())
        .map(|kind| kind.as_str_name().trim_start_matches(EVENT_TYPE_PREFIX).to_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_in_every_spelling() {
        for text in ["lease_expiring", "lease-expiring", "EVENT_TYPE_LEASE_EXPIRING"] {
            assert_eq!(parse_event_type(text), Ok(v1::EventType::LeaseExpiring));
        }
        assert!(parse_event_type("unspecified").is_err());
        assert!(parse_event_type("lease").unwrap_err().contains("lease_expiring"));
    }
}
