//! What the change log says of how records stood before.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::client::Client;
use super::error::{Error, Result};
use super::fields::FieldNames;
use super::records::Record;
use super::transport::Request;
use crate::model::{Address, Network, Prefix};

const PATH: &str = "core/object-changes/";
/// Entries about one address and the prefixes over it; beyond this something is wrong with the question.
const MOST_PAGES: usize = 50;
/// Filters in one request: URLs have an end.
const FILTERS: usize = 60;

/// One change of a record, read from the change log.
#[derive(Clone, Debug, PartialEq)]
pub struct PastChange<R> {
    /// Id of the entry.
    pub id: u64,
    /// When it was made.
    pub time: Timestamp,
    /// NetBox's id of the record.
    pub object: u64,
    /// As it stood; `None` if it did not.
    pub before: Option<R>,
    /// As it stood afterwards; `None` if it was deleted.
    pub after: Option<R>,
}

/// A record whose past can be read.
pub trait Logged: Record {
    /// As the change log names its kind.
    const OBJECT_TYPE: &'static str;
}

impl Logged for Prefix {
    const OBJECT_TYPE: &'static str = "ipam.prefix";
}

impl Logged for Address {
    const OBJECT_TYPE: &'static str = "ipam.ipaddress";
}

/// Which records are wanted, by what they were called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// Exactly these prefixes.
    Prefixes(Vec<Network>),
    /// This address, whatever its mask.
    Host(IpAddr),
}

impl About {
    fn filters(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Prefixes(networks) => networks.iter().map(|net| ("object_repr", net.to_string())).collect(),
            Self::Host(host) => vec![("object_repr__isw", format!("{host}/"))],
        }
    }

    /// NetBox ignores filters that it does not know, so what comes back is looked at.
    fn wants(&self, entry: &Value) -> bool {
        let repr = entry.get("object_repr").and_then(Value::as_str).unwrap_or_default();
        match self {
            Self::Prefixes(networks) => repr.parse().is_ok_and(|net: Network| networks.contains(&net)),
            Self::Host(host) => repr.split('/').next().is_some_and(|text| text.parse() == Ok(*host)),
        }
    }
}

/// Names of tenants, roles and tags that entries mention by id or by name.
#[derive(Debug, Default)]
struct Names {
    tenants: BTreeMap<u64, Value>,
    roles: BTreeMap<u64, Value>,
    tags: BTreeMap<String, Value>,
}

impl Client {
    /// When the oldest entry of the change log was made: NetBox prunes it (90 days unless set). `None` if it is empty.
    pub async fn past_known_since(&self) -> Result<Option<Timestamp>> {
        let query =
            [("limit", "1".to_owned()), ("ordering", "id".to_owned()), ("fields", "id,time".to_owned())];
        let page = self.transport().read(Request::get(PATH, &query)).await?;
        let time = page.pointer("/results/0/time").and_then(Value::as_str);
        time.map(|text| text.parse().map_err(|_| malformed("a time that is none"))).transpose()
    }

    /// Ids of the records that were ever called so, as far as the change log reaches.
    pub async fn past_records<R: Logged>(&self, about: &About) -> Result<BTreeSet<u64>> {
        const FIELDS: &str = "id,changed_object_type,changed_object_id,object_repr";
        let mut entries = BTreeMap::new();
        for filters in about.filters().chunks(FILTERS) {
            let wanted = |entry: &Value| about.wants(entry);
            self.entries(R::OBJECT_TYPE, filters, FIELDS, wanted, &mut entries).await?;
        }
        Ok(entries.values().filter_map(|entry| entry.get("changed_object_id")?.as_u64()).collect())
    }

    /// Changes of these records since an instant, in order. What was loaded past the API left no entry.
    pub async fn past_changes<R: Logged>(
        &self,
        ids: &BTreeSet<u64>,
        since: Option<Timestamp>,
    ) -> Result<Vec<PastChange<R>>> {
        const FIELDS: &str = "id,time,changed_object_type,changed_object_id,prechange_data,postchange_data";
        let mut entries: BTreeMap<u64, Value> = BTreeMap::new();
        let filters: Vec<_> = ids.iter().map(|id| ("changed_object_id", id.to_string())).collect();
        for filters in filters.chunks(FILTERS) {
            let mut filters = filters.to_vec();
            filters.extend(since.map(|since| ("time_after", since.to_string())));
            let wanted = |entry: &Value| {
                entry.get("changed_object_id").and_then(Value::as_u64).is_some_and(|id| ids.contains(&id))
            };
            self.entries(R::OBJECT_TYPE, &filters, FIELDS, wanted, &mut entries).await?;
        }
        let names = self.names(entries.values()).await?;
        entries.into_iter().map(|(id, entry)| past_change(id, &entry, &names, self.fields())).collect()
    }

