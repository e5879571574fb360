//! NetBox's change log (`core/object-changes/`) as a history: how prefixes and addresses looked before and after each change.
//!
//! NetBox prunes the log (after 90 days unless configured otherwise). Records that were loaded without the API
//! have no entry of their creation.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::client::Client;
use super::error::{Error, NetBoxResult};
use super::fields::FieldNames;
use super::lists::malformed;
use super::records::NetBoxRecord;
use super::request::{ApiRequest, QueryParameter};
use crate::model::{Address, Network, Prefix};

const PATH: &str = "core/object-changes/";

/// One change of a record, with the record before and after it (NetBox's `prechange_data` and `postchange_data`).
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectChangeData<R> {
    /// Id of the change log entry.
    pub id: u64,
    pub time: Timestamp,
    /// NetBox's id of the record.
    pub object: u64,
    /// `None` if the change created the record.
    pub before: Option<R>,
    /// `None` if the change deleted the record.
    pub after: Option<R>,
}

/// A filter on `object_repr`, the name by which an entry of the change log calls its record.
enum ObjectReprFilter {
    /// Entries of exactly these prefixes.
    Prefixes(Vec<Network>),
    /// Entries of this address, whatever its mask.
    Host(IpAddr),
}

impl ObjectReprFilter {
    /// The name of the query parameter, and its values.
    fn parameter(&self) -> (&'static str, Vec<String>) {
        match self {
            Self::Prefixes(networks) => ("object_repr", networks.iter().map(ToString::to_string).collect()),
            Self::Host(host) => ("object_repr__isw", vec![format!("{host}/")]),
        }
    }

    fn matches(&self, entry: &Value) -> bool {
        let repr = entry.get("object_repr").and_then(Value::as_str).unwrap_or_default();
        match self {
            Self::Prefixes(networks) => {
                repr.parse().is_ok_and(|network: Network| networks.contains(&network))
            }
            Self::Host(host) => repr.split('/').next().is_some_and(|text| text.parse() == Ok(*host)),
        }
    }
}

/// Tenants, prefix roles and tags that entries mention: entries hold ids, and names of tags, instead of the records.
#[derive(Debug, Default)]
struct MentionedRecords {
    tenants: BTreeMap<u64, Value>,
    roles: BTreeMap<u64, Value>,
    tags: BTreeMap<String, Value>,
}

impl Client {
    /// The time of the oldest entry of the change log; `None` if it is empty (GET /api/core/object-changes/).
    pub async fn oldest_object_change_time(&self) -> NetBoxResult<Option<Timestamp>> {
        let query =
            [("limit", "1".to_owned()), ("ordering", "id".to_owned()), ("fields", "id,time".to_owned())];
        let page = self.transport().read(ApiRequest::get(PATH, &query)).await?;
        let time = page.pointer("/results/0/time").and_then(Value::as_str);
        time.map(|text| text.parse().map_err(|_| malformed(PATH, "the time of an entry is no time")))
            .transpose()
    }

    /// The changes since `since` of every prefix that an entry of the change log calls by one of `networks`, and of the
    /// prefixes `known`; in the order of the entries (GET /api/core/object-changes/). `known` covers records without an
    /// entry of that name; a prefix may have had another network when it changed.
    pub async fn prefix_changes(
        &self,
        networks: Vec<Network>,
        known: impl IntoIterator<Item = u64>,
        since: Option<Timestamp>,
    ) -> NetBoxResult<Vec<ObjectChangeData<Prefix>>> {
        self.changes_of("ipam.prefix", &ObjectReprFilter::Prefixes(networks), known, since).await
    }

    /// The changes since `since` of every record that an entry of the change log calls by this address, and of the
    /// addresses `known`; in the order of the entries (GET /api/core/object-changes/).
    pub async fn address_changes(
        &self,
        host: IpAddr,
        known: impl IntoIterator<Item = u64>,
        since: Option<Timestamp>,
    ) -> NetBoxResult<Vec<ObjectChangeData<Address>>> {
        self.changes_of("ipam.ipaddress", &ObjectReprFilter::Host(host), known, since).await
    }

