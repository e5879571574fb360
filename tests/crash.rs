//! A server is killed with SIGKILL at random moments while clients write: no address is allocated twice, none leaks, none is lost,
//! and no lease is changed twice. Before the real NetBox a proxy breaks connections after NetBox has committed.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use leasehold::emulator::Faults;
use leasehold::rpc::proto::v1;
use leasehold::rpc::proto::v1::admin_service_client::AdminServiceClient;
use leasehold::rpc::proto::v1::allocation_service_client::AllocationServiceClient;
use leasehold::rpc::proto::v1::lease_service_client::LeaseServiceClient;
use rand::Rng as _;
use tokio::process::{Child, Command};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::support::process::free_port;
use crate::support::proxy::CuttingProxy;
use crate::support::{NetBox, addresses, date, directory, hosts, vrf as in_vrf};

const CLIENTS: usize = 16;
const KILLS: usize = 20;

/// The real binary, as an operator starts it, and again each time it is killed.
struct Killed<'a> {
    netbox: &'a NetBox,
    /// Where it finds NetBox.
    url: String,
    port: u16,
    http: u16,
    directory: &'a Path,
    /// More settings, as TOML.
    settings: String,
    process: Option<Child>,
}

impl<'a> Killed<'a> {
    fn before(netbox: &'a NetBox, url: String, directory: &'a Path, settings: String) -> Self {
        let (port, http) = (free_port(), free_port());
        let mut killed = Self { netbox, url, port, http, directory, settings, process: None };
        killed.start();
        killed
    }

    fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://127.0.0.1:{}", self.port)).unwrap().connect_lazy()
    }

    fn start(&mut self) {
        let file = self.directory.join("leasehold.toml");
        std::fs::write(&file, &self.settings).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_leasehold"))
            .args(["serve", "--config"])
            .arg(file)
            .env("LEASEHOLD_NETBOX__URL", &self.url)
            .env("LEASEHOLD_NETBOX__TOKEN", &self.netbox.token)
            // So long a busy NetBox may take for one small write.
            .env("LEASEHOLD_NETBOX__REQUEST_LIMIT_SECONDS", "20")
            .env("LEASEHOLD_SERVER__GRPC_LISTEN", format!("127.0.0.1:{}", self.port))
            .env("LEASEHOLD_SERVER__HTTP_LISTEN", format!("127.0.0.1:{}", self.http))
            .env("LEASEHOLD_STORAGE__DIRECTORY", self.directory)
            .env("LEASEHOLD_LOG__LEVEL", "error")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        self.process = Some(process.unwrap());
    }

    async fn stop(&mut self) {
        self.process.take().unwrap().kill().await.unwrap();
    }

    /// Kills it so many times, at random moments that are spread over the work, so that clients are writing at every one of
    /// them, and starts it again.
    async fn kill(&mut self, kills: usize, work: usize, finished: &AtomicUsize) {
        for kill in 1..=kills {
            let due = work * kill / (kills + 1);
            let waited = Instant::now();
            while finished.load(Ordering::SeqCst) < due {
                assert!(waited.elapsed() < Duration::from_secs(120), "stuck before kill {kill}");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            let moment = rand::rng().random_range(0..40);
            tokio::time::sleep(Duration::from_millis(moment)).await;
            self.stop().await;
            self.start();
        }
    }
}

/// Sends a request with one request id until it is answered.
macro_rules! until_answered {
    ($client:ident.$method:ident($request:expr)) => {{
        let request = $request;
        let deadline = Instant::now() + Duration::from_secs(240);
        loop {
            let mut sent = tonic::Request::new(request.clone());
            sent.set_timeout(Duration::from_secs(30));
            match $client.$method(sent).await {
                Ok(answer) => break answer.into_inner(),
                Err(status) => wait_after(&status, &request, deadline).await,
            }
        }
    }};
}

