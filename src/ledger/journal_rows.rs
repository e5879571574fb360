//! The event log's rows in SQLite and in PostgreSQL: one text of SQL for both.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Postgres, QueryBuilder, Row as _, Sqlite};

use super::database::{Error, PostgresLedger, SqliteLedger};
use super::journal::{Admission, Extent, Journal, MarkKey, Retention, Told, state_told, to_sql};
use crate::model::{Event, Happening, Network, Subject, Table, TermDate, Threshold};

/// Rows of one statement: both databases bound the number of parameters.
const ROWS: usize = 500;
/// Events that one transaction of a compaction removes, so that no append waits for long.
const COMPACTED_AT_ONCE: u64 = 5000;

const EVENT: &str = "SELECT sequence, recorded_at, body FROM event";

/// What an append has to know of what was told before.
#[derive(Default)]
struct Asked {
    records: BTreeMap<&'static str, Vec<i64>>,
    terms: Vec<i64>,
}

impl Asked {
    fn of(happenings: &[Happening]) -> Result<Self, Error> {
        let mut asked = Self::default();
        for happening in happenings {
            match (&happening.subject, state_told(happening)?) {
                (Subject::Term(reached), _) => asked.terms.push(to_sql(reached.prefix.id.0)),
                (_, Some(((kind, id), _))) => asked.records.entry(kind).or_default().push(id),
                (_, None) => {}
            }
        }
        Ok(asked)
    }
}

