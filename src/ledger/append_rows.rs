//! The statements of an append to the event log: what it loads before it decides, and what it stores.
//!
//! All of them run in the transaction of the append, under the lock of the log's only row, so no other append runs meanwhile.

use std::collections::BTreeMap;

use sqlx::{Postgres, QueryBuilder, Row as _, Sqlite};

use super::database::{PostgresLedger, SqliteLedger};
use super::deduplication::{EventDeduplicator, PublishedDigest, state_after};
use super::error::Error;
use super::event_rows::{TermMarkRow, event_json};
use super::sql_values::{ROWS_PER_STATEMENT, to_sql};
use crate::model::{DomainEvent, Event, Subject};

/// The ids of the rows that decide which of some domain events are new.
#[derive(Default)]
struct RowsToLoad {
    /// Ids of the records whose rows of `published_digest` are needed, by kind.
    records: BTreeMap<&'static str, Vec<i64>>,
    /// Ids of the prefixes whose rows of `term_mark` are needed.
    terms: Vec<i64>,
}

impl RowsToLoad {
    fn of(domain_events: &[DomainEvent]) -> Result<Self, Error> {
        let mut rows = Self::default();
        for domain_event in domain_events {
            match (&domain_event.subject, state_after(domain_event)?) {
                (Subject::Term(reached), _) => rows.terms.push(to_sql(reached.prefix.id.0)),
                (_, Some(((kind, id), _))) => rows.records.entry(kind).or_default().push(id),
                (_, None) => {}
            }
        }
        Ok(rows)
    }
}

/// Implements the statements for one database; `database.rs` says why this is a macro.
macro_rules! impl_append {
    ($ledger:ident, $database:ident) => {
        impl $ledger {
            /// Loads the rows that decide which of these domain events are new. Locks: none beyond the transaction's. Cost: a
            /// look at the primary key for each event.
            pub(super) async fn load_deduplicator(
                transaction: &mut sqlx::Transaction<'_, $database>,
                domain_events: &[DomainEvent],
            ) -> Result<EventDeduplicator, Error> {
                let wanted = RowsToLoad::of(domain_events)?;
                let mut deduplicator = EventDeduplicator::default();
                for (kind, ids) in &wanted.records {
                    for chunk in ids.chunks(ROWS_PER_STATEMENT) {
                        let mut query = QueryBuilder::<$database>::new(
                            "SELECT id, revision, digest FROM published_digest WHERE kind = ",
                        );
                        query.push_bind(*kind).push(" AND id IN (");
                        let mut list = query.separated(", ");
                        for id in chunk {
                            list.push_bind(*id);
                        }
                        query.push(")");
                        for row in query.build().fetch_all(&mut **transaction).await? {
                            let published =
                                PublishedDigest { revision: row.try_get(1)?, digest: row.try_get(2)? };
                            deduplicator.published.insert((*kind, row.try_get(0)?), published);
                        }
                    }
                }
                for chunk in wanted.terms.chunks(ROWS_PER_STATEMENT) {
                    let mut query = QueryBuilder::<$database>::new(
                        "SELECT prefix, which, date, threshold FROM term_mark WHERE prefix IN (",
                    );
                    let mut list = query.separated(", ");
                    for id in chunk {
                        list.push_bind(*id);
                    }
                    query.push(")");
                    let rows: Vec<TermMarkRow> = query.build_query_as().fetch_all(&mut **transaction).await?;
                    for row in rows {
                        let (key, threshold) = row.into_mark()?;
                        deduplicator.term_marks.insert(key, threshold);
                    }
                }
                Ok(deduplicator)
            }

            /// Inserts new events, and with them the networks that they are about and the states that they end in. Replay: the
            /// primary key refuses a sequence that is taken, and the whole append with it; the other rows are written over.
            /// Cost: one statement for each 500 rows of a table.
            pub(super) async fn store_events(
                transaction: &mut sqlx::Transaction<'_, $database>,
                deduplicator: &EventDeduplicator,
                events: &[Event],
            ) -> Result<(), Error> {
                for chunk in events.chunks(ROWS_PER_STATEMENT) {
                    let mut rows = Vec::with_capacity(chunk.len());
                    for event in chunk {
                        rows.push((event, event_json(&event.domain_event)?));
                    }
                    QueryBuilder::<$database>::new("INSERT INTO event (sequence, kind, recorded_at, body) ")
                        .push_values(rows, |mut row, (event, body)| {
                            row.push_bind(to_sql(event.sequence))
                                .push_bind(event.domain_event.kind.as_str())
                                .push_bind(event.recorded.as_microsecond())
                                .push_bind(body);
                        })
                        .build()
                        .execute(&mut **transaction)
                        .await?;
                }
                let networks: Vec<(String, i64, i64)> = events
                    .iter()
                    .flat_map(|event| {
                        let sequence = to_sql(event.sequence);
                        let networks = event.domain_event.networks().into_iter();
                        networks.map(move |(scope, network)| {
                            (network.to_string(), to_sql(scope.number()), sequence)
                        })
                    })
                    .collect();
                for chunk in networks.chunks(ROWS_PER_STATEMENT) {
                    QueryBuilder::<$database>::new("INSERT INTO event_network (network, vrf, sequence) ")
                        .push_values(chunk, |mut row, (network, vrf, sequence)| {
                            row.push_bind(network.clone()).push_bind(*vrf).push_bind(*sequence);
                        })
                        .push(" ON CONFLICT DO NOTHING")
                        .build()
                        .execute(&mut **transaction)
                        .await?;
                }
                Self::store_ended_leases(transaction, events).await?;
                let published: Vec<_> = deduplicator.new_published.iter().collect();
                for chunk in published.chunks(ROWS_PER_STATEMENT) {
                    QueryBuilder::<$database>::new(
                        "INSERT INTO published_digest (kind, id, revision, digest) ",
                    )
                    .push_values(chunk, |mut row, ((kind, id), state)| {
                        row.push_bind(*kind)
                            .push_bind(*id)
                            .push_bind(state.revision)
                            .push_bind(state.digest.clone());
                    })
                    .push(
                        " ON CONFLICT (kind, id)
                          DO UPDATE SET revision = excluded.revision, digest = excluded.digest",
                    )
                    .build()
                    .execute(&mut **transaction)
                    .await?;
                }
                let marks: Vec<_> = deduplicator.new_term_marks.iter().collect();
                for chunk in marks.chunks(ROWS_PER_STATEMENT) {
                    QueryBuilder::<$database>::new("INSERT INTO term_mark (prefix, which, date, threshold) ")
                        .push_values(chunk, |mut row, ((prefix, which, date), threshold)| {
                            row.push_bind(to_sql(*prefix))
                                .push_bind(which.as_str())
                                .push_bind(date.to_string())
                                .push_bind(i64::from(threshold.0));
                        })
                        .push(
                            " ON CONFLICT (prefix, which, date) DO UPDATE SET threshold = excluded.threshold",
                        )
                        .build()
                        .execute(&mut **transaction)
                        .await?;
                }
                Ok(())
            }
        }
    };
}

impl_append!(SqliteLedger, Sqlite);
impl_append!(PostgresLedger, Postgres);
