//! What every integration test needs: a NetBox (emulated or real), a server that uses it, and clients of that server.

pub mod clock;
pub mod leases;
pub mod ledger_rows;
pub mod peers;
pub mod prefixes;
pub mod process;
pub mod proxy;
pub mod rtr;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use leasehold::allocation::{Policy, PoolSettings};
use leasehold::clock::SystemClock;
use leasehold::config::{CheckSettings, EventSettings, LogFormat, Settings};
use leasehold::emulator::{Emulator, Listening};
use leasehold::ledger::LedgerSettings;
use leasehold::netbox::{Client, NetBoxSettings, schema};
use leasehold::rpc::proto::v1;
use leasehold::rpc::proto::v1::admin_service_client::AdminServiceClient;
use leasehold::rpc::proto::v1::allocation_service_client::AllocationServiceClient;
use leasehold::rpc::proto::v1::event_service_client::EventServiceClient;
use leasehold::rpc::proto::v1::lease_service_client::LeaseServiceClient;
use leasehold::rpc::proto::v1::prefix_service_client::PrefixServiceClient;
use leasehold::rpc::proto::v1::validation_service_client::ValidationServiceClient;
use leasehold::server::{self, Running};
use secrecy::SecretString;
use serde_json::{Value, json};
use tonic::transport::Channel;
use tonic_types::StatusExt as _;

/// Makes two tests of each function: one with an emulated NetBox, one with the real one.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod emulator {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&crate::support::NetBox::emulated().await).await;
            })+
        }

        mod real {
            $(#[tokio::test]
            async fn $name() {
                let name = concat!(module_path!(), "::", stringify!($name));
                if let Some(netbox) = crate::support::NetBox::real(name).await {
                    super::$name(&netbox).await;
                }
            })+
        }
    };
}
pub(crate) use on_both;

pub const TOKEN: &str = "0123456789abcdef0123456789abcdef01234567";
/// How long a test waits for an event before it fails. No test depends on the value: it only ends a test that would never end.
pub const HUNG: Duration = Duration::from_secs(90);
pub const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// An empty emulator on the system's clock.
fn emulator() -> Emulator {
    Emulator::new(TOKEN, Arc::new(SystemClock::new(jiff::tz::TimeZone::UTC)))
}

/// A NetBox to test against.
pub struct NetBox {
    pub url: String,
    pub token: String,
    /// The emulator itself, unless this is the real NetBox.
    pub emulator: Option<Emulator>,
    listening: Option<Listening>,
    http: reqwest::Client,
}

impl NetBox {
    /// An empty emulator with Leasehold's custom fields.
    pub async fn emulated() -> Self {
        Self::of(emulator()).await
    }

    /// An empty emulator that behaves as NetBox 4.5 does.
    pub async fn older() -> Self {
        Self::of(emulator().older()).await
    }

    /// An empty emulator whose default language is German.
    pub async fn german() -> Self {
        Self::of(emulator().german()).await
    }

    async fn of(emulator: Emulator) -> Self {
        // A test may stop the emulator and start it again at the same address.
        let address = SocketAddr::new(LOOPBACK.ip(), process::free_port());
        let listening = emulator.listen(address).await.unwrap();
        let url = listening.url();
        let netbox = Self::at(url, TOKEN.to_owned(), Some(emulator), Some(listening));
        netbox.set_up().await;
        netbox
    }

    /// The real NetBox with Leasehold's custom fields; `None` where there is none, which is reported to tests/run.
    pub async fn real(test: &str) -> Option<Self> {
        Some(Self::set_up_once(peers::netbox(test)?).await)
    }

    /// The real NetBox whose administrator has rules of his own, with Leasehold's custom fields; `None` where there is none. The
    /// rules that a test makes there hold for everybody, so a test has it alone until it drops the lock.
    pub async fn house(test: &str) -> Option<(Self, std::fs::File)> {
        let real = peers::house(test)?;
        let path = std::env::temp_dir().join(format!("leasehold-house-{}", real_port(&real.url)));
        let alone = std::fs::File::create(path).unwrap();
        alone.lock().unwrap();
        Some((Self::set_up_once(real).await, alone))
    }

    async fn set_up_once(real: peers::RealNetBox) -> Self {
        let netbox = Self::at(real.url, real.token, None, None);
        // Each test is a process of its own, and two that create the same custom field at once would collide.
        let port = real_port(&netbox.url);
        let lock =
            std::fs::File::create(std::env::temp_dir().join(format!("leasehold-setup-{port}"))).unwrap();
        lock.lock().unwrap();
        netbox.set_up().await;
        lock.unlock().unwrap();
        netbox
    }