macro_rules! journal_over {
    ($ledger:ident, $database:ident, $row:ident, $begin:literal) => {
        impl $ledger {
            async fn load(
                transaction: &mut sqlx::Transaction<'_, $database>,
                happenings: &[Happening],
            ) -> Result<Admission, Error> {
                let asked = Asked::of(happenings)?;
                let mut admission = Admission::default();
                for (kind, ids) in &asked.records {
                    for chunk in ids.chunks(ROWS) {
                        let mut query = QueryBuilder::<$database>::new(
                            "SELECT id, revision, digest FROM told WHERE kind = ",
                        );
                        query.push_bind(*kind).push(" AND id IN (");
                        let mut list = query.separated(", ");
                        for id in chunk {
                            list.push_bind(*id);
                        }
                        query.push(")");
                        for row in query.build().fetch_all(&mut **transaction).await? {
                            let told = Told { revision: row.try_get(1)?, digest: row.try_get(2)? };
                            admission.told.insert((*kind, row.try_get(0)?), told);
                        }
                    }
                }
                for chunk in asked.terms.chunks(ROWS) {
                    let mut query = QueryBuilder::<$database>::new(
                        "SELECT prefix, which, date, threshold FROM term_mark WHERE prefix IN (",
                    );
                    let mut list = query.separated(", ");
                    for id in chunk {
                        list.push_bind(*id);
                    }
                    query.push(")");
                    for row in query.build().fetch_all(&mut **transaction).await? {
                        let (key, threshold) = mark(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?)?;
                        admission.marks.insert(key, threshold);
                    }
                }
                Ok(admission)
            }

            async fn store(
                transaction: &mut sqlx::Transaction<'_, $database>,
                admission: &Admission,
                events: &[Event],
            ) -> Result<(), Error> {
                for chunk in events.chunks(ROWS) {
                    let mut rows = Vec::with_capacity(chunk.len());
                    for event in chunk {
                        rows.push((event, body(&event.happening)?));
                    }
                    QueryBuilder::<$database>::new("INSERT INTO event (sequence, kind, recorded_at, body) ")
                        .push_values(rows, |mut row, (event, body)| {
                            row.push_bind(to_sql(event.sequence))
                                .push_bind(event.happening.kind.as_str())
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
                        event
                            .happening
                            .networks()
                            .into_iter()
                            .map(move |(table, network)| (network.to_string(), to_sql(table.number()), sequence))
                    })
                    .collect();
                for chunk in networks.chunks(ROWS) {
                    QueryBuilder::<$database>::new("INSERT INTO event_network (network, vrf, sequence) ")
                        .push_values(chunk, |mut row, (network, vrf, sequence)| {
                            row.push_bind(network.clone()).push_bind(*vrf).push_bind(*sequence);
                        })
                        .push(" ON CONFLICT DO NOTHING")
                        .build()
                        .execute(&mut **transaction)
                        .await?;
                }
                let told: Vec<_> = admission.told_anew.iter().collect();
                for chunk in told.chunks(ROWS) {
                    QueryBuilder::<$database>::new("INSERT INTO told (kind, id, revision, digest) ")
                        .push_values(chunk, |mut row, ((kind, id), told)| {
                            row.push_bind(*kind)
                                .push_bind(*id)
                                .push_bind(told.revision)
                                .push_bind(told.digest.clone());
                        })
                        .push(" ON CONFLICT (kind, id) DO UPDATE SET revision = excluded.revision, digest = excluded.digest")
                        .build()
                        .execute(&mut **transaction)
                        .await?;
                }
                let marks: Vec<_> = admission.marked_anew.iter().collect();
                for chunk in marks.chunks(ROWS) {
                    QueryBuilder::<$database>::new("INSERT INTO term_mark (prefix, which, date, threshold) ")
                        .push_values(chunk, |mut row, ((prefix, which, date), threshold)| {
                            row.push_bind(to_sql(*prefix))
                                .push_bind(which.as_str())
                                .push_bind(date.to_string())
                                .push_bind(i64::from(threshold.0));
                        })
                        .push(" ON CONFLICT (prefix, which, date) DO UPDATE SET threshold = excluded.threshold")
                        .build()
                        .execute(&mut **transaction)
                        .await?;
                }
                Ok(())
            }
        }

        #[async_trait]
        impl Journal for $ledger {
            async fn append(&self, happenings: &[Happening], now: Timestamp) -> Result<Vec<Event>, Error> {
                if happenings.is_empty() {
                    return Ok(Vec::new());
                }
                let mut transaction = self.pool.begin_with($begin).await?;
                // Takes the row's lock: whoever appends next waits here, so that sequences are committed in order.
                let last: i64 = sqlx::query("UPDATE event_log SET last = last RETURNING last")
                    .fetch_one(&mut *transaction)
                    .await?
                    .try_get(0)?;
                let mut sequence = from_sql(last);
                let mut admission = Self::load(&mut transaction, happenings).await?;
                let mut events = Vec::new();
                for happening in happenings {
                    if admission.admit(happening)? {
                        sequence += 1;
                        events.push(Event { sequence, recorded: now, happening: happening.clone() });
                    }
                }
                if events.is_empty() {
                    return Ok(events);
                }
                Self::store(&mut transaction, &admission, &events).await?;
                sqlx::query("UPDATE event_log SET last = $1")
                    .bind(to_sql(sequence))
                    .execute(&mut *transaction)
                    .await?;
                transaction.commit().await?;
                Ok(events)
            }

            async fn extent(&self) -> Result<Extent, Error> {
                let row = sqlx::query("SELECT epoch, last, compacted, continuous_since, routed FROM event_log")
                    .fetch_one(&self.reads)
                    .await?;
                let continuous: Option<i64> = row.try_get(3)?;
                Ok(Extent {
                    epoch: row.try_get(0)?,
                    last: from_sql(row.try_get(1)?),
                    compacted: from_sql(row.try_get(2)?),
                    continuous_since: continuous.map(instant).transpose()?,
                    routed: from_sql(row.try_get(4)?),
                })
            }

            async fn read(&self, after: u64, limit: u32) -> Result<Vec<Event>, Error> {
                let sql = format!("{EVENT} WHERE sequence > $1 ORDER BY sequence LIMIT $2");
                let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
                    .bind(to_sql(after))
                    .bind(i64::from(limit))
                    .fetch_all(&self.reads)
                    .await?;
                rows.iter().map(|row| event(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)).collect()
            }

            async fn read_back(&self, before: u64, limit: u32) -> Result<Vec<Event>, Error> {
                let sql = format!("{EVENT} WHERE sequence < $1 ORDER BY sequence DESC LIMIT $2");
                let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
                    .bind(to_sql(before))
                    .bind(i64::from(limit))
                    .fetch_all(&self.reads)
                    .await?;
                rows.iter().map(|row| event(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)).collect()
            }

            async fn touching(&self, table: Table, networks: &[Network]) -> Result<Vec<Event>, Error> {
                let mut found: BTreeMap<u64, Event> = BTreeMap::new();
                for chunk in networks.chunks(ROWS) {
                    let mut query = QueryBuilder::<$database>::new(EVENT);
                    query.push(" WHERE sequence IN (SELECT sequence FROM event_network WHERE vrf = ");
                    query.push_bind(to_sql(table.number())).push(" AND network IN (");
                    let mut list = query.separated(", ");
                    for network in chunk {
                        list.push_bind(network.to_string());
                    }
                    query.push("))");
                    for row in query.build().fetch_all(&self.reads).await? {
                        let event = event(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)?;
                        found.insert(event.sequence, event);
                    }
                }
                Ok(found.into_values().rev().collect())
            }

            async fn begin_continuity(&self, now: Timestamp) -> Result<(), Error> {
                sqlx::query("UPDATE event_log SET continuous_since = $1")
                    .bind(now.as_microsecond())
                    .execute(&self.pool)
                    .await?;
                Ok(())
            }

            async fn marks(&self) -> Result<HashMap<MarkKey, Threshold>, Error> {
                let rows = sqlx::query("SELECT prefix, which, date, threshold FROM term_mark")
                    .fetch_all(&self.reads)
                    .await?;
                rows.iter()
                    .map(|row: &$row| mark(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?))
                    .collect()
            }

            async fn forget_marks(&self, prefixes: &[u64]) -> Result<(), Error> {
                for chunk in prefixes.chunks(ROWS) {
                    let mut query = QueryBuilder::<$database>::new("DELETE FROM term_mark WHERE prefix IN (");
                    let mut list = query.separated(", ");
                    for id in chunk {
                        list.push_bind(to_sql(*id));
                    }
                    query.push(")");
                    query.build().execute(&self.pool).await?;
                }
                Ok(())
            }

            async fn compact(&self, retention: Retention) -> Result<u64, Error> {
                loop {
                    let mut transaction = self.pool.begin_with($begin).await?;
                    let row = sqlx::query("UPDATE event_log SET last = last RETURNING last, compacted, routed")
                        .fetch_one(&mut *transaction)
                        .await?;
                    let (last, compacted) = (from_sql(row.try_get(0)?), from_sql(row.try_get(1)?));
                    let routed = from_sql(row.try_get(2)?);
                    let aged: Option<i64> = sqlx::query("SELECT MAX(sequence) FROM event WHERE recorded_at < $1")
                        .bind(retention.before.as_microsecond())
                        .fetch_one(&mut *transaction)
                        .await?
                        .try_get(0)?;
                    let wanted = aged.map_or(0, from_sql).max(last.saturating_sub(retention.at_most)).min(routed);
                    if wanted <= compacted {
                        return Ok(compacted);
                    }
                    let upto = wanted.min(compacted + COMPACTED_AT_ONCE);
                    // What the log knows of the past begins after the last event that goes.
                    sqlx::query(
                        "UPDATE event_log SET compacted = $1, continuous_since =
                             (SELECT MAX(at) FROM (
                                 SELECT recorded_at AS at FROM event WHERE sequence = $1
                                 UNION ALL SELECT continuous_since AS at FROM event_log) AS known)",
                    )
                    .bind(to_sql(upto))
                    .execute(&mut *transaction)
                    .await?;
                    sqlx::query("DELETE FROM event WHERE sequence <= $1")
                        .bind(to_sql(upto))
                        .execute(&mut *transaction)
                        .await?;
                    sqlx::query("DELETE FROM event_network WHERE sequence <= $1")
                        .bind(to_sql(upto))
                        .execute(&mut *transaction)
                        .await?;
                    transaction.commit().await?;
                }
            }
        }
    };
}

journal_over!(SqliteLedger, Sqlite, SqliteRow, "BEGIN IMMEDIATE");
journal_over!(PostgresLedger, Postgres, PgRow, "BEGIN");

fn from_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn unreadable(error: &dyn std::fmt::Display) -> Error {
    Error::Unreadable(error.to_string())
}

fn instant(micros: i64) -> Result<Timestamp, Error> {
    Timestamp::from_microsecond(micros).map_err(|error| unreadable(&error))
}

fn body(happening: &Happening) -> Result<String, Error> {
    serde_json::to_string(happening).map_err(|error| unreadable(&error))
}

fn event(sequence: i64, recorded: i64, body: &str) -> Result<Event, Error> {
    Ok(Event {
        sequence: from_sql(sequence),
        recorded: instant(recorded)?,
        happening: serde_json::from_str(body).map_err(|error| unreadable(&error))?,
    })
}

fn mark(prefix: i64, which: &str, date: &str, threshold: i64) -> Result<(MarkKey, Threshold), Error> {
    let which = match which {
        "expiry" => TermDate::Expiry,
        "notice" => TermDate::Notice,
        other => return Err(unreadable(&format!("a term mark of {other:?}"))),
    };
    let date: Date = date.parse().map_err(|error| unreadable(&error))?;
    Ok(((from_sql(prefix), which, date), Threshold(i32::try_from(threshold).unwrap_or(i32::MAX))))
}
