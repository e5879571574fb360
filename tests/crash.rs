//! A server is killed with SIGKILL at random moments while clients allocate: no address is allocated twice, none leaks, and none
//! is lost.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use leasehold::emulator::Faults;
use leasehold::rpc::proto::v1::allocation_service_client::AllocationServiceClient;
use rand::Rng as _;
use tokio::process::{Child, Command};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::support::process::free_port;
use crate::support::{NetBox, addresses, directory, hosts};

const CLIENTS: usize = 16;
const KILLS: usize = 20;

/// The real binary, as an operator starts it.
fn spawn(netbox: &NetBox, port: u16, http: u16, directory: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_leasehold"))
        .arg("serve")
        .env("LEASEHOLD_NETBOX__URL", &netbox.url)
        .env("LEASEHOLD_NETBOX__TOKEN", &netbox.token)
        .env("LEASEHOLD_SERVER__GRPC_LISTEN", format!("127.0.0.1:{port}"))
        .env("LEASEHOLD_SERVER__HTTP_LISTEN", format!("127.0.0.1:{http}"))
        .env("LEASEHOLD_STORAGE__DIRECTORY", directory)
        .env("LEASEHOLD_LOG__LEVEL", "error")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Repeats a request with one request id until it is answered, and returns the addresses.
async fn repeat_until_answered(channel: Channel, vrf: u64, prefix: &str, request_id: &str) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(240);
    loop {
        let mut client = AllocationServiceClient::new(channel.clone());
        let mut request = tonic::Request::new(addresses(vrf, prefix, 1, request_id));
        request.set_timeout(Duration::from_secs(30));
        match client.allocate_addresses(request).await {
            Ok(answer) => return hosts(&answer.into_inner()),
            Err(status) => {
                // The codes that a client may get while its server is killed and restarted.
                let expected = matches!(
                    status.code(),
                    Code::Unavailable
                        | Code::Unknown
                        | Code::Cancelled
                        | Code::DeadlineExceeded
                        | Code::Internal
                        | Code::Aborted
                );
                assert!(expected, "{request_id}: {status:?}");
                assert!(Instant::now() < deadline, "{request_id} was never answered: {status:?}");
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        }
    }
}

async fn survive(netbox: &NetBox, allocations: usize) {
    let vrf = netbox.vrf(true).await;
    let prefix = "10.20.0.0/20";
    netbox.prefix(vrf, prefix).await;
    let run = uuid::Uuid::new_v4().simple().to_string();
    let (_guard, path) = directory();
    let (port, http) = (free_port(), free_port());
    let channel = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap().connect_lazy();

    let next = Arc::new(AtomicUsize::new(0));
    let finished = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (next, finished, channel, run) =
                (next.clone(), finished.clone(), channel.clone(), run.clone());
            tokio::spawn(async move {
                let mut held = Vec::new();
                loop {
                    let nth = next.fetch_add(1, Ordering::SeqCst);
                    if nth >= allocations {
                        return held;
                    }
                    let id = format!("{run}-{nth}");
                    for host in repeat_until_answered(channel.clone(), vrf, prefix, &id).await {
                        held.push((host, format!("{id}/0")));
                    }
                    finished.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();

    // The kills are spread over the work, each at a random moment, so that clients are allocating at every one of them.
    let mut server = spawn(netbox, port, http, &path);
    // Only now, so that the requests above that prepare the test do not fail.
    if let Some(emulator) = &netbox.emulator {
        emulator.set_faults(Faults {
            delay: Duration::from_millis(1),
            fail: 1,
            drop_after_commit: 3,
            cut: 2,
            late: 2,
            late_by: Duration::from_millis(300),
            ..Faults::default()
        });
    }
    for kill in 1..=KILLS {
        let due = allocations * kill / (KILLS + 1);
        let waited = Instant::now();
        while finished.load(Ordering::SeqCst) < due {
            assert!(waited.elapsed() < Duration::from_secs(120), "stuck before kill {kill}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let moment = rand::rng().random_range(0..40);
        tokio::time::sleep(Duration::from_millis(moment)).await;
        server.kill().await.unwrap();
        server = spawn(netbox, port, http, &path);
    }
    let mut held: BTreeMap<String, String> = BTreeMap::new();
    for client in clients {
        for (host, id) in client.await.unwrap() {
            let before = held.insert(host.clone(), id.clone());
            assert_eq!(before, None, "{host} was allocated twice, the second time to {id}");
        }
    }
    server.kill().await.unwrap();
    assert_eq!(held.len(), allocations);

    if let Some(emulator) = &netbox.emulator {
        emulator.set_faults(Faults::default());
    }
    let mut recorded: BTreeMap<String, String> = BTreeMap::new();
    let mut start = 0;
    loop {
        let path = format!("ipam/ip-addresses/?vrf_id={vrf}&start={start}&limit=1000");
        let (_, page, _) = netbox.rest("GET", &path, None).await;
        let rows = page["results"].as_array().unwrap().clone();
        for row in &rows {
            let host = row["address"].as_str().unwrap().split('/').next().unwrap().to_owned();
            let id = row["custom_fields"]["allocation_id"].as_str().unwrap_or("nobody").to_owned();
            assert!(recorded.insert(host.clone(), id).is_none(), "{host} is recorded twice");
        }
        match rows.last() {
            Some(last) if rows.len() == 1000 => start = last["id"].as_u64().unwrap() + 1,
            _ => break,
        }
    }
    assert_eq!(recorded, held, "NetBox has exactly the addresses that clients were given");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_allocations_survive_twenty_kills_and_faults() {
    let netbox = NetBox::emulated().await;
    survive(&netbox, 2_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_allocations_survive_twenty_kills_on_a_real_netbox() {
    let name = "crash::two_hundred_allocations_survive_twenty_kills_on_a_real_netbox";
    if let Some(netbox) = NetBox::real(name).await {
        survive(&netbox, 200).await;
    }
}
