//! Reading NetBox's custom fields, and the defaults that a new record gets from them.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Map, Value};

use super::client::Client;
use super::custom_fields::{CustomFields, WithCustomFields};
use super::error::{Error, NetBoxResult};
use super::fields::{Field, FieldChange};
use super::request::ApiRequest;

impl Client {
    /// Reads the custom fields (GET /api/extras/custom-fields/). Records that are created from now on get the defaults that it
    /// finds.
    pub async fn read_custom_fields(&self) -> NetBoxResult<Arc<CustomFields>> {
        const FIELDS: &str = "id,name,object_types,unique,required,default";
        let rows = self.rows_with("extras/custom-fields/", FIELDS, &[]).await?;
        let allocation_id = self.fields().name(Field::AllocationId);
        let own = |name: &str| self.fields().is_own(name);
        let found = Arc::new(CustomFields::of(&rows, allocation_id, own));
        self.known_custom_fields().store(Some(found.clone()));
        Ok(found)
    }

    /// The custom fields of a new record: the defaults, over them what is given, and over all our own fields that are set.
    pub(super) fn new_custom_fields<R: WithCustomFields>(
        &self,
        given: &Map<String, Value>,
        set: &[FieldChange],
    ) -> Map<String, Value> {
        let known = self.known_custom_fields().load();
        let mut fields = known.as_deref().map(CustomFields::defaults::<R>).unwrap_or_default();
        fields.extend(given.clone());
        fields.extend(self.fields().object(set));
        fields
    }

    /// Sends a creation (POST to this path). `body` builds it with [`Client::new_custom_fields`]. If NetBox refuses it, the
    /// defaults are read again, and the creation is sent once more if they make another body of it.
    pub(super) async fn create(
        &self,
        path: &str,
        body: impl Fn() -> Value + Send + Sync,
    ) -> NetBoxResult<Value> {
        let first = body();
        let refused = match self.transport().write(ApiRequest::write(Method::POST, path, &first)).await {
            Err(error @ Error::Invalid { .. }) => error,
            answer => return answer,
        };
        if let Err(error) = self.read_custom_fields().await {
            tracing::warn!(%error, "the custom fields could not be read again");
        }
        let again = body();
        if again == first {
            return Err(refused);
        }
        self.transport().write(ApiRequest::write(Method::POST, path, &again)).await
    }
}