    async fn changes_of<R: NetBoxRecord>(
        &self,
        object_type: &str,
        named: &ObjectReprFilter,
        known: impl IntoIterator<Item = u64>,
        since: Option<Timestamp>,
    ) -> NetBoxResult<Vec<ObjectChangeData<R>>> {
        const NAMES: &str = "id,changed_object_type,changed_object_id,object_repr";
        const DATA: &str = "id,time,changed_object_type,changed_object_id,prechange_data,postchange_data";
        let known: BTreeSet<u64> = known.into_iter().collect();
        let (filter, values) = named.parameter();
        let entries = self.entries(object_type, NAMES, Vec::new(), filter, &values).await?;
        let mut ids: BTreeSet<u64> =
            entries.values().filter(|entry| named.matches(entry)).filter_map(changed_object).collect();
        ids.extend(known);

        let values: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let since: Vec<QueryParameter<'_>> =
            since.iter().map(|since| ("time_after", since.to_string())).collect();
        let mut entries = self.entries(object_type, DATA, since, "changed_object_id", &values).await?;
        entries.retain(|_, entry| changed_object(entry).is_some_and(|id| ids.contains(&id)));
        let mentioned = self.mentioned(entries.values()).await?;
        entries.into_iter().map(|(id, entry)| change_data(id, &entry, &mentioned, self.fields())).collect()
    }

