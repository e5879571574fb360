//! Writes of prefixes, and deletions of addresses.
//!
//! Each is sent once. A caller that does not learn the outcome ([`super::Certainty::Unknown`]) reads the record to find out.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::Client;
use super::error::{Error, NetBoxResult};
use super::fields::FieldChange;
use super::records::NetBoxRecord;
use super::request::ApiRequest;
use crate::model::{Address, AddressId, Network, Prefix, PrefixId, RequestId, Revision, TenantKey, VrfScope};

/// What NetBox's change log is told about a write: at most 200 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeNote(String);

impl ChangeNote {
    /// A note that names the method, the request id by which it is found again, and who called.
    pub fn new(method: &str, request: &RequestId, caller: &str) -> Self {
        let text = format!("Leasehold {method} request={request} caller={caller}");
        Self(text.chars().take(200).collect())
    }

    /// A text that the notes of this request contain, and those of hardly another.
    pub(super) fn search(request: &RequestId) -> String {
        format!("request={request} caller=")
    }

    /// Whether a message of the change log is a note of this request.
    pub(super) fn is_of(message: &str, request: &RequestId) -> bool {
        message.starts_with("Leasehold ")
            && message.split(' ').any(|word| word.strip_prefix("request=") == Some(request.as_str()))
    }
}

/// What a write does to a value that a record need not have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ValueChange<T> {
    /// Leaves it as it is, or out of a record that is created.
    #[default]
    Leave,
    Set(T),
    Clear,
}

impl<T> ValueChange<T> {
    /// The value after the change.
    pub fn apply(self, recorded: Option<T>) -> Option<T> {
        match self {
            Self::Leave => recorded,
            Self::Set(value) => Some(value),
            Self::Clear => None,
        }
    }
}

/// A value that is set if it is given.
impl<T> From<Option<T>> for ValueChange<T> {
    fn from(given: Option<T>) -> Self {
        given.map_or(Self::Leave, Self::Set)
    }
}

/// The content of a prefix to create, or a change of an existing one: `None` leaves that part as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrefixDraft {
    /// NetBox's value of the status. Example: `reserved`.
    pub status: Option<String>,
    pub description: Option<String>,
    pub tenant: ValueChange<TenantKey>,
    /// Slug of the role.
    pub role: Option<String>,
    /// Slugs of all the tags that the prefix shall have.
    pub tags: Option<Vec<String>>,
    /// Custom fields of other people, by name.
    pub custom_fields: Map<String, Value>,
    /// Custom fields of ours to set or clear; the others stay as they are.
    pub fields: Vec<FieldChange>,
}

/// NetBox finds a related object by its id, or by a dictionary of fields that name exactly one.
pub(super) fn tenant_reference(tenant: &TenantKey) -> Value {
    match tenant {
        TenantKey::Id(id) => json!(id),
        TenantKey::Slug(slug) => json!({ "slug": slug }),
        TenantKey::Name(name) => json!({ "name": name }),
    }
}

pub(super) fn slugs(tags: &[String]) -> Value {
    tags.iter().map(|slug| json!({ "slug": slug })).collect()
}

/// The body of a prefix with these custom fields.
fn prefix_body(draft: &PrefixDraft, custom_fields: Map<String, Value>) -> Map<String, Value> {
    let mut body = Map::new();
    if let Some(status) = &draft.status {
        body.insert("status".into(), json!(status));
    }
    if let Some(description) = &draft.description {
        body.insert("description".into(), json!(description));
    }
    match &draft.tenant {
        ValueChange::Leave => {}
        ValueChange::Set(tenant) => {
            body.insert("tenant".into(), tenant_reference(tenant));
        }
        ValueChange::Clear => {
            body.insert("tenant".into(), Value::Null);
        }
    }
    if let Some(slug) = &draft.role {
        body.insert("role".into(), json!({ "slug": slug }));
    }
    if let Some(tags) = &draft.tags {
        body.insert("tags".into(), slugs(tags));
    }
    if !custom_fields.is_empty() {
        body.insert("custom_fields".into(), custom_fields.into());
    }
    body
}

impl Client {
    /// Adds the note to the body of a write, where this NetBox takes one.
    pub(super) fn noted(&self, body: &mut Map<String, Value>, note: &ChangeNote) {
        if self.capabilities().changelog_message {
            body.insert("changelog_message".into(), json!(note.0));
        }
    }

