//! NetBox's change log (`core/object-changes/`) as a feed: which records changed, in the order of the entries' ids.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::client::Client;
use super::error::NetBoxResult;
use super::lists::{malformed, rows_of};
use super::request::ApiRequest;

/// The endpoint of the change log since NetBox 4.1.
const PATH: &str = "core/object-changes/";
const FIELDS: &str = "id,time,request_id,action,changed_object_type,changed_object_id";

/// What was done to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeAction {
    Create,
    Update,
    Delete,
}

/// The kinds of records whose changes affect the cache. Tenants, roles and tags count, because prefixes and addresses show
/// their names and slugs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    Prefix,
    Address,
    IpRange,
    Vrf,
    Tenant,
    /// A prefix role; the role of an address is a choice, not a record.
    Role,
    Tag,
}

impl ObjectKind {
    fn from_object_type(name: &str) -> Option<Self> {
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

/// One entry of the change log, without the record's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectChange {
    /// Id of the entry. PostgreSQL hands out ids before the commit, so a lower id may appear after a higher one.
    pub id: u64,
    pub time: Timestamp,
    /// NetBox's id of the HTTP request that made the change. Together with `id` it identifies this very change log: after
    /// a restore from a backup the same `id` belongs to another request.
    pub request: String,
    pub action: ChangeAction,
    /// The kind of the record; `None` for kinds that do not affect the cache.
    pub kind: Option<ObjectKind>,
    /// NetBox's id of the record.
    pub object: u64,
}

/// NetBox saves a record a moment before it writes the entry about it.
const SAVED_BEFORE: Duration = Duration::from_secs(1);

impl ObjectChange {
    /// For an entry of a creation, a time at which the record was just about to be saved: whoever knows the record as it was then, or
    /// later, need not read it for this entry. (The id alone does not say so: after a restore NetBox gives ids again.)
    pub fn created_after(&self) -> Option<Timestamp> {
        let created = self.action == ChangeAction::Create;
        created.then(|| self.time.checked_sub(SAVED_BEFORE).unwrap_or(Timestamp::MIN))
    }
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
    /// All entries whose id is `id` or higher, in the order of ids (GET of /api/core/object-changes/ from that id, page by page).
    pub async fn object_changes_from(&self, id: u64) -> NetBoxResult<Vec<ObjectChange>> {
        let filters = [("exclude", "config_context".to_owned())];
        let (mut found, mut from) = (Vec::new(), id);
        loop {
            let (rows, next) = self.page_from(PATH, FIELDS, &filters, from).await?;
            found.extend(rows.iter().map(object_change).collect::<NetBoxResult<Vec<_>>>()?);
            match next {
                Some(next) if next > from => from = next,
                _ => break,
            }
        }
        found.retain(|change| change.id >= id);
        found.sort_by_key(|change| change.id);
        Ok(found)
    }

    /// The newest entry; `None` if the change log is empty (GET /api/core/object-changes/).
    pub async fn latest_object_change(&self) -> NetBoxResult<Option<ObjectChange>> {
        let query =
            [("limit", "1".to_owned()), ("ordering", "-id".to_owned()), ("fields", FIELDS.to_owned())];
        let mut page = self.transport().read(ApiRequest::get(PATH, &query)).await?;
        rows_of(PATH, &mut page)?.first().map(object_change).transpose()
    }
}

fn object_change(row: &Value) -> NetBoxResult<ObjectChange> {
    let wire = WireChange::deserialize(row).map_err(|error| malformed(PATH, error.to_string()))?;
    let action = match &wire.action {
        WireAction::Labelled { value } | WireAction::Bare(value) => match value.as_str() {
            "create" => ChangeAction::Create,
            "delete" => ChangeAction::Delete,
            _ => ChangeAction::Update,
        },
    };
    Ok(ObjectChange {
        id: wire.id,
        time: wire.time,
        request: wire.request_id,
        action,
        kind: ObjectKind::from_object_type(&wire.changed_object_type),
        object: wire.changed_object_id,
    })
}
