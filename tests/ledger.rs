//! The ledger's intents, quarantine and observations: one suite over both databases.

use std::sync::Arc;

use jiff::{Timestamp, ToSpan as _};
use leasehold::ledger::{
    self, Begun, Detail, Fingerprint, Intent, IntentKind, IntentSelection, IntentState, IntentStore,
    LedgerHandles, LedgerSettings, ListIntents, Observation, ObservationKind, Observations, QuarantineStore,
};
use leasehold::model::{PrefixId, VrfId, VrfScope};

use crate::support::{directory, peers};

fn intent(name: &str, nth: i64) -> Intent {
    let at = Timestamp::from_second(1_800_000_000).unwrap() + nth.seconds();
    Intent {
        request: format!("{name}-{nth}").parse().unwrap(),
        kind: IntentKind::Addresses,
        fingerprint: Fingerprint::version_1(nth.to_string().as_bytes()),
        state: IntentState::Pending,
        parent: Some(PrefixId(7)),
        detail: Detail { wanted: 3, ..Detail::default() },
        created: at,
        updated: at,
    }
}

async fn intent_suite(ledger: Arc<dyn IntentStore>) {
    let name = uuid::Uuid::new_v4().simple().to_string();
    let first = intent(&name, 0);
    assert_eq!(ledger.get(&first.request).await.unwrap(), None);
    assert_eq!(ledger.begin(&first).await.unwrap(), Begun::New);
    assert_eq!(ledger.begin(&first).await.unwrap(), Begun::Before(Box::new(first.clone())));

    // Of many that begin the same intent at once, one succeeds.
    let rival = intent(&name, 1);
    let tries = (0..16).map(|_| ledger.begin(&rival));
    let begun = futures::future::join_all(tries).await;
    assert_eq!(begun.into_iter().filter(|begun| matches!(begun, Ok(Begun::New))).count(), 1);

    let pending: Vec<String> =
        ledger.pending().await.unwrap().iter().map(|intent| intent.request.to_string()).collect();
    assert!(pending.contains(&first.request.to_string()));
    let detail = Detail { wanted: 3, made: vec![4, 5, 6], ..Detail::default() };
    let later = first.created + 1.minute();
    ledger.set(&first.request, IntentState::Done, &detail, later).await.unwrap();
    let done = ledger.get(&first.request).await.unwrap().unwrap();
    assert_eq!((done.state, &done.detail, done.updated), (IntentState::Done, &detail, later));
    let ours = |intent: &Intent| intent.request == first.request;
    assert!(!ledger.pending().await.unwrap().iter().any(ours));

    // Pages come with the newest first and filtered by state and by parent; releases are left out.
    for nth in 2..7 {
        ledger.begin(&Intent { parent: Some(PrefixId(900)), ..intent(&name, nth) }).await.unwrap();
    }
    ledger
        .begin(&Intent { kind: IntentKind::Release, parent: Some(PrefixId(900)), ..intent(&name, 7) })
        .await
        .unwrap();
    let selection = IntentSelection::Parent(PrefixId(900));
    let mut wanted = ListIntents { selection, after: None, limit: 2 };
    let mut seen = Vec::new();
    loop {
        let page = ledger.list(&wanted).await.unwrap();
        let Some(last) = page.last() else { break };
        wanted.after = Some((last.created, last.request.clone()));
        seen.extend(
            page.iter()
                .filter(|intent| intent.request.as_str().starts_with(&name))
                .map(|intent| intent.request.to_string()),
        );
    }
    let expected: Vec<String> = (2..7).rev().map(|nth| format!("{name}-{nth}")).collect();
    assert_eq!(seen, expected);
    let selection = IntentSelection::State(IntentState::Done);
    let done = ListIntents { selection, after: None, limit: 1000 };
    assert!(ledger.list(&done).await.unwrap().iter().all(|intent| intent.state == IntentState::Done));
}

