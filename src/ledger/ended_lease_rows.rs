//! The ended leases in SQLite and PostgreSQL.

use async_trait::async_trait;

use super::database::{PostgresLedger, SqliteLedger};
use super::ended_lease::{EndedLease, EndedLeases};
use super::error::Error;
use super::intent::Detail;
use super::sql_values::{address_text, from_sql, impl_from_row, timestamp, to_sql};
use crate::model::{Asn, Event, EventKind, Network, PrefixId, Subject, VrfScope};

/// A row of the table `ended_lease`.
struct EndedLeaseRow {
    sequence: i64,
    prefix: i64,
    vrf: i64,
    network: String,
    owner: String,
    start: Option<String>,
    expiry: Option<String>,
    loa: String,
    origin: Option<i64>,
    ended_at: i64,
    ended_by: String,
}

impl_from_row!(EndedLeaseRow {
    sequence,
    prefix,
    vrf,
    network,
    owner,
    start,
    expiry,
    loa,
    origin,
    ended_at,
    ended_by
});

impl EndedLeaseRow {
    /// The row of an event; `None` if the event ends no lease.
    fn of(event: &Event) -> Option<Self> {
        if event.domain_event.kind != EventKind::LeaseEnded {
            return None;
        }
        let Subject::Prefix(change) = &event.domain_event.subject else { return None };
        let before = change.before.as_deref()?;
        let lease = before.lease.as_deref()?;
        Some(Self {
            sequence: to_sql(event.sequence),
            prefix: to_sql(before.id.0),
            vrf: to_sql(before.scope.number()),
            network: before.network.to_string(),
            owner: lease.owner.clone().unwrap_or_default(),
            start: lease.term.start.map(|date| date.to_string()),
            expiry: lease.term.expiry.map(|date| date.to_string()),
            loa: lease.loa_reference.clone().unwrap_or_default(),
            origin: lease.origin.map(|origin| i64::from(u32::from(origin))),
            ended_at: event.domain_event.time.as_microsecond(),
            ended_by: String::new(),
        })
    }

    fn into_lease(self) -> Result<EndedLease, Error> {
        let date =
            |text: Option<String>| text.map(|text| text.parse()).transpose().map_err(Error::unreadable);
        let origin = self.origin.and_then(|number| u32::try_from(number).ok());
        Ok(EndedLease {
            sequence: from_sql(self.sequence),
            prefix: PrefixId(from_sql(self.prefix)),
            scope: VrfScope::from_number(from_sql(self.vrf)),
            network: self.network.parse().map_err(Error::unreadable)?,
            owner: self.owner,
            start: date(self.start)?,
            expiry: date(self.expiry)?,
            loa_reference: self.loa,
            origin: origin.and_then(|number| Asn::try_from(number).ok()),
            ended: timestamp(self.ended_at)?,
            ended_by: self.ended_by,
        })
    }
}

/// Who ends a lease, as the intent of EndLease that is open for its prefix says it.
fn ended_by(request: &str, detail: &str) -> String {
    let caller = serde_json::from_str::<Detail>(detail).map(|detail| detail.caller).unwrap_or_default();
    if caller.is_empty() { request.to_owned() } else { format!("{request} by {caller}") }
}

/// Ended leases of blocks that overlap a range: a walk along the index up to the last address of the range.
const OVERLAPPING: &str =
    "SELECT sequence, prefix, vrf, network, owner, start, expiry, loa, origin, ended_at, ended_by
     FROM ended_lease WHERE vrf = $1 AND first <= $2 AND last >= $3 ORDER BY ended_at DESC, sequence DESC";

/// Implements [`EndedLeases`] for one database; `database.rs` says why this is a macro.
macro_rules! impl_ended_leases {
    ($ledger:ident, $database:ident) => {
        impl $ledger {
            /// Stores the leases that events end, and who has ended them. Replay: the sequence of an event is its key. Cost: for each
            /// such event, of which there are few, a look at the open intents.
            pub(super) async fn store_ended_leases(
                transaction: &mut sqlx::Transaction<'_, sqlx::$database>,
                events: &[Event],
            ) -> Result<(), Error> {
                for row in events.iter().filter_map(EndedLeaseRow::of) {
                    let intent: Option<(String, String)> = sqlx::query_as(
                        "SELECT request_id, detail FROM intent
                         WHERE state = 'pending' AND kind = 'end_lease' AND parent = $1 ORDER BY created_at DESC LIMIT 1",
                    )
                    .bind(row.prefix)
                    .fetch_optional(&mut **transaction)
                    .await?;
                    let network: Network = row.network.parse().map_err(Error::unreadable)?;
                    sqlx::query(
                        "INSERT INTO ended_lease (sequence, prefix, vrf, network, first, last, owner, start, expiry, loa,
                                                  origin, ended_at, ended_by)
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
                         ON CONFLICT (sequence) DO NOTHING",
                    )
                    .bind(row.sequence)
                    .bind(row.prefix)
                    .bind(row.vrf)
                    .bind(row.network)
                    .bind(address_text(network.first()))
                    .bind(address_text(network.last()))
                    .bind(row.owner)
                    .bind(row.start)
                    .bind(row.expiry)
                    .bind(row.loa)
                    .bind(row.origin)
                    .bind(row.ended_at)
                    .bind(intent.map(|(request, detail)| ended_by(&request, &detail)).unwrap_or_default())
                    .execute(&mut **transaction)
                    .await?;
                }
                Ok(())
            }
        }

        #[async_trait]
        impl EndedLeases for $ledger {
            async fn ended_leases(
                &self,
                scope: VrfScope,
                network: Network,
            ) -> Result<Vec<EndedLease>, Error> {
                let rows: Vec<EndedLeaseRow> = sqlx::query_as(OVERLAPPING)
                    .bind(to_sql(scope.number()))
                    .bind(address_text(network.last()))
                    .bind(address_text(network.first()))
                    .fetch_all(&self.reads)
                    .await?;
                rows.into_iter().map(EndedLeaseRow::into_lease).collect()
            }
        }
    };
}

impl_ended_leases!(SqliteLedger, Sqlite);
impl_ended_leases!(PostgresLedger, Postgres);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_ended_a_lease_is_its_request_and_its_caller() {
        let detail = |caller: &str| {
            serde_json::to_string(&Detail { caller: caller.to_owned(), ..Detail::default() }).unwrap()
        };
        assert_eq!(ended_by("order-4711", &detail("192.0.2.7")), "order-4711 by 192.0.2.7");
        assert_eq!(ended_by("order-4711", &detail("")), "order-4711");
    }
}