    async fn entries(
        &self,
        kind: &str,
        filters: &[(&'static str, String)],
        fields: &str,
        wanted: impl Fn(&Value) -> bool,
        found: &mut BTreeMap<u64, Value>,
    ) -> Result<()> {
        let mut from = 1;
        for _ in 0..MOST_PAGES {
            let mut query = vec![
                ("changed_object_type", kind.to_owned()),
                ("limit", self.page_size().to_string()),
                ("fields", fields.to_owned()),
            ];
            query.extend(filters.iter().map(|(name, value)| (*name, value.clone())));
            if self.capabilities().cursor_pages {
                query.push(("start", from.to_string()));
            } else {
                query.push(("id__gte", from.to_string()));
                query.push(("ordering", "id".to_owned()));
            }
            let page = self.transport().read(Request::get(PATH, &query)).await?;
            let rows =
                page.get("results").and_then(Value::as_array).ok_or_else(|| malformed("no results"))?;
            let mut last = None;
            for row in rows {
                let id =
                    row.get("id").and_then(Value::as_u64).ok_or_else(|| malformed("an entry without id"))?;
                last = Some(id);
                if row.get("changed_object_type").and_then(Value::as_str) == Some(kind) && wanted(row) {
                    found.insert(id, row.clone());
                }
            }
            match last {
                Some(last) if page.get("next").is_some_and(Value::is_string) => from = last + 1,
                _ => return Ok(()),
            }
        }
        Err(malformed("no end of entries"))
    }

    /// What the entries mention. What NetBox no longer has, or does not show to our token, keeps its id as its name.
    async fn names(&self, entries: impl Iterator<Item = &Value>) -> Result<Names> {
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
        Ok(Names {
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

    async fn references(&self, path: &str, key: &'static str, values: &[String]) -> Result<Vec<Value>> {
        let mut found = Vec::new();
        for chunk in values.chunks(FILTERS) {
            let mut query: Vec<(&str, String)> = chunk.iter().map(|value| (key, value.clone())).collect();
            query.push(("fields", "id,name,slug".to_owned()));
            query.push(("limit", self.page_size().to_string()));
            match self.transport().read(Request::get(path, &query)).await {
                Ok(page) => {
                    found
                        .extend(page.get("results").and_then(Value::as_array).into_iter().flatten().cloned());
                }
                Err(Error::Forbidden { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}

fn malformed(cause: &str) -> Error {
    Error::Malformed { attempt: format!("GET {PATH}"), cause: cause.to_owned() }
}

fn past_change<R: Logged>(
    id: u64,
    entry: &Value,
    names: &Names,
    fields: &FieldNames,
) -> Result<PastChange<R>> {
    let object = entry.get("changed_object_id").and_then(Value::as_u64);
    let object = object.ok_or_else(|| malformed("an entry without changed_object_id"))?;
    let time = entry.get("time").and_then(Value::as_str).and_then(|text| text.parse().ok());
    let time = time.ok_or_else(|| malformed("an entry without time"))?;
    let record = |state: &str| -> Result<Option<R>> {
        match entry.get(state) {
            // A record that did not stand, or does no more, is an empty one.
            Some(Value::Object(data)) if !data.is_empty() => {
                let json = as_rest(object, data, names);
                R::parse(&json, fields).map(Some).map_err(|cause| malformed(&cause))
            }
            _ => Ok(None),
        }
    };
    Ok(PastChange { id, time, object, before: record("prechange_data")?, after: record("postchange_data")? })
}

/// The change log spells records as the database does (ids, names of tags); the REST API, and what reads it, otherwise.
fn as_rest(id: u64, data: &Map<String, Value>, names: &Names) -> Value {
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
    json.insert("tenant".to_owned(), reference(&names.tenants, "tenant"));
    // The role of a prefix is a record, that of an address a word, empty for none.
    let role = match data.get("role") {
        Some(Value::Number(_)) => reference(&names.roles, "role"),
        Some(Value::String(word)) if !word.is_empty() => json!(word),
        _ => Value::Null,
    };
    json.insert("role".to_owned(), role);
    let tags = data.get("tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let tags: Vec<Value> = tags
        .map(|name| {
            let known = names.tags.get(name).cloned();
            known.unwrap_or_else(|| json!({ "id": 0, "name": name, "slug": name.to_lowercase() }))
        })
        .collect();
    json.insert("tags".to_owned(), json!(tags));
    Value::Object(json)
}