    /// Creates a prefix (POST /api/ipam/prefixes/). [`Error::DuplicatePrefix`] if the scope enforces uniqueness
    /// and has the prefix already.
    pub async fn create_prefix(
        &self,
        network: Network,
        scope: VrfScope,
        draft: &PrefixDraft,
        note: &ChangeNote,
    ) -> NetBoxResult<Prefix> {
        let body = || {
            let mut body =
                prefix_body(draft, self.new_custom_fields::<Prefix>(&draft.custom_fields, &draft.fields));
            self.noted(&mut body, note);
            body.insert("prefix".into(), json!(network.to_string()));
            if let Some(vrf) = scope.vrf() {
                body.insert("vrf".into(), json!(vrf.0));
            }
            Value::from(body)
        };
        let answer = self.create(Prefix::PATH, body).await?;
        self.one("POST", Prefix::PATH, &answer)
    }

    /// Changes a prefix if it is still as it was read; [`Error::Changed`] if it is not. PATCH /api/ipam/prefixes/ID/ with
    /// If-Match; before NetBox 4.6 `last_updated` is read and compared first, which leaves a short gap for a rival write.
    pub async fn patch_prefix(
        &self,
        id: PrefixId,
        read: &Revision,
        draft: &PrefixDraft,
        note: Option<&ChangeNote>,
    ) -> NetBoxResult<Prefix> {
        let path = format!("{}{id}/", Prefix::PATH);
        self.check_unchanged(&path, read).await?;
        let mut custom_fields = draft.custom_fields.clone();
        custom_fields.extend(self.fields().object(&draft.fields));
        let mut body = prefix_body(draft, custom_fields);
        if let Some(note) = note {
            self.noted(&mut body, note);
        }
        let body = Value::Object(body);
        let etag = etag(read);
        let mut request = ApiRequest::write(Method::PATCH, &path, &body);
        request.if_match = etag.as_deref().filter(|_| self.capabilities().if_match);
        let answer = match self.transport().write(request).await {
            Ok(answer) => answer,
            Err(error) => return Err(self.look_for_prefix("PATCH", id.0, error).await),
        };
        self.one("PATCH", &path, &answer)
    }

    /// Sets custom fields of the prefixes that are still as they were read, and returns those; prefixes that changed since
    /// are skipped. Custom fields that are not named keep their values.
    ///
    /// A single prefix is sent as a PATCH with If-Match. Several are read and compared, and sent as one list, all or none
    /// (PATCH /api/ipam/prefixes/), since NetBox knows no If-Match for lists.
    pub async fn patch_fields(
        &self,
        changes: &[(PrefixId, Revision, Vec<FieldChange>)],
    ) -> NetBoxResult<Vec<Prefix>> {
        if let [(id, read, fields)] = changes {
            let draft = PrefixDraft { fields: fields.clone(), ..PrefixDraft::default() };
            return match self.patch_prefix(*id, read, &draft, None).await {
                Ok(prefix) => Ok(vec![prefix]),
                Err(Error::Changed | Error::NotFound { .. }) => Ok(Vec::new()),
                Err(error) => Err(error),
            };
        }
        let ids: Vec<u64> = changes.iter().map(|(id, ..)| id.0).collect();
        let current: Vec<Prefix> = self.by_ids(&ids).await?;
        let same = |id: PrefixId, read: &Revision| {
            current.iter().any(|prefix| prefix.id == id && prefix.revision == *read)
        };
        let body: Value = changes
            .iter()
            .filter(|(id, read, _)| same(*id, read))
            .map(|(id, _, fields)| json!({ "id": id.0, "custom_fields": self.fields().object(fields) }))
            .collect();
        if body.as_array().is_none_or(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let answer = self.transport().write(ApiRequest::write(Method::PATCH, Prefix::PATH, &body)).await?;
        self.many("PATCH", Prefix::PATH, &answer)
    }

    pub(super) fn many<R: NetBoxRecord>(
        &self,
        method: &str,
        path: &str,
        answer: &Value,
    ) -> NetBoxResult<Vec<R>> {
        let malformed = |cause: String| Error::Malformed { attempt: format!("{method} {path}"), cause };
        let rows = answer.as_array().ok_or_else(|| malformed("it is no list".to_owned()))?;
        rows.iter().map(|row| R::parse(row, self.fields()).map_err(&malformed)).collect()
    }

    /// Deletes a prefix if it is still as it was read; [`Error::Changed`] if it is not (DELETE /api/ipam/prefixes/ID/ with
    /// If-Match, or a comparison before it, as in [`Client::patch_prefix`]).
    pub async fn delete_prefix(&self, id: PrefixId, read: &Revision, note: &ChangeNote) -> NetBoxResult<()> {
        let path = format!("{}{id}/", Prefix::PATH);
        self.check_unchanged(&path, read).await?;
        let etag = etag(read);
        let mut body = Map::new();
        self.noted(&mut body, note);
        let body = Value::Object(body);
        let mut request = ApiRequest::write(Method::DELETE, &path, &body);
        request.body = request.body.filter(|_| self.capabilities().changelog_message);
        request.if_match = etag.as_deref().filter(|_| self.capabilities().if_match);
        match self.transport().write(request).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.look_for_prefix("DELETE", id.0, error).await),
        }
    }

    /// For versions without If-Match: reads `last_updated` of the record and compares it.
    async fn check_unchanged(&self, path: &str, read: &Revision) -> NetBoxResult<()> {
        if self.capabilities().if_match {
            return Ok(());
        }
        let query = [("fields", "last_updated".to_owned())];
        let current = self.transport().read(ApiRequest::get(path, &query)).await?;
        let current: Revision = current
            .get("last_updated")
            .and_then(|at| serde_json::from_value(at.clone()).ok())
            .unwrap_or_default();
        if current == *read { Ok(()) } else { Err(Error::Changed) }
    }

    /// Deletes addresses, all or none (DELETE of a list at /api/ipam/ip-addresses/). [`Error::Invalid`] if one of them does
    /// not exist; then none is deleted. [`Error::Forbidden`] if the token may see one of them and not delete it. Before NetBox
    /// 4.7 the others are deleted, and those that are left are looked for: [`Error::PartlyDeleted`].
    pub async fn delete_addresses(&self, ids: &[AddressId], note: &ChangeNote) -> NetBoxResult<()> {
        let entry = |id: &AddressId| {
            let mut entry = Map::new();
            entry.insert("id".into(), json!(id.0));
            self.noted(&mut entry, note);
            Value::Object(entry)
        };
        let body: Value = ids.iter().map(entry).collect();
        match self.transport().write(ApiRequest::write(Method::DELETE, Address::PATH, &body)).await {
            Ok(_) if self.capabilities().whole_deletions => Ok(()),
            Ok(_) => {
                let ids: Vec<u64> = ids.iter().map(|id| id.0).collect();
                // The deletion was answered; only what it has left is not known.
                let unknown = |error: Error| Error::Interrupted { cause: error.to_string() };
                let left: Vec<Address> = self.by_ids(&ids).await.map_err(unknown)?;
                if left.is_empty() {
                    return Ok(());
                }
                Err(Error::PartlyDeleted { left: left.iter().map(|address| address.id.0).collect() })
            }
            Err(error) => Err(self.look_for_listed::<Address>(error).await),
        }
    }

    fn one<R: NetBoxRecord>(&self, method: &str, path: &str, answer: &Value) -> NetBoxResult<R> {
        R::parse(answer, self.fields())
            .map_err(|cause| Error::Malformed { attempt: format!("{method} {path}"), cause })
    }
}