/// Addresses that were released.
async fn quarantine_suite(quarantine: Arc<dyn QuarantineStore>) {
    // A VRF that no other test uses, because tests share the PostgreSQL ledger.
    let scope = VrfScope::Vrf(VrfId(u64::from(uuid::Uuid::new_v4().as_fields().0)));
    let at = |second: i64| Timestamp::from_second(1_700_000_000 + second).unwrap();
    let host = |last: u8| std::net::IpAddr::from([203, 0, 113, last]);
    quarantine.quarantine(scope, &(1..=5).map(host).collect::<Vec<_>>(), at(0)).await.unwrap();
    quarantine.quarantine(scope, &[host(5), "2001:db8::1".parse().unwrap()], at(10)).await.unwrap();
    let of = async |since: i64| {
        let found = quarantine.quarantined(at(since)).await.unwrap();
        let mut ours: Vec<_> = found.into_iter().filter(|row| row.0 == scope).map(|row| row.1).collect();
        ours.sort_unstable();
        ours
    };
    assert_eq!(of(-1).await.len(), 6);
    assert_eq!(
        of(0).await,
        [host(5), "2001:db8::1".parse().unwrap()],
        "a second release starts the quarantine anew"
    );
    quarantine.end_quarantine(at(0)).await.unwrap();
    assert_eq!(of(-1).await.len(), 2);
}

async fn observation_suite(observations: Arc<dyn Observations>) {
    let base = u64::from(uuid::Uuid::new_v4().as_fields().0) << 8;
    let (first, second) = (PrefixId(base), PrefixId(base + 1));
    let now = Timestamp::from_second(1_700_000_000).unwrap();
    let row = |prefix, subject: &str, value: u32| Observation::of(prefix, subject, &value).unwrap();
    // More rows than one statement inserts.
    let many: Vec<Observation> = (0..1200).map(|nth| row(first, &format!("{nth:04}"), nth)).collect();
    observations.put(ObservationKind::ZoneCoverage, &many, now).await.unwrap();
    let other = [row(first, "roa", 1), row(second, "roa", 2), row(second, "irr", 3)];
    observations.put(ObservationKind::Verdict, &other, now).await.unwrap();
    observations.put(ObservationKind::Verdict, &[row(second, "roa", 7)], now).await.unwrap();
    observations.put(ObservationKind::Verdict, &[], now).await.unwrap();
    assert_eq!(observations.load(ObservationKind::ZoneCoverage, Some(first)).await.unwrap(), many);
    let values = async |kind, prefix| -> Vec<(String, u32)> {
        let rows = observations.load(kind, Some(prefix)).await.unwrap();
        rows.iter().map(|row| (row.subject.clone(), row.read().unwrap())).collect()
    };
    let wanted = [("irr".to_owned(), 3), ("roa".to_owned(), 7)];
    assert_eq!(
        values(ObservationKind::Verdict, second).await,
        wanted,
        "the later observation replaces the earlier one"
    );
    let all = observations.load(ObservationKind::Verdict, None).await.unwrap();
    assert_eq!(all.iter().filter(|row| row.prefix == first || row.prefix == second).count(), 3);
    observations.forget(&[second]).await.unwrap();
    assert_eq!(values(ObservationKind::Verdict, second).await, []);
    assert_eq!(values(ObservationKind::Verdict, first).await, [("roa".to_owned(), 1)]);
    observations.forget(&[first]).await.unwrap();
    assert_eq!(values(ObservationKind::ZoneCoverage, first).await, []);
}

async fn all_suites(ledger: LedgerHandles) {
    intent_suite(ledger.intents).await;
    quarantine_suite(ledger.quarantine).await;
    observation_suite(ledger.observations).await;
}

#[tokio::test]
async fn sqlite_keeps_intents_quarantine_and_observations() {
    let (_guard, path) = directory();
    let settings = LedgerSettings::Sqlite(path.join("ledger.db"));
    all_suites(ledger::open(&settings).await.unwrap()).await;
    // The next server finds what this one has stored.
    let again = ledger::open(&settings).await.unwrap();
    assert!(!again.intents.pending().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_real_postgresql_keeps_intents_quarantine_and_observations() {
    let name = "ledger::a_real_postgresql_keeps_intents_quarantine_and_observations";
    let Some(url) = peers::variable(name, "LEASEHOLD_TEST_POSTGRES_URL", "a real PostgreSQL") else { return };
    let settings = LedgerSettings::Postgres(secrecy::SecretString::from(url));
    all_suites(ledger::open(&settings).await.unwrap()).await;
}
