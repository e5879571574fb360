//! NetBox's change log by request: what a request of ours changed, found by the note that it left there.

use serde_json::Value;

use super::client::Client;
use super::error::NetBoxResult;
use super::object_changes::ObjectChangeData;
use super::request::QueryParameter;
use super::writes::ChangeNote;
use crate::model::{Address, Prefix, RequestId};

/// A change that a request made, in the order of the entries of the change log.
#[derive(Clone, Debug, PartialEq)]
pub struct NotedChange {
    /// Id of the change log entry.
    pub id: u64,
    pub record: NotedRecord,
}

/// The record that was changed: before, unless the change created it, and after, unless the change deleted it.
#[derive(Clone, Debug, PartialEq)]
pub enum NotedRecord {
    Prefix { before: Option<Prefix>, after: Option<Prefix> },
    Address { before: Option<Address>, after: Option<Address> },
}

impl Client {
    /// What a request changed (GET /api/core/object-changes/ with `q=`, which searches the messages of entries). Empty on versions
    /// of NetBox that keep no message ([`super::Capabilities::changelog_message`]).
    pub async fn noted_changes(&self, request: &RequestId) -> NetBoxResult<Vec<NotedChange>> {
        if !self.capabilities().changelog_message {
            return Ok(Vec::new());
        }
        // The words around the id make the search exact, so that a short id does not find half of the log.
        let query: [QueryParameter<'_>; 1] = [("q", ChangeNote::search(request))];
        let ours = |row: &Value| {
            let message = row.get("message").and_then(Value::as_str).unwrap_or_default();
            ChangeNote::is_of(message, request)
        };
        let (prefixes, addresses) = self.changes_searched::<Prefix, Address>(&query, ours).await?;
        let mut changes: Vec<NotedChange> = prefixes
            .into_iter()
            .map(|ObjectChangeData { id, before, after, .. }| NotedChange {
                id,
                record: NotedRecord::Prefix { before, after },
            })
            .chain(addresses.into_iter().map(|ObjectChangeData { id, before, after, .. }| NotedChange {
                id,
                record: NotedRecord::Address { before, after },
            }))
            .collect();
        changes.sort_by_key(|change| change.id);
        Ok(changes)
    }
}
