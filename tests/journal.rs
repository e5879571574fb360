//! The event log's journal: one suite over both databases.

use std::sync::Arc;

use jiff::Timestamp;
use leasehold::ledger::{self, Journal, LedgerSettings, LogWalk, Retention};
use leasehold::model::{
    DomainEvent, Event, EventKind, Network, Prefix, PrefixId, RecordChange, Revision, Subject, TermDate,
    TermReached, Threshold, VrfScope,
};

use crate::support::{directory, peers};

pub fn prefix(id: u64, network: &str, description: &str, revision: i64) -> Arc<Prefix> {
    let bare = Prefix::bare(PrefixId(id), network.parse().unwrap(), VrfScope::Global);
    Arc::new(Prefix { description: description.into(), revision: Revision(Some(at(revision))), ..bare })
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn changed(before: Option<&Arc<Prefix>>, after: Option<&Arc<Prefix>>, now: i64) -> DomainEvent {
    DomainEvent::prefix(RecordChange { before: before.cloned(), after: after.cloned() }, None, at(now))
}

fn reached(id: u64, threshold: i32, date: &str) -> DomainEvent {
    let reached = TermReached {
        prefix: prefix(id, "198.51.100.0/24", "", 0),
        which: TermDate::Expiry,
        date: date.parse().unwrap(),
        threshold: Threshold(threshold),
        days_left: threshold,
    };
    DomainEvent::term(reached, at(0))
}

fn kinds(events: &[Event]) -> Vec<EventKind> {
    events.iter().map(|event| event.domain_event.kind).collect()
}

async fn suite(journal: Arc<dyn Journal>) {
    // Ids that no other test uses, because tests share the PostgreSQL ledger.
    let base = u64::from(uuid::Uuid::new_v4().as_fields().0);
    let (first, second, third) = (
        prefix(base, "203.0.113.0/24", "a", 1),
        prefix(base, "203.0.113.0/24", "b", 2),
        prefix(base, "203.0.113.0/25", "b", 3),
    );

    // A change becomes one event, however often it is appended.
    let created = changed(None, Some(&first), 1);
    let published = journal.append(std::slice::from_ref(&created), at(1)).await.unwrap();
    assert_eq!(kinds(&published), [EventKind::PrefixCreated]);
    assert!(journal.append(std::slice::from_ref(&created), at(2)).await.unwrap().is_empty());
    let both = [changed(Some(&first), Some(&second), 3), changed(Some(&second), Some(&third), 3)];
    let published = journal.append(&both, at(3)).await.unwrap();
    assert_eq!(kinds(&published), [EventKind::PrefixChanged; 2]);
    assert_eq!(published[1].sequence, published[0].sequence + 1);
    // An old state that is reported late is no event, and nothing is after the deletion.
    assert!(journal.append(&[changed(Some(&first), Some(&second), 4)], at(4)).await.unwrap().is_empty());
    let gone = changed(Some(&third), None, 5);
    assert_eq!(
        kinds(&journal.append(std::slice::from_ref(&gone), at(5)).await.unwrap()),
        [EventKind::PrefixDeleted]
    );
    assert!(journal.append(&[gone, created], at(6)).await.unwrap().is_empty());

    // Of many that append the same change at once, one succeeds.
    let rival = changed(None, Some(&prefix(base + 1, "203.0.113.0/24", "", 1)), 1);
    let tries = (0..8).map(|_| journal.append(std::slice::from_ref(&rival), at(7)));
    let published: usize =
        futures::future::join_all(tries).await.into_iter().map(|events| events.unwrap().len()).sum();
    assert_eq!(published, 1);

    // A threshold is published once and a looser one never after it; a tighter one is, and so is any for another date.
    let lease = base + 2;
    for (threshold, date, news) in [
        (30, "2027-06-01", 1),
        (30, "2027-06-01", 0),
        (60, "2027-06-01", 0),
        (7, "2027-06-01", 1),
        (30, "2028-06-01", 1),
        (7, "2027-06-01", 0),
    ] {
        let published = journal.append(&[reached(lease, threshold, date)], at(8)).await.unwrap();
        assert_eq!(published.len(), news, "{threshold} {date}");
    }
    let key = (lease, TermDate::Expiry, "2027-06-01".parse().unwrap());
    assert_eq!(journal.term_marks().await.unwrap().get(&key), Some(&Threshold(7)));
    journal.forget_term_marks(&[lease]).await.unwrap();
    assert_eq!(journal.term_marks().await.unwrap().get(&key), None);

    // Sequences have no holes in either direction.
    let extent = journal.extent().await.unwrap();
    let forward = journal.read(0, 100_000).await.unwrap();
    for pair in forward.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence + 1);
    }
    assert!(forward.last().unwrap().sequence >= extent.last);
    let back = journal.read_back(u64::MAX, 3).await.unwrap();
    assert_eq!(back.len(), 3);
    assert_eq!(back[0].sequence, back[2].sequence + 2);

    // An event about a record that moved is found by both of its networks.
    let networks: [Network; 1] = ["203.0.113.0/25".parse().unwrap()];
    let about =
        journal.about_networks(VrfScope::Global, &networks, LogWalk::Before(u64::MAX), 1000).await.unwrap();
    let ours: Vec<EventKind> = about
        .iter()
        .filter(|event| event.domain_event.about_prefix().is_some_and(|prefix| prefix.id.0 == base))
        .map(|event| event.domain_event.kind)
        .collect();
    assert_eq!(ours, [EventKind::PrefixDeleted, EventKind::PrefixChanged]);
}

