//! NetBox's change log: what to read again.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::client::Client;
use super::error::{Error, Result};
use super::transport::Request;

/// Where the change log lives since NetBox 4.1.
const PATH: &str = "core/object-changes/";

/// What was done to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Created.
    Create,
    /// Updated.
    Update,
    /// Deleted.
    Delete,
}

/// The kinds of records whose change touches the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// A prefix.
    Prefix,
    /// An address.
    Address,
    /// An IP range.
    IpRange,
    /// A VRF.
    Vrf,
    /// A tenant: its name stands on prefixes and addresses.
    Tenant,
    /// A prefix role.
    Role,
    /// A tag.
    Tag,
}

impl ObjectKind {
    fn from_type(name: &str) -> Option<Self> {
        match name {
            "ipam.prefix" => Some(Self::Prefix),
            "ipam.ipaddress" => Some(Self::Address),
            "ipam.iprange" => Some(Self::IpRange),
            "ipam.vrf" => Some(Self::Vrf),
            "tenancy.tenant" => Some(Self::Tenant),
            "ipam.role" => Some(Self::Role),
            "extras.tag" => Some(Self::Tag),
            _ => None,
        }
    }
}

/// One entry of the change log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Id of the entry. Ids are handed out before commit, so a lower one may appear after a higher one.
    pub id: u64,
    /// When it was made.
    pub time: Timestamp,
    /// NetBox's id of the request that made it: with id and time the fingerprint of this very log.
    pub request: String,
    /// What was done.
    pub action: Action,
    /// To what; `None` for kinds that do not touch the cache.
    pub kind: Option<ObjectKind>,
    /// Id of the record.
    pub object: u64,
}

#[derive(Deserialize)]
struct WireChange {
    id: u64,
    time: Timestamp,
    #[serde(default)]
    request_id: String,
    action: WireAction,
    changed_object_type: String,
    changed_object_id: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WireAction {
    Labelled { value: String },
    Bare(String),
}

impl Client {
    /// A page of entries with this id or a higher one, in order of id. Empty if there is none.
    pub async fn changes_from(&self, id: u64) -> Result<Vec<Change>> {
        let mut query =
            vec![("limit", self.page_size().to_string()), ("exclude", "config_context".to_owned())];
        query.push(("fields", "id,time,request_id,action,changed_object_type,changed_object_id".to_owned()));
        if self.capabilities().cursor_pages {
            query.push(("start", id.to_string()));
        } else {
            query.push(("id__gte", id.to_string()));
            query.push(("ordering", "id".to_owned()));
        }
        let mut changes = self.changes(&query).await?;
        changes.retain(|change| change.id >= id);
        changes.sort_by_key(|change| change.id);
        Ok(changes)
    }

    /// The newest entry, `None` if the log is empty.
    pub async fn latest_change(&self) -> Result<Option<Change>> {
        let query = [
            ("limit", "1".to_owned()),
            ("ordering", "-id".to_owned()),
            ("fields", "id,time,request_id,action,changed_object_type,changed_object_id".to_owned()),
        ];
        Ok(self.changes(&query).await?.into_iter().next())
    }

    async fn changes(&self, query: &[(&str, String)]) -> Result<Vec<Change>> {
        let page = self.transport().read(Request::get(PATH, query)).await?;
        let malformed = |cause: String| Error::Malformed { attempt: format!("GET {PATH}"), cause };
        page.get("results")
            .and_then(Value::as_array)
            .ok_or_else(|| malformed("no results".to_owned()))?
            .iter()
            .map(|row| {
                let wire = WireChange::deserialize(row).map_err(|error| malformed(error.to_string()))?;
                let word = match &wire.action {
                    WireAction::Labelled { value } | WireAction::Bare(value) => value.as_str(),
                };
                Ok(Change {
                    id: wire.id,
                    time: wire.time,
                    request: wire.request_id,
                    action: match word {
                        "create" => Action::Create,
                        "delete" => Action::Delete,
                        _ => Action::Update,
                    },
                    kind: ObjectKind::from_type(&wire.changed_object_type),
                    object: wire.changed_object_id,
                })
            })
            .collect()
    }
}