async fn wait_after(status: &tonic::Status, request: &impl std::fmt::Debug, deadline: Instant) {
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
    assert!(expected, "{request:?}: {status:?}");
    assert!(Instant::now() < deadline, "{request:?} was never answered: {status:?}");
    tokio::time::sleep(Duration::from_millis(30)).await;
}

fn set_faults(netbox: &NetBox, faults: Faults) {
    if let Some(emulator) = &netbox.emulator {
        emulator.set_faults(faults);
    }
}

fn every_fault() -> Faults {
    Faults {
        delay: Duration::from_millis(1),
        fail: 1,
        drop_after_commit: 3,
        cut: 2,
        late: 2,
        late_by: Duration::from_millis(300),
        ..Faults::default()
    }
}

/// How many addresses a pool holds ahead; none without one.
#[derive(Clone, Copy)]
enum Pool {
    None,
    Of(u32),
}

async fn survive(netbox: &NetBox, url: String, allocations: usize, pool: Pool) {
    let vrf = netbox.vrf(true).await;
    let prefix = "10.20.0.0/20";
    let prefix_id = netbox.prefix(vrf, prefix).await;
    let run = uuid::Uuid::new_v4().simple().to_string();
    let (_guard, path) = directory();
    let settings = match pool {
        Pool::None => String::new(),
        Pool::Of(size) => {
            let (_, found, _) = netbox.rest("GET", &format!("ipam/vrfs/{vrf}/"), None).await;
            format!("[[pools.rules]]\nprefix = \"{prefix}\"\nvrf = {}\nsize = {size}\n", found["name"])
        }
    };
    let mut server = Killed::before(netbox, url, &path, settings);
    let channel = server.channel();
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
                    let mut client = AllocationServiceClient::new(channel.clone());
                    let request = addresses(vrf, prefix, 1, &id);
                    let made = until_answered!(client.allocate_addresses(request));
                    for host in hosts(&made) {
                        held.push((host, format!("{id}/0")));
                    }
                    finished.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();

    // Only now, so that the requests above that prepare the test do not fail.
    set_faults(netbox, every_fault());
    server.kill(KILLS, allocations, &finished).await;
    let mut held: BTreeMap<String, String> = BTreeMap::new();
    for client in clients {
        for (host, id) in client.await.unwrap() {
            let before = held.insert(host.clone(), id.clone());
            assert_eq!(before, None, "{host} was allocated twice, the second time to {id}");
        }
    }
    set_faults(netbox, Faults::default());
    if let Pool::Of(_) = pool {
        until_in_order(server.channel(), netbox, vrf, prefix_id).await;
    }
    server.stop().await;
    assert_eq!(held.len(), allocations);

    let mut recorded = recorded(netbox, vrf).await;
    recorded.retain(|_, id| !id.starts_with("leasehold-pool-"));
    assert_eq!(recorded, held, "NetBox has exactly the addresses that clients were given");
}

