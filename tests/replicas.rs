//! Several servers that share a ledger in PostgreSQL.

use std::sync::Arc;

use jiff::ToSpan as _;
use leasehold::clock::{Clock, SystemClock};
use leasehold::config::Settings;
use leasehold::ledger::{self, LedgerSettings, Owner};
use leasehold::rpc::proto::v1;
use secrecy::SecretString;

use crate::support::{NetBox, Server, addresses, eventually, hosts, peers, settings};

/// Whether a server has run a job that one server runs for all.
async fn leads(server: &Server) -> bool {
    let status = server.admin.clone().get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
    status.jobs.iter().any(|job| job.name == "expiry.check" && job.last_success_time.is_some())
}

/// One test and not several: tests share the database, and whoever leads in one leads in all.
#[tokio::test]
async fn one_server_of_a_real_postgresql_runs_the_jobs_and_is_replaced() {
    let name = "replicas::one_server_of_a_real_postgresql_runs_the_jobs_and_is_replaced";
    let Some(url) = peers::variable(name, "LEASEHOLD_TEST_POSTGRES_URL", "a real PostgreSQL") else { return };
    let shared = LedgerSettings::Postgres(SecretString::from(url));
    let netbox = NetBox::emulated().await;
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, "203.0.113.0/24").await;
    // A server that has died a moment ago holds the lease.
    let leases = ledger::open(&shared).await.unwrap().job_leases;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new(jiff::tz::TimeZone::UTC));
    let dead = Owner::named("dead");
    let until = clock.now() + 6.seconds();
    assert!(leases.hold("jobs", &dead, clock.now(), until).await.unwrap().is_some());
    let with = || Settings { ledger: shared.clone(), ..settings(&netbox) };
    let first = Server::with(with()).await;
    first.live().await;
    eventually("the server that is left runs the jobs", async || leads(&first).await).await;
    assert!(clock.now() >= until, "and not before the lease of the dead one is over");
    let second = Server::with(with()).await;
    second.live().await;

    // Both write, and a request of one is answered by the other.
    let request = format!("shared-{}", uuid::Uuid::new_v4().simple());
    let made = first.allocate(addresses(vrf, "203.0.113.0/24", 2, &request)).await.unwrap();
    let again = second.allocate(addresses(vrf, "203.0.113.0/24", 2, &request)).await.unwrap();
    assert_eq!((hosts(&again), again.repeated), (hosts(&made), true));
    let racing = (0..20).map(|nth| {
        let server = if nth % 2 == 0 { &first } else { &second };
        let id = format!("{request}-{nth}");
        async move { hosts(&server.allocate(addresses(vrf, "203.0.113.0/24", 1, &id)).await.unwrap()) }
    });
    let mut handed_out: Vec<String> = futures::future::join_all(racing).await.concat();
    handed_out.sort_unstable();
    handed_out.dedup();
    assert_eq!(handed_out.len(), 20, "no address twice");

    assert!(!leads(&second).await, "one server runs the jobs");
    first.running.stop().await;
    eventually("the other takes over", async || leads(&second).await).await;
    second.running.stop().await;
}
