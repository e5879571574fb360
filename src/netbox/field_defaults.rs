//! Reading NetBox's custom fields, and the defaults that a new record gets from them.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::client::Client;
use super::custom_fields::{CustomFields, WithCustomFields};
use super::error::{Error, NetBoxResult};
use super::fields::{Field, FieldChange};

impl Client {
    /// Reads the custom fields (GET /api/extras/custom-fields/). Records that are created from now on get the defaults that it
    /// finds.
    pub async fn read_custom_fields(&self) -> NetBoxResult<Arc<CustomFields>> {
        const FIELDS: &str = "id,name,object_types,unique,required,default";
        let rows = self.rows_with("extras/custom-fields/", FIELDS, &[]).await?;
        let allocation_id = self.fields().name(Field::AllocationId);
        let own = |name: &str| Field::ALL.iter().any(|field| self.fields().name(*field) == name);
        let found = Arc::new(CustomFields::of(&rows, allocation_id, own));
        self.known_custom_fields().store(Some(found.clone()));
        Ok(found)
    }

    /// The custom fields of a new record: the defaults, and over them what is set.
    pub(super) fn new_custom_fields<R: WithCustomFields>(&self, set: &[FieldChange]) -> Map<String, Value> {
        let known = self.known_custom_fields().load();
        let mut fields = known.as_deref().map(R::defaults).cloned().unwrap_or_default();
        fields.extend(self.fields().object(set));
        fields
    }

    /// Whether it may help to send a creation again that NetBox has refused with this error: the defaults are others than when
    /// it was sent. They are read again.
    pub(super) async fn has_new_defaults<R: WithCustomFields>(&self, error: &Error) -> bool {
        if !matches!(error, Error::Invalid { .. }) {
            return false;
        }
        let before = self.known_custom_fields().load_full();
        match self.read_custom_fields().await {
            Ok(now) => before.is_none_or(|before| R::defaults(&before) != R::defaults(&now)),
            Err(error) => {
                tracing::warn!(%error, "the custom fields could not be read again");
                false
            }
        }
    }
}