/// NetBox's ETag of a record: its `last_updated` as Python's `isoformat()` writes it. It has microseconds
/// only if they are not zero.
fn etag(revision: &Revision) -> Option<String> {
    let at: Timestamp = revision.instant()?;
    let zoned = at.to_zoned(TimeZone::UTC);
    let format =
        if at.subsec_nanosecond() == 0 { "%Y-%m-%dT%H:%M:%S+00:00" } else { "%Y-%m-%dT%H:%M:%S.%6f+00:00" };
    Some(format!("W/\"{}\"", zoned.strftime(format)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_found_by_its_whole_request_id() {
        let (short, long): (RequestId, RequestId) = ("order-4".parse().unwrap(), "order-47".parse().unwrap());
        let note = ChangeNote::new("RenewLease", &long, "192.0.2.7");
        assert!(ChangeNote::is_of(&note.0, &long));
        assert!(!ChangeNote::is_of(&note.0, &short));
        assert!(note.0.contains(&ChangeNote::search(&long)));
        assert!(!note.0.contains(&ChangeNote::search(&short)));
        let longest: RequestId = "x".repeat(64).parse().unwrap();
        let note = ChangeNote::new("AllocateAddresses", &longest, &"caller".repeat(40));
        assert_eq!(note.0.chars().count(), 200);
        assert!(ChangeNote::is_of(&note.0, &longest) && note.0.contains(&ChangeNote::search(&longest)));
    }

    #[test]
    fn an_etag_is_the_time_as_python_writes_it() {
        let revision = |text: &str| Revision(Some(text.parse().unwrap()));
        assert_eq!(
            etag(&revision("2026-06-15T10:00:00.120000Z")).unwrap(),
            "W/\"2026-06-15T10:00:00.120000+00:00\""
        );
        assert_eq!(etag(&revision("2026-06-15T10:00:00Z")).unwrap(), "W/\"2026-06-15T10:00:00+00:00\"");
        assert_eq!(etag(&Revision(None)), None);
    }
}
