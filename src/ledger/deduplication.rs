//! Which domain events are new. Pure: the database's rows are loaded before, and the changed ones stored after.
//!
//! The same change reaches the log more than once: two replicas see it, or a server is killed after it published the change
//! and before its cache stored it. The ledger therefore keeps the state that the last event about a record ended in, as its
//! revision and its digest. An event that ends in the same digest repeats it; one with an earlier revision reports an old
//! state late. Neither is published.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::error::Error;
use super::journal::TermMarkKey;
use super::sql_values::to_sql;
use crate::model::{DomainEvent, RecordState, Subject, TermReached, Threshold, digest};

/// The kind of a record (`prefix`, `address`) or the check of a prefix (`roa`, `irr`, `reputation`), and NetBox's id.
pub(super) type RecordKey = (&'static str, i64);

/// The state of a record that the last event about it ended in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PublishedDigest {
    /// NetBox's last_updated, in microseconds; 0 if the record has none, and the maximum once it is deleted. Of a verdict, the
    /// time at which it was observed.
    pub(super) revision: i64,
    /// Digest of the record's JSON; `gone` once it is deleted.
    pub(super) digest: String,
}

/// Decides which domain events are new, one after another.
#[derive(Debug, Default)]
pub(super) struct EventDeduplicator {
    /// As the database has them, for the records that the events are about, and as the events change them.
    pub(super) published: BTreeMap<RecordKey, PublishedDigest>,
    pub(super) term_marks: BTreeMap<TermMarkKey, Threshold>,
    /// What the events have changed, and the caller has to store with them.
    pub(super) new_published: BTreeMap<RecordKey, PublishedDigest>,
    pub(super) new_term_marks: BTreeMap<TermMarkKey, Threshold>,
}

impl EventDeduplicator {
    /// Whether a domain event is new. If it is, the events after it are compared with the state that it ends in.
    pub(super) fn admit(&mut self, domain_event: &DomainEvent) -> Result<bool, Error> {
        match &domain_event.subject {
            Subject::Sync(_) | Subject::Completion(_) => Ok(true),
            Subject::Term(reached) => {
                let key = term_mark_key(reached);
                if self.term_marks.get(&key).is_some_and(|published| *published <= reached.threshold) {
                    return Ok(false);
                }
                self.term_marks.insert(key, reached.threshold);
                self.new_term_marks.insert(key, reached.threshold);
                Ok(true)
            }
            Subject::Prefix(_) | Subject::Address(_) | Subject::Verdict(_) => {
                let Some((key, state)) = state_after(domain_event)? else { return Ok(true) };
                if let Some(before) = self.published.get(&key)
                    && (before.digest == state.digest || before.revision > state.revision)
                {
                    return Ok(false);
                }
                self.published.insert(key, state.clone());
                self.new_published.insert(key, state);
                Ok(true)
            }
        }
    }
}

/// The key of the mark that an event of a term sets.
fn term_mark_key(reached: &TermReached) -> TermMarkKey {
    (reached.prefix.id.0, reached.which, reached.date)
}

/// The record that an event is about, and the state that it ends in. `None` for events that are about no record.
pub(super) fn state_after(domain_event: &DomainEvent) -> Result<Option<(RecordKey, PublishedDigest)>, Error> {
    let state = match &domain_event.subject {
        Subject::Prefix(change) => {
            let Some(latest) = change.latest() else { return Ok(None) };
            let state = record_state(change.after.as_deref(), latest.revision.instant())?;
            (("prefix", to_sql(latest.id.0)), state)
        }
        Subject::Address(change) => {
            let Some(latest) = change.latest() else { return Ok(None) };
            let mut state = record_state(change.after.as_deref(), latest.revision.instant())?;
            if latest.record_state == RecordState::Pending {
                // A server that does not know yet that it was handed out sees the pool's record, of the same revision, later.
                state.revision = state.revision.saturating_add(1);
            }
            (("address", to_sql(latest.id.0)), state)
        }
        Subject::Verdict(change) => {
            // With the lease: the same change of a verdict under the next lease is another event.
            let lease = change.prefix.lease.as_deref();
            let of = lease.map(|lease| (lease.owner.as_deref(), lease.term.start));
            let json = serde_json::to_vec(&(change.before, change.before_since, change.after, of))
                .map_err(Error::unreadable)?;
            let state = PublishedDigest {
                revision: change.observed.as_microsecond(),
                digest: digest(json, DIGEST_BYTES),
            };
            ((change.after.check().as_str(), to_sql(change.prefix.id.0)), state)
        }
        Subject::Term(_) | Subject::Sync(_) | Subject::Completion(_) => return Ok(None),
    };
    Ok(Some(state))
}

/// Bytes of a digest. It tells the states of one record apart, so it need not be long.
const DIGEST_BYTES: usize = 12;

fn record_state(
    record: Option<&impl Serialize>,
    revision: Option<Timestamp>,
) -> Result<PublishedDigest, Error> {
    let Some(record) = record else {
        // NetBox never uses an id again, so no later event about a deleted record is new.
        return Ok(PublishedDigest { revision: i64::MAX, digest: "gone".to_owned() });
    };
    let json = serde_json::to_vec(record).map_err(Error::unreadable)?;
    let revision = revision.map_or(0, Timestamp::as_microsecond);
    Ok(PublishedDigest { revision, digest: digest(json, DIGEST_BYTES) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TermDate;

    fn state(golden: &str) -> (RecordKey, PublishedDigest) {
        state_after(&serde_json::from_str(golden).unwrap()).unwrap().unwrap()
    }

    /// The bytes that are digested never change: after an upgrade the same change would be published once more.
    #[test]
    fn digests_and_marks_are_those_of_version_0_1() {
        let published = |digest: &str, revision: i64| PublishedDigest { revision, digest: digest.to_owned() };
        assert_eq!(
            state(include_str!("../../tests/golden/event-prefix.json")),
            (("prefix", 17), published("327ebd6aa76ae8fd4a9208e9", 1_800_000_003_000_000))
        );
        assert_eq!(
            state(include_str!("../../tests/golden/event-verdict.json")),
            (("roa", 17), published("337ee340f8b4c25e8a2e9926", 1_800_000_006_000_000))
        );
        assert_eq!(
            state(include_str!("../../tests/golden/event-address.json")),
            (("address", 23), published("gone", i64::MAX))
        );
        let term: DomainEvent =
            serde_json::from_str(include_str!("../../tests/golden/event-term.json")).unwrap();
        let Subject::Term(reached) = &term.subject else { panic!("{term:?}") };
        assert_eq!(term_mark_key(reached), (17, TermDate::Expiry, "2027-06-01".parse().unwrap()));
        assert_eq!((TermDate::Expiry.as_str(), TermDate::Notice.as_str()), ("expiry", "notice"));
    }
}
