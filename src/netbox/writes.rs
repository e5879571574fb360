//! Writes. Each is sent once: a caller that does not learn the outcome asks the record.

use ipnet::IpNet;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::Client;
use super::error::{Error, Result};
use super::fields::FieldChange;
use super::records::Record;
use super::transport::Request;
use crate::model::{Address, AddressId, Network, Prefix, PrefixId, Revision, Table};

/// An address to record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressDraft {
    /// NetBox's status value.
    pub status: String,
    /// The DNS name, empty for none.
    pub dns_name: String,
    /// Free text.
    pub description: String,
    /// Slug of the tenant.
    pub tenant: Option<String>,
    /// Slugs of tags.
    pub tags: Vec<String>,
    /// Leasehold's fields.
    pub fields: Vec<FieldChange>,
}

/// A prefix to record, or what to change of one: `None` leaves a part as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrefixDraft {
    /// NetBox's status value.
    pub status: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Slug of the tenant.
    pub tenant: Option<String>,
    /// Slug of the role.
    pub role: Option<String>,
    /// Slugs of tags.
    pub tags: Option<Vec<String>>,
    /// Leasehold's fields; those not named are left as they are.
    pub fields: Vec<FieldChange>,
}

fn slugs(tags: &[String]) -> Value {
    tags.iter().map(|slug| json!({ "slug": slug })).collect()
}

impl Client {
    fn address_body(&self, draft: &AddressDraft) -> Map<String, Value> {
        let mut body = Map::new();
        body.insert("status".into(), json!(draft.status));
        body.insert("dns_name".into(), json!(draft.dns_name));
        body.insert("description".into(), json!(draft.description));
        body.insert("custom_fields".into(), self.fields().object(&draft.fields).into());
        if let Some(slug) = &draft.tenant {
            body.insert("tenant".into(), json!({ "slug": slug }));
        }
        if !draft.tags.is_empty() {
            body.insert("tags".into(), slugs(&draft.tags));
        }
        body
    }

    fn prefix_body(&self, draft: &PrefixDraft) -> Map<String, Value> {
        let mut body = Map::new();
        if let Some(status) = &draft.status {
            body.insert("status".into(), json!(status));
        }
        if let Some(description) = &draft.description {
            body.insert("description".into(), json!(description));
        }
        if let Some(slug) = &draft.tenant {
            body.insert("tenant".into(), json!({ "slug": slug }));
        }
        if let Some(slug) = &draft.role {
            body.insert("role".into(), json!({ "slug": slug }));
        }
        if let Some(tags) = &draft.tags {
            body.insert("tags".into(), slugs(tags));
        }
        if !draft.fields.is_empty() {
            body.insert("custom_fields".into(), self.fields().object(&draft.fields).into());
        }
        body
    }

    /// NetBox chooses: the lowest free addresses of the prefix, one for each draft, all or none
    /// (POST /api/ipam/prefixes/ID/available-ips/). **Also inside child prefixes**: only for prefixes without any.
    pub async fn allocate_available(
        &self,
        prefix: PrefixId,
        drafts: &[AddressDraft],
    ) -> Result<Vec<Address>> {
        let path = format!("ipam/prefixes/{prefix}/available-ips/");
        let body: Vec<Value> = drafts.iter().map(|draft| self.address_body(draft).into()).collect();
        self.create_list(&path, body).await
    }

    /// We chose: these addresses, all or none (POST /api/ipam/ip-addresses/).
    pub async fn create_addresses(
        &self,
        table: Table,
        drafts: &[(IpNet, AddressDraft)],
    ) -> Result<Vec<Address>> {
        let body: Vec<Value> = drafts
            .iter()
            .map(|(interface, draft)| {
                let mut body = self.address_body(draft);
                body.insert("address".into(), json!(interface.to_string()));
                if let Some(vrf) = table.vrf() {
                    body.insert("vrf".into(), json!(vrf.0));
                }
                body.into()
            })
            .collect();
        self.create_list(Address::PATH, body).await
    }

    async fn create_list<R: Record>(&self, path: &str, body: Vec<Value>) -> Result<Vec<R>> {
        let wanted = body.len();
        let body = Value::Array(body);
        let answer = self.transport().write(Request::write(Method::POST, path, &body)).await?;
        let created = self.many::<R>("POST", path, &answer)?;
        if created.len() != wanted {
            let cause = format!("{} records for {wanted} asked", created.len());
            return Err(Error::Malformed { attempt: format!("POST {path}"), cause });
        }
        Ok(created)
    }

    /// Creates a prefix (POST /api/ipam/prefixes/).
    pub async fn create_prefix(&self, network: Network, table: Table, draft: &PrefixDraft) -> Result<Prefix> {
        let mut body = self.prefix_body(draft);
        body.insert("prefix".into(), json!(network.to_string()));
        if let Some(vrf) = table.vrf() {
            body.insert("vrf".into(), json!(vrf.0));
        }
        let body = Value::Object(body);
        let answer = self.transport().write(Request::write(Method::POST, Prefix::PATH, &body)).await?;
        self.one("POST", Prefix::PATH, &answer)
    }