#[tokio::test]
async fn sqlite_keeps_events() {
    let (_guard, path) = directory();
    let settings = LedgerSettings::Sqlite(path.join("ledger.db"));
    let journal = ledger::open(&settings).await.unwrap().journal;
    suite(journal.clone()).await;
    let before = journal.extent().await.unwrap();
    let again = ledger::open(&settings).await.unwrap().journal;
    assert_eq!(again.extent().await.unwrap(), before, "epoch and sequence survive a restart");
}

#[tokio::test]
async fn a_real_postgresql_keeps_events() {
    let name = "journal::a_real_postgresql_keeps_events";
    let Some(url) = peers::variable(name, "LEASEHOLD_TEST_POSTGRES_URL", "a real PostgreSQL") else { return };
    let settings = LedgerSettings::Postgres(secrecy::SecretString::from(url));
    suite(ledger::open(&settings).await.unwrap().journal).await;
}

#[tokio::test]
async fn compaction_keeps_unrouted_events_and_records_what_it_removed() {
    let ledger = ledger::open(&LedgerSettings::Temporary).await.unwrap();
    let journal = ledger.journal;
    journal.set_continuous_since(at(0)).await.unwrap();
    for second in 1..=100 {
        let domain_event = DomainEvent {
            kind: EventKind::SyncLost,
            time: at(second),
            subject: Subject::Sync(String::new()),
        };
        journal.append(&[domain_event], at(second)).await.unwrap();
    }
    let all = Retention { before: at(1000), at_most: 0 };
    assert_eq!(journal.compact(all).await.unwrap(), 0, "nothing is routed yet");
    ledger.outbox.enqueue(60, &[]).await.unwrap();
    assert_eq!(journal.compact(Retention { before: at(0), at_most: 50 }).await.unwrap(), 50);
    assert_eq!(journal.compact(Retention { before: at(56), at_most: 1000 }).await.unwrap(), 55);
    assert_eq!(journal.compact(all).await.unwrap(), 60);
    let extent = journal.extent().await.unwrap();
    assert_eq!((extent.compacted, extent.last), (60, 100));
    assert_eq!(
        extent.continuous_since,
        Some(at(60)),
        "the log is continuous since the last event that was removed"
    );
    assert_eq!(journal.read(0, 10).await.unwrap()[0].sequence, 61);
}