    /// The changes of prefixes and of addresses among the entries that a query finds and that `wanted` accepts.
    pub(super) async fn changes_searched<P: NetBoxRecord, A: NetBoxRecord>(
        &self,
        query: &[QueryParameter<'_>],
        wanted: impl Fn(&Value) -> bool,
    ) -> NetBoxResult<(Vec<ObjectChangeData<P>>, Vec<ObjectChangeData<A>>)> {
        const DATA: &str =
            "id,time,message,changed_object_type,changed_object_id,prechange_data,postchange_data";
        let mut rows = self.rows_with(PATH, DATA, query).await?;
        rows.retain(|row| wanted(row));
        let mentioned = self.mentioned(rows.iter()).await?;
        let (mut prefixes, mut addresses) = (Vec::new(), Vec::new());
        for row in &rows {
            let id = row.get("id").and_then(Value::as_u64);
            let id = id.ok_or_else(|| malformed(PATH, "an entry has no id"))?;
            match row.get("changed_object_type").and_then(Value::as_str) {
                Some("ipam.prefix") => prefixes.push(change_data(id, row, &mentioned, self.fields())?),
                Some("ipam.ipaddress") => addresses.push(change_data(id, row, &mentioned, self.fields())?),
                _ => {}
            }
        }
        Ok((prefixes, addresses))
    }

    /// Entries of one object type with any of these values of a filter, by the id of the entry.
    async fn entries(
        &self,
        object_type: &str,
        fields: &str,
        mut common: Vec<QueryParameter<'_>>,
        filter: &str,
        values: &[String],
    ) -> NetBoxResult<BTreeMap<u64, Value>> {
        common.push(("changed_object_type", object_type.to_owned()));
        let mut entries = BTreeMap::new();
        for row in self.rows_with_any(PATH, fields, &common, filter, values).await? {
            let id = row.get("id").and_then(Value::as_u64);
            let id = id.ok_or_else(|| malformed(PATH, "an entry has no id"))?;
            if row.get("changed_object_type").and_then(Value::as_str) == Some(object_type) {
                entries.insert(id, row);
            }
        }
        Ok(entries)
    }

    /// Reads the tenants, roles and tags that the entries mention. A record that NetBox no longer has, or does not show to
    /// this token, is missing.
    async fn mentioned(&self, entries: impl Iterator<Item = &Value>) -> NetBoxResult<MentionedRecords> {
        let (mut tenants, mut roles, mut tags) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for entry in entries {
            for state in ["prechange_data", "postchange_data"] {
                let Some(data) = entry.get(state) else { continue };
                tenants.extend(data.get("tenant").and_then(Value::as_u64));
                roles.extend(data.get("role").and_then(Value::as_u64));
                let named = data.get("tags").and_then(Value::as_array).into_iter().flatten();
                tags.extend(named.filter_map(|tag| tag.as_str().map(str::to_owned)));
            }
        }
        let numbers = |ids: &BTreeSet<u64>| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        let by_id = |rows: Vec<Value>| {
            rows.into_iter()
                .filter_map(|row| Some((row.get("id")?.as_u64()?, row)))
                .collect::<BTreeMap<_, _>>()
        };
        let tags: Vec<String> = tags.into_iter().collect();
        Ok(MentionedRecords {
            tenants: by_id(self.references("tenancy/tenants/", "id", &numbers(&tenants)).await?),
            roles: by_id(self.references("ipam/roles/", "id", &numbers(&roles)).await?),
            tags: self
                .references("extras/tags/", "name", &tags)
                .await?
                .into_iter()
                .filter_map(|row| Some((row.get("name")?.as_str()?.to_owned(), row)))
                .collect(),
        })
    }

    async fn references(&self, path: &str, filter: &str, values: &[String]) -> NetBoxResult<Vec<Value>> {
        match self.rows_with_any(path, "id,name,slug", &[], filter, values).await {
            Err(Error::Forbidden { .. }) => Ok(Vec::new()),
            answer => answer,
        }
    }
}

fn changed_object(entry: &Value) -> Option<u64> {
    entry.get("changed_object_id")?.as_u64()
}

fn change_data<R: NetBoxRecord>(
    id: u64,
    entry: &Value,
    mentioned: &MentionedRecords,
    fields: &FieldNames,
) -> NetBoxResult<ObjectChangeData<R>> {
    let object = changed_object(entry).ok_or_else(|| malformed(PATH, "an entry has no changed_object_id"))?;
    let time = entry.get("time").and_then(Value::as_str).and_then(|text| text.parse().ok());
    let time = time.ok_or_else(|| malformed(PATH, "an entry has no time"))?;
    let record = |state: &str| -> NetBoxResult<Option<R>> {
        match entry.get(state) {
            // NetBox gives `{}` for a record that did not exist yet, or exists no longer.
            Some(Value::Object(data)) if !data.is_empty() => {
                let json = as_rest(object, data, mentioned);
                R::parse(&json, fields).map(Some).map_err(|cause| malformed(PATH, cause))
            }
            _ => Ok(None),
        }
    };
    Ok(ObjectChangeData {
        id,
        time,
        object,
        before: record("prechange_data")?,
        after: record("postchange_data")?,
    })
}

/// Turns the change log's form of a record (ids of tenants and roles, names of tags) into the form of the REST API, which
/// the parsers of `wire.rs` read. A mentioned record that is missing gets its id, or its name, as name and slug.
fn as_rest(id: u64, data: &Map<String, Value>, mentioned: &MentionedRecords) -> Value {
    let reference = |known: &BTreeMap<u64, Value>, key: &str| match data.get(key).and_then(Value::as_u64) {
        None => Value::Null,
        Some(id) => known
            .get(&id)
            .cloned()
            .unwrap_or_else(|| json!({ "id": id, "name": format!("id {id}"), "slug": format!("id-{id}") })),
    };
    let mut json = data.clone();
    json.insert("id".to_owned(), json!(id));
    let vrf = data.get("vrf").and_then(Value::as_u64);
    json.insert("vrf".to_owned(), vrf.map_or(Value::Null, |vrf| json!({ "id": vrf })));
    json.insert("tenant".to_owned(), reference(&mentioned.tenants, "tenant"));
    // The role of a prefix is a record; the role of an address is a choice, empty for none.
    let role = match data.get("role") {
        Some(Value::Number(_)) => reference(&mentioned.roles, "role"),
        Some(Value::String(choice)) if !choice.is_empty() => json!(choice),
        _ => Value::Null,
    };
    json.insert("role".to_owned(), role);
    let tags = data.get("tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let tags: Vec<Value> = tags
        .map(|name| {
            let known = mentioned.tags.get(name).cloned();
            known.unwrap_or_else(|| json!({ "id": 0, "name": name, "slug": name.to_lowercase() }))
        })
        .collect();
    json.insert("tags".to_owned(), json!(tags));
    Value::Object(json)
}
