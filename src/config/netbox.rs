//! `[netbox]`: where NetBox is, and how it is asked.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::Problems;
use super::secret::{self, SecretText};
use super::values::{http_url, in_range, seconds};
use crate::netbox::{FieldNames, NetBoxSettings};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NetBoxSection {
    pub(super) url: String,
    pub(super) token: SecretText,
    pub(super) token_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    read_timeout_seconds: u64,
    write_timeout_seconds: u64,
    request_limit_seconds: u64,
    parallel_requests: usize,
    page_size: u32,
    /// The names of Leasehold's custom fields in this NetBox, by their default names.
    fields: BTreeMap<String, String>,
}

impl Default for NetBoxSection {
    fn default() -> Self {
        Self {
            url: String::new(),
            token: SecretText::default(),
            token_file: None,
            ca_file: None,
            read_timeout_seconds: 30,
            write_timeout_seconds: 60,
            request_limit_seconds: 120,
            parallel_requests: 4,
            page_size: 1000,
            fields: BTreeMap::new(),
        }
    }
}

impl NetBoxSection {
    pub(super) fn check(&self, problems: &mut Problems) -> Option<NetBoxSettings> {
        let url = if self.url.is_empty() {
            let message = "is required: set it to NetBox's address, in the file or as LEASEHOLD_NETBOX__URL";
            problems.add("netbox.url", message);
            None
        } else {
            http_url("netbox.url", &self.url, problems)
        };
        let token = secret::required("netbox.token", &self.token, self.token_file.as_deref(), problems);
        let read_timeout =
            seconds("netbox.read_timeout_seconds", self.read_timeout_seconds, 1..=3600, problems);
        let write_timeout =
            seconds("netbox.write_timeout_seconds", self.write_timeout_seconds, 1..=3600, problems);
        let request_limit =
            seconds("netbox.request_limit_seconds", self.request_limit_seconds, 1..=3600, problems);
        let parallel = in_range("netbox.parallel_requests", self.parallel_requests, 1..=64, problems);
        let page_size = in_range("netbox.page_size", self.page_size, 1..=100_000, problems);
        let fields = self.field_names(problems);
        Some(NetBoxSettings {
            ca_file: self.ca_file.clone(),
            read_timeout,
            write_timeout,
            request_limit,
            parallel: NonZeroUsize::new(parallel)?,
            page_size: NonZeroU32::new(page_size)?,
            fields: fields?,
            ..NetBoxSettings::new(url?, token.ok()?)
        })
    }

    /// Checks each name by itself first, so that every wrong one is reported.
    fn field_names(&self, problems: &mut Problems) -> Option<FieldNames> {
        let pairs = || self.fields.iter().map(|(field, name)| (field.as_str(), name.as_str()));
        let mut all_valid = true;
        for pair in pairs() {
            // A name that is taken by the default of another field may be free once all of them are mapped.
            if let Err(error) = FieldNames::from_pairs([pair])
                && !matches!(error, crate::netbox::FieldNamesError::Twice(_))
            {
                all_valid = false;
                problems.add(format!("netbox.fields.{}", pair.0), error);
            }
        }
        if !all_valid {
            return None;
        }
        FieldNames::from_pairs(pairs()).map_err(|error| problems.add("netbox.fields", error)).ok()
    }
}