/// Waits until a pool has completed what it handed out, and what it has reserved in NetBox is in its stock: fills that a kill
/// interrupted are settled, and what is too much is returned.
async fn until_in_order(channel: Channel, netbox: &NetBox, vrf: u64, prefix_id: u64) {
    let mut admin = AdminServiceClient::new(channel);
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut seen = (0, v1::PoolStatus::default());
    loop {
        if let Ok(status) = admin.get_status(v1::GetStatusRequest {}).await {
            let pools = status.into_inner().pools;
            let pool = pools.into_iter().find(|pool| pool.prefix_id == prefix_id).unwrap_or_default();
            let recorded = recorded(netbox, vrf).await;
            let reserved = recorded.values().filter(|id| id.starts_with("leasehold-pool-")).count() as u64;
            let full = pool.stock_count == u64::from(pool.size) && pool.stock_count > 0;
            if full && pool.pending_count == 0 && reserved == pool.stock_count {
                return;
            }
            seen = (reserved, pool);
        }
        assert!(Instant::now() < deadline, "the pool is never in order: {seen:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The addresses that NetBox holds in a VRF, with their allocation ids.
async fn recorded(netbox: &NetBox, vrf: u64) -> BTreeMap<String, String> {
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
    recorded
}

/// What one client is told of a block: registered, used, renewed and given back.
struct BlockLife {
    block: String,
    run: String,
    standing: BTreeMap<String, String>,
    child: String,
}

async fn life_of_a_block(
    channel: Channel,
    vrf: u64,
    block: String,
    run: String,
    done: &AtomicUsize,
) -> BlockLife {
    let mut allocations = AllocationServiceClient::new(channel.clone());
    let mut leases = LeaseServiceClient::new(channel);
    let id = |step: &str| format!("{run}-{step}");
    let key = || Some(block.clone());
    let mut standing = BTreeMap::new();

    let register = v1::RegisterLeaseRequest {
        prefix: block.clone(),
        vrf: in_vrf(vrf),
        owner: "ACME-LIR".to_owned(),
        expiry_date: date("2099-06-01"),
        request_id: id("register"),
        ..v1::RegisterLeaseRequest::default()
    };
    until_answered!(leases.register_lease(register));
    done.fetch_add(1, Ordering::SeqCst);

    let (kept, released) =
        (addresses(vrf, &block, 2, &id("kept")), addresses(vrf, &block, 3, &id("released")));
    let made = until_answered!(allocations.allocate_addresses(kept));
    standing.extend((0..).zip(hosts(&made)).map(|(nth, host)| (host, format!("{}/{nth}", id("kept")))));
    until_answered!(allocations.allocate_addresses(released));
    done.fetch_add(2, Ordering::SeqCst);

    let host = block.replace(".0/24", ".77");
    let assign = v1::AssignAddressRequest {
        address: host.clone(),
        vrf: in_vrf(vrf),
        request_id: id("assign"),
        ..v1::AssignAddressRequest::default()
    };
    until_answered!(allocations.assign_address(assign));
    standing.insert(host, format!("{}/0", id("assign")));
    let child = v1::AllocatePrefixRequest {
        source: key().map(v1::allocate_prefix_request::Source::Prefix),
        vrf: in_vrf(vrf),
        prefix_length: 28,
        request_id: id("child"),
        ..v1::AllocatePrefixRequest::default()
    };
    let child = until_answered!(allocations.allocate_prefix(child));
    done.fetch_add(2, Ordering::SeqCst);

    let release = v1::ReleaseAddressesRequest {
        allocation_request_id: id("released"),
        request_id: id("release"),
        ..v1::ReleaseAddressesRequest::default()
    };
    let gone = until_answered!(allocations.release_addresses(release));
    assert_eq!(gone.addresses.len(), 3);
    let renew = v1::RenewLeaseRequest {
        key: key().map(v1::renew_lease_request::Key::Prefix),
        vrf: in_vrf(vrf),
        expiry_date: date("2100-06-01"),
        request_id: id("renew"),
        ..v1::RenewLeaseRequest::default()
    };
    let renewed = until_answered!(leases.renew_lease(renew));
    assert_eq!(renewed.previous_expiry_date, date("2099-06-01"));
    let end = v1::EndLeaseRequest {
        key: key().map(v1::end_lease_request::Key::Prefix),
        vrf: in_vrf(vrf),
        allow_addresses_in_use: true,
        request_id: id("end"),
        ..v1::EndLeaseRequest::default()
    };
    let ended = until_answered!(leases.end_lease(end));
    assert_eq!(ended.address_in_use_count, 3);
    done.fetch_add(3, Ordering::SeqCst);
    BlockLife { block, run, standing, child: child.prefix.unwrap().prefix }
}

/// Every kind of write, while the server is killed.
async fn survive_every_write(netbox: &NetBox, url: String, blocks: usize, kills: usize) {
    let vrf = netbox.vrf(true).await;
    let (_guard, path) = directory();
    let mut server = Killed::before(netbox, url, &path, String::new());
    let done = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..blocks)
        .map(|nth| {
            let (channel, done) = (server.channel(), done.clone());
            let run = uuid::Uuid::new_v4().simple().to_string();
            tokio::spawn(async move {
                life_of_a_block(channel, vrf, format!("10.30.{nth}.0/24"), run, &done).await
            })
        })
        .collect();
    set_faults(netbox, every_fault());
    server.kill(kills, blocks * 8, &done).await;
    let mut told = Vec::new();
    for client in clients {
        told.push(client.await.unwrap());
    }
    server.stop().await;
    set_faults(netbox, Faults::default());

    let standing: BTreeMap<String, String> = told.iter().flat_map(|told| told.standing.clone()).collect();
    assert_eq!(recorded(netbox, vrf).await, standing);
    let (_, page, _) = netbox.rest("GET", &format!("ipam/prefixes/?vrf_id={vrf}&limit=1000"), None).await;
    let status = |prefix: &serde_json::Value| {
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        (text(&prefix["prefix"]), text(&prefix["status"]["value"]))
    };
    let recorded: Vec<_> = page["results"].as_array().unwrap().iter().map(status).collect();
    let ended = told.iter().map(|told| (told.block.clone(), "deprecated".to_owned()));
    let children = told.iter().map(|told| (told.child.clone(), "active".to_owned()));
    let expected: BTreeMap<_, _> = ended.chain(children).collect();
    assert_eq!((recorded.len(), recorded.into_iter().collect::<BTreeMap<_, _>>()), (blocks * 2, expected));
    for told in &told {
        for step in ["register", "renew", "end"] {
            let path = format!("core/object-changes/?q=request%3D{}-{step}%20caller&limit=10", told.run);
            let (_, page, _) = netbox.rest("GET", &path, None).await;
            assert_eq!(page["count"], 1, "{step} of {}: {page}", told.block);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_allocations_survive_twenty_kills_and_faults() {
    let netbox = NetBox::emulated().await;
    survive(&netbox, netbox.url.clone(), 2_000, Pool::None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_allocations_from_a_pool_survive_twenty_kills_and_faults() {
    let netbox = NetBox::emulated().await;
    survive(&netbox, netbox.url.clone(), 2_000, Pool::Of(64)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn allocations_from_a_pool_survive_kills_and_cuts_on_a_real_netbox() {
    let name = "crash::allocations_from_a_pool_survive_kills_and_cuts_on_a_real_netbox";
    let Some(netbox) = NetBox::real(name).await else { return };
    let proxy = CuttingProxy::before(&netbox.url, 7).await;
    survive(&netbox, proxy.url(), 150, Pool::Of(32)).await;
    assert!(proxy.cuts() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_allocations_survive_twenty_kills_and_cuts_on_a_real_netbox() {
    let name = "crash::two_hundred_allocations_survive_twenty_kills_and_cuts_on_a_real_netbox";
    let Some(netbox) = NetBox::real(name).await else { return };
    let proxy = CuttingProxy::before(&netbox.url, 7).await;
    survive(&netbox, proxy.url(), 200, Pool::None).await;
    assert!(proxy.cuts() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_write_survives_kills_and_faults() {
    let netbox = NetBox::emulated().await;
    survive_every_write(&netbox, netbox.url.clone(), 48, KILLS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_write_survives_kills_and_cuts_on_a_real_netbox() {
    let name = "crash::every_kind_of_write_survives_kills_and_cuts_on_a_real_netbox";
    let Some(netbox) = NetBox::real(name).await else { return };
    let proxy = CuttingProxy::before(&netbox.url, 5).await;
    survive_every_write(&netbox, proxy.url(), 10, 10).await;
    assert!(proxy.cuts() > 0);
}
