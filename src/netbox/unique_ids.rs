//! Whether NetBox refuses a second record with the same allocation id.

use serde_json::Value;

use super::client::Client;
use super::error::NetBoxResult;
use super::fields::Field;

/// The custom field `allocation_id` of this NetBox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocationIdField {
    Unique,
    NotUnique,
    Missing,
}

impl Client {
    /// Asks whether the custom field `allocation_id` is unique (GET /api/extras/custom-fields/).
    pub async fn allocation_ids_unique(&self) -> NetBoxResult<AllocationIdField> {
        let name = self.fields().name(Field::AllocationId);
        let filters = [("name", name.to_owned())];
        let rows = self.rows_with("extras/custom-fields/", "id,name,unique", &filters).await?;
        let found = rows.iter().find(|row| row.get("name").and_then(Value::as_str) == Some(name));
        Ok(match found.and_then(|row| row.get("unique")).and_then(Value::as_bool) {
            Some(true) => AllocationIdField::Unique,
            Some(false) => AllocationIdField::NotUnique,
            None => AllocationIdField::Missing,
        })
    }
}