    /// Changes a prefix only if it is still the one that was read (PATCH with If-Match; on versions before 4.6 it is
    /// read and compared just before). [`Error::Changed`] if it is not.
    pub async fn patch_prefix(&self, id: PrefixId, read: &Revision, draft: &PrefixDraft) -> Result<Prefix> {
        let path = format!("{}{id}/", Prefix::PATH);
        self.hold(&path, read).await?;
        let body = Value::Object(self.prefix_body(draft));
        let etag = etag(read);
        let mut request = Request::write(Method::PATCH, &path, &body);
        request.if_match = etag.as_deref().filter(|_| self.capabilities().if_match);
        let answer = self.transport().write(request).await?;
        self.one("PATCH", &path, &answer)
    }

    /// Changes Leasehold's fields of prefixes that are still the ones that were read; those that moved on are left alone, and
    /// are not in the answer. One alone goes with If-Match. More are read and compared, and go as one list, all or none
    /// (PATCH /api/ipam/prefixes/); a PATCH of custom fields merges, so what is not named is nobody's to lose.
    pub async fn patch_fields(
        &self,
        changes: &[(PrefixId, Revision, Vec<FieldChange>)],
    ) -> Result<Vec<Prefix>> {
        if let [(id, read, fields)] = changes {
            let draft = PrefixDraft { fields: fields.clone(), ..PrefixDraft::default() };
            return match self.patch_prefix(*id, read, &draft).await {
                Ok(prefix) => Ok(vec![prefix]),
                Err(Error::Changed | Error::NotFound { .. }) => Ok(Vec::new()),
                Err(error) => Err(error),
            };
        }
        let ids: Vec<u64> = changes.iter().map(|(id, ..)| id.0).collect();
        let standing: Vec<Prefix> = self.by_ids(&ids).await?;
        let same = |id: PrefixId, read: &Revision| {
            standing.iter().any(|prefix| prefix.id == id && prefix.revision == *read)
        };
        let body: Value = changes
            .iter()
            .filter(|(id, read, _)| same(*id, read))
            .map(|(id, _, fields)| json!({ "id": id.0, "custom_fields": self.fields().object(fields) }))
            .collect();
        if body.as_array().is_none_or(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let answer = self.transport().write(Request::write(Method::PATCH, Prefix::PATH, &body)).await?;
        self.many("PATCH", Prefix::PATH, &answer)
    }

    fn many<R: Record>(&self, method: &str, path: &str, answer: &Value) -> Result<Vec<R>> {
        let malformed = |cause: String| Error::Malformed { attempt: format!("{method} {path}"), cause };
        let rows = answer.as_array().ok_or_else(|| malformed("not a list".to_owned()))?;
        rows.iter().map(|row| R::parse(row, self.fields()).map_err(&malformed)).collect()
    }

    /// Deletes a prefix only if it is still the one that was read.
    pub async fn delete_prefix(&self, id: PrefixId, read: &Revision) -> Result<()> {
        let path = format!("{}{id}/", Prefix::PATH);
        self.hold(&path, read).await?;
        let etag = etag(read);
        let body = Value::Null;
        let mut request = Request::write(Method::DELETE, &path, &body);
        request.body = None;
        request.if_match = etag.as_deref().filter(|_| self.capabilities().if_match);
        self.transport().write(request).await.map(drop)
    }

    /// For versions that know no If-Match: reads the record and compares.
    async fn hold(&self, path: &str, read: &Revision) -> Result<()> {
        if self.capabilities().if_match {
            return Ok(());
        }
        let query = [("fields", "last_updated".to_owned())];
        let now = self.transport().read(Request::get(path, &query)).await?;
        let now: Revision = now
            .get("last_updated")
            .and_then(|at| serde_json::from_value(at.clone()).ok())
            .unwrap_or_default();
        if now == *read { Ok(()) } else { Err(Error::Changed) }
    }

    /// Deletes addresses, all or none (bulk DELETE /api/ipam/ip-addresses/).
    pub async fn delete_addresses(&self, ids: &[AddressId]) -> Result<()> {
        let body: Value = ids.iter().map(|id| json!({ "id": id.0 })).collect();
        self.transport().write(Request::write(Method::DELETE, Address::PATH, &body)).await.map(drop)
    }

    fn one<R: Record>(&self, method: &str, path: &str, answer: &Value) -> Result<R> {
        R::parse(answer, self.fields())
            .map_err(|cause| Error::Malformed { attempt: format!("{method} {path}"), cause })
    }
}

/// NetBox's ETag of a record, from its `last_updated` as Python writes it: microseconds only where there are any.
fn etag(revision: &Revision) -> Option<String> {
    let at: Timestamp = revision.instant()?;
    let zoned = at.to_zoned(TimeZone::UTC);
    let shape =
        if at.subsec_nanosecond() == 0 { "%Y-%m-%dT%H:%M:%S+00:00" } else { "%Y-%m-%dT%H:%M:%S.%6f+00:00" };
    Some(format!("W/\"{}\"", zoned.strftime(shape)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_is_spelt_as_python_spells_the_time() {
        let revision = |text: &str| Revision(Some(text.parse().unwrap()));
        assert_eq!(
            etag(&revision("2026-06-15T10:00:00.120000Z")).unwrap(),
            "W/\"2026-06-15T10:00:00.120000+00:00\""
        );
        assert_eq!(etag(&revision("2026-06-15T10:00:00Z")).unwrap(), "W/\"2026-06-15T10:00:00+00:00\"");
        assert_eq!(etag(&Revision(None)), None);
    }
}
