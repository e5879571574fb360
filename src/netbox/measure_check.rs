//! Measuring what NetBox takes to check that an allocation id is unique. It looks through its whole table for it; with an index on
//! the field it does not. Only NetBox's administrator can create that index, in PostgreSQL.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::client::Client;
use super::error::{Error, NetBoxResult};
use super::fields::Field;
use super::records::NetBoxRecord;
use super::request::ApiRequest;
use super::unique_check::UniqueCheck;
use crate::model::Address;

/// Addresses of one measured request.
const ENTRIES: u32 = 10;
/// Requests of each kind. The quickest counts: whatever else NetBox does only adds to it.
const ROUNDS: usize = 7;

impl Client {
    /// Measures the check (POSTs of lists to /api/ipam/ip-addresses/). Nothing is written: the last entry of each list is one that
    /// NetBox refuses, and it writes a list as a whole or not at all.
    pub async fn measure_unique_check(&self) -> NetBoxResult<UniqueCheck> {
        let (mut plain, mut checked) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            plain.push(self.time_refused_list(None).await?);
            checked.push(self.time_refused_list(Some(self.fields().name(Field::AllocationId))).await?);
        }
        let quickest = |times: Vec<Duration>| times.into_iter().min().unwrap_or_default();
        let per_address = quickest(checked).saturating_sub(quickest(plain)) / ENTRIES;
        let addresses = self.id_bounds::<Address>().await?.map_or(0, |bounds| bounds.count);
        let measured = UniqueCheck { per_address, addresses };
        self.remember_unique_check(measured);
        Ok(measured)
    }

    /// How long NetBox takes to refuse a list of addresses, with new values of this field or without.
    async fn time_refused_list(&self, field: Option<&str>) -> NetBoxResult<Duration> {
        let entry = |nth: u32| {
            let mut fields = Map::new();
            if let Some(field) = field {
                fields.insert(field.to_owned(), json!(format!("index-check-{}", Uuid::new_v4().simple())));
            }
            json!({ "address": format!("192.0.2.{nth}/32"), "status": "active", "custom_fields": fields })
        };
        let mut list: Vec<Value> = (0..ENTRIES).map(entry).collect();
        list.push(json!({ "address": "192.0.2.255/32", "status": "no-status-of-netbox" }));
        let body = Value::from(list);
        let began = Instant::now();
        match self.transport().write(ApiRequest::write(Method::POST, Address::PATH, &body)).await {
            Err(error) if error.is_content_refused() => Ok(began.elapsed()),
            Err(error) => Err(error),
            Ok(_) => Err(Error::Malformed {
                attempt: format!("POST {}", Address::PATH),
                cause: "NetBox accepted an address with a status that does not exist".to_owned(),
            }),
        }
    }

    /// The statements that create the index, for NetBox's PostgreSQL. They lock nothing for long, and may be run again.
    pub fn index_statements(&self) -> Vec<String> {
        let field = self.fields().name(Field::AllocationId).replace('\'', "''");
        ["ipam_ipaddress", "ipam_prefix"]
            .map(|table| {
                format!(
                    "CREATE INDEX CONCURRENTLY IF NOT EXISTS leasehold_{table} ON {table} ((custom_field_data -> '{field}'));"
                )
            })
            .into()
    }
}