    fn at(url: String, token: String, emulator: Option<Emulator>, listening: Option<Listening>) -> Self {
        // gunicorn closes idle connections; a request that meets that moment would fail.
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        Self { url, token, emulator, listening, http }
    }

    async fn set_up(&self) {
        let client = self.client().await;
        for step in schema::plan(&client).await.unwrap() {
            schema::apply(&client, &step).await.unwrap();
        }
    }

    pub fn settings(&self) -> NetBoxSettings {
        NetBoxSettings::new(self.url.parse().unwrap(), SecretString::from(self.token.clone()))
    }

    pub async fn client(&self) -> Client {
        let client = Client::new(&self.settings()).unwrap();
        client.connect().await.unwrap();
        client
    }

    /// A request of another tool to NetBox. Returns status, body and ETag.
    pub async fn rest(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value, Option<String>) {
        self.rest_with(method, path, body, None).await
    }

    pub async fn rest_with(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        if_match: Option<&str>,
    ) -> (u16, Value, Option<String>) {
        let scheme = if self.token.starts_with("nbt_") { "Bearer" } else { "Token" };
        let mut request = self
            .http
            .request(method.parse().unwrap(), format!("{}/api/{path}", self.url))
            .header("authorization", format!("{scheme} {}", self.token))
            .header("accept-language", "en");
        if let Some(body) = body {
            request = request.json(&body);
        }
        if let Some(etag) = if_match {
            request = request.header("if-match", etag);
        }
        let response = request.send().await.unwrap();
        let etag = response.headers().get("etag").map(|etag| etag.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or(Value::Null), etag)
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer, _) = self.rest("POST", path, Some(body)).await;
        assert_eq!(status, 201, "{answer}");
        answer
    }

    /// A new VRF, so that tests which share a NetBox do not see each other's records.
    pub async fn vrf(&self, enforce_unique: bool) -> u64 {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let vrf = self.post("ipam/vrfs/", json!({ "name": name, "enforce_unique": enforce_unique })).await;
        vrf["id"].as_u64().unwrap()
    }

    /// Creates a prefix in a VRF and returns its id.
    pub async fn prefix(&self, vrf: u64, prefix: &str) -> u64 {
        let made = self.post("ipam/prefixes/", json!({ "prefix": prefix, "vrf": vrf })).await;
        made["id"].as_u64().unwrap()
    }

    /// The addresses that it holds in a VRF, up to a thousand.
    pub async fn recorded(&self, vrf: u64) -> Vec<Value> {
        let (_, page, _) =
            self.rest("GET", &format!("ipam/ip-addresses/?vrf_id={vrf}&limit=1000"), None).await;
        page["results"].as_array().unwrap().clone()
    }

    /// Takes the emulator out of reach. It keeps its records.
    pub async fn stop(&mut self) -> SocketAddr {
        let listening = self.listening.take().unwrap();
        let address = listening.address;
        listening.stop().await;
        address
    }

    /// Brings the emulator back at the same address.
    pub async fn start(&mut self, address: SocketAddr) {
        self.listening = Some(self.emulator.as_ref().unwrap().listen(address).await.unwrap());
    }
}

/// Settings of a server for tests: temporary stores and short intervals.
pub fn settings(netbox: &NetBox) -> Settings {
    Settings {
        netbox: netbox.settings(),
        grpc_listen: LOOPBACK,
        http_listen: LOOPBACK,
        drain: Duration::from_secs(2),
        cache_file: None,
        ledger: LedgerSettings::Temporary,
        keep_intents: Duration::from_hours(24 * 400),
        poll: Duration::from_millis(200),
        full_pass: Duration::from_secs(3600),
        events: EventSettings::default(),
        expiry: leasehold::expiry::Schedule::default(),
        notify: leasehold::notify::NotifySettings::default(),
        checks: CheckSettings::default(),
        // Released addresses are free at once; a test of the quarantine sets one.
        allocation: Policy { quarantine: Duration::ZERO, ..Policy::default() },
        pools: PoolSettings::default(),
        calendar_token: None,
        time_zone: jiff::tz::TimeZone::UTC,
        log_level: "warn".to_owned(),
        log_format: LogFormat::Text,
    }
}

/// A running server and a client of each service.
pub struct Server {
    pub running: Running,
    pub prefixes: PrefixServiceClient<Channel>,
    pub leases: LeaseServiceClient<Channel>,
    pub allocations: AllocationServiceClient<Channel>,
    pub admin: AdminServiceClient<Channel>,
    pub events: EventServiceClient<Channel>,
    pub validation: ValidationServiceClient<Channel>,
}

impl Server {
    /// A server that uses this NetBox and has caught up with it.
    pub async fn before(netbox: &NetBox) -> Self {
        let server = Self::with(settings(netbox)).await;
        server.live().await;
        server
    }

    pub async fn with(settings: Settings) -> Self {
        let running = server::start(settings).await.unwrap();
        let channel =
            Channel::from_shared(format!("http://{}", running.grpc)).unwrap().connect().await.unwrap();
        Self {
            prefixes: PrefixServiceClient::new(channel.clone()),
            leases: LeaseServiceClient::new(channel.clone()),
            allocations: AllocationServiceClient::new(channel.clone()),
            admin: AdminServiceClient::new(channel.clone()),
            events: EventServiceClient::new(channel.clone()),
            validation: ValidationServiceClient::new(channel),
            running,
        }
    }

    /// Waits until the server follows the change log and serves writes.
    pub async fn live(&self) {
        eventually("the server is live and serves writes", async || {
            let status = self.admin.clone().get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
            status.writes_served && status.sync.unwrap().phase() == v1::SyncPhase::Live
        })
        .await;
    }

    pub async fn lookup(&self, vrf_id: u64, address: &str) -> v1::LookupAddressResponse {
        let request =
            v1::LookupAddressRequest { address: address.to_owned(), vrf: vrf(vrf_id), ..Default::default() };
        self.prefixes.clone().lookup_address(request).await.unwrap().into_inner()
    }

    /// Runs a job and waits for its end. Returns the message of its failure, which is empty if it succeeded.
    pub async fn run(&self, job: &str) -> String {
        self.run_failing(job).await.map(|failure| failure.message).unwrap_or_default()
    }

    /// Runs a job and waits for its end. Returns its failure; `None` if it succeeded.
    pub async fn run_failing(&self, job: &str) -> Option<v1::Failure> {
        let request = v1::TriggerCheckRequest { job: job.to_owned(), wait: true };
        self.admin.clone().trigger_check(request).await.unwrap().into_inner().job.unwrap().last_failure
    }

    /// Every event of one type, the newest first.
    pub async fn events_of(&self, kind: v1::EventType) -> Vec<v1::Event> {
        let request =
            v1::ListEventsRequest { types: vec![kind.into()], page_size: 1000, ..Default::default() };
        self.events.clone().list_events(request).await.unwrap().into_inner().events
    }

    pub async fn allocate(
        &self,
        request: v1::AllocateAddressesRequest,
    ) -> Result<v1::AllocateAddressesResponse, tonic::Status> {
        Ok(self.allocations.clone().allocate_addresses(request).await?.into_inner())
    }
}

/// Names a VRF by its id; 0 names none, which means the global table.
pub fn vrf(id: u64) -> Option<v1::VrfRef> {
    (id != 0).then_some(v1::VrfRef { r#ref: Some(v1::vrf_ref::Ref::Id(id)) })
}

/// A request for addresses of a prefix.
pub fn addresses(vrf_id: u64, prefix: &str, count: i32, request_id: &str) -> v1::AllocateAddressesRequest {
    v1::AllocateAddressesRequest {
        source: Some(v1::allocate_addresses_request::Source::Prefix(prefix.to_owned())),
        vrf: vrf(vrf_id),
        count,
        request_id: request_id.to_owned(),
        ..v1::AllocateAddressesRequest::default()
    }
}

/// The stable reason of an error (google.rpc.ErrorInfo).
pub fn reason(status: &tonic::Status) -> String {
    status.get_error_details().error_info().unwrap().reason.clone()
}

/// A request id that no other run of the tests has used on the same NetBox.
pub fn id(name: &str) -> String {
    format!("{name}-{}", uuid::Uuid::new_v4().simple())
}

/// The port of the real NetBox, which names the lock file of one run of the tests.
fn real_port(url: &str) -> String {
    url.trim_end_matches('/').rsplit(':').next().unwrap_or_default().to_owned()
}

pub fn hosts(answer: &v1::AllocateAddressesResponse) -> Vec<String> {
    answer.addresses.iter().map(|record| record.address.split('/').next().unwrap().to_owned()).collect()
}

pub fn date(text: &str) -> Option<leasehold::rpc::proto::Date> {
    let date: jiff::civil::Date = text.parse().unwrap();
    Some(leasehold::rpc::proto::Date {
        year: date.year().into(),
        month: date.month().into(),
        day: date.day().into(),
    })
}

/// Waits until something becomes true, and fails after [`HUNG`].
pub async fn eventually(what: &str, check: impl AsyncFn() -> bool) {
    time_until(what, check).await;
}

/// Like [`eventually`]. Returns how long it took.
pub async fn time_until(what: &str, check: impl AsyncFn() -> bool) -> Duration {
    let began = Instant::now();
    loop {
        if check().await {
            return began.elapsed();
        }
        assert!(began.elapsed() < HUNG, "{HUNG:?} passed before this was so: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A temporary directory that is removed at the end of the test.
pub fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    (directory, path)
}
