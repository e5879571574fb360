//! `cargo bench --bench vrps`: loads 800,000 VRPs and validates routes against them.
//!
//! One process serves the VRPs as an RTR cache over loopback. A second process loads them as the server does and measures how long
//! that takes, how much memory it adds at its peak, and how many routes a second one core validates, evidence included. A third
//! process does the same with a JSON file. The exit code is 1 if a goal is not met.

// A bench may panic: it has no user to report to.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    missing_docs
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use leasehold::clock::SystemClock;
use leasehold::model::{Asn, Network, Route, RouteState, Vrp};
use leasehold::rpki::collapse_guard::CollapseGuard;
use leasehold::rpki::rtr::RtrSettings;
use leasehold::rpki::vrp_feed::{VrpFeedSettings, VrpLocation};
use leasehold::rpki::{RpkiSettings, RpkiSource, Validator};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

#[path = "../tests/support/rtr.rs"]
#[allow(dead_code, unreachable_pub)] // the tests use more of it
mod rtr;

const VRPS: usize = 800_000;
const ROUTES: usize = 4_000_000;
const LOAD: Duration = Duration::from_secs(10);
const MEMORY: f64 = 300.0;
const RATE: f64 = 1_000_000.0;

/// VRPs that resemble the world's: one in five is IPv6, the lengths are around /24 and /48, and some have a maxLength.
fn vrps() -> Vec<Vrp> {
    let mut random = StdRng::seed_from_u64(6811);
    let mut vrps = Vec::with_capacity(VRPS);
    while vrps.len() < VRPS {
        let prefix = network(&mut random);
        let most = (prefix.length() + random.random_range(0..=2) * u8::from(random.random_bool(0.3)))
            .min(prefix.max_length());
        vrps.push(Vrp::new(prefix, Some(most), random.random_range(1..100_000)).unwrap());
    }
    vrps
}

fn network(random: &mut StdRng) -> Network {
    if random.random_bool(0.2) {
        let bits = 0x2000_u128 << 112 | random.random::<u128>() >> 3;
        let length = random.random_range(29..=48);
        ipnet::Ipv6Net::new(bits.into(), length).unwrap().into()
    } else {
        let length = *[16, 18, 20, 22, 23, 24, 24, 24].get(random.random_range(0..8)).unwrap();
        ipnet::Ipv4Net::new(random.random_range(0x0100_0000..0xdfff_ffff_u32).into(), length).unwrap().into()
    }
}

/// Half of the routes match a VRP, and the others are random.
fn routes() -> Vec<Route> {
    let (known, mut random) = (vrps(), StdRng::seed_from_u64(6907));
    let any = |random: &mut StdRng| Route {
        prefix: network(random),
        origin: Asn::try_from(random.random_range(1..100_000)).unwrap(),
    };
    let of = |vrp: &Vrp| Route { prefix: vrp.prefix, origin: vrp.asn.unwrap() };
    (0..100_000).map(|nth| if nth % 2 == 0 { of(&known[nth * 7]) } else { any(&mut random) }).collect()
}

/// Memory of this process in MiB: `VmHWM` is its peak, `VmRSS` its present use.
fn memory(which: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(which)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Serves the VRPs until the process is killed.
fn serve() {
    runtime().block_on(async {
        let (_cache, port, serving) = rtr::Cache::start(&vrps(), 7200).await;
        println!("{port}");
        std::io::stdout().flush().unwrap();
        serving.await.unwrap();
    });
}

/// Loads the VRPs, validates routes and prints one line of figures.
fn load(source: RpkiSource) {
    let runtime = runtime();
    let before = memory("VmRSS");
    let (validator, took) = runtime.block_on(async {
        let began = Instant::now();
        let settings = RpkiSettings { sources: vec![source], guard: CollapseGuard::default() };
        let clock = Arc::new(SystemClock::new(jiff::tz::TimeZone::UTC));
        let validator = Validator::start(&settings, None, clock).unwrap();
        validator.refresh().await.unwrap();
        validator.ready(Duration::from_mins(2)).await;
        (validator, began.elapsed())
    });
    let held = validator.states()[0].vrps.unwrap();
    let added = memory("VmHWM") - before;
    let routes = routes();
    let (asked, mut valid) = (Instant::now(), 0usize);
    runtime.block_on(async {
        for nth in 0..ROUTES {
            let seen = validator.validate(routes[nth % routes.len()]).await.unwrap();
            valid += usize::from(seen.value.state == RouteState::Valid);
        }
    });
    let rate = ROUTES as f64 / asked.elapsed().as_secs_f64();
    assert!(valid > ROUTES / 3, "{valid} of {ROUTES} routes are valid");
    println!("{held} {} {added} {rate}", took.as_secs_f64());
}

fn child(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(arguments).stdout(Stdio::piped());
    command
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn report(name: &str, figures: &str) -> bool {
    let figures: Vec<f64> = figures.split_whitespace().map(|figure| figure.parse().unwrap()).collect();
    let [held, took, added, rate] = figures[..] else { panic!("{name}: {figures:?}") };
    println!("\n{held:.0} VRPs from {name}");
    let met = |held: bool| if held { "met" } else { "NOT MET" };
    let (quick, small, fast) = (took < LOAD.as_secs_f64(), added < MEMORY, rate >= RATE);
    println!(
        "  loaded in              {took:8.1} s        goal: under {} s   {}",
        LOAD.as_secs(),
        met(quick)
    );
    println!("  memory at the most     {added:8.0} MiB      goal: under {MEMORY} MiB   {}", met(small));
    println!("  routes validated       {rate:8.0} a second  goal: {RATE} or more   {}", met(fast));
    quick && small && fast
}

fn json(path: &Path) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    write!(file, "{{\"roas\":[").unwrap();
    for (nth, vrp) in vrps().iter().enumerate() {
        let comma = if nth == 0 { "" } else { "," };
        let asn = vrp.asn.map_or(0, Asn::number);
        write!(
            file,
            r#"{comma}{{"asn":"AS{asn}","prefix":"{}","maxLength":{},"ta":"bench"}}"#,
            vrp.prefix, vrp.max_length
        )
        .unwrap();
    }
    write!(file, "]}}").unwrap();
    file.flush().unwrap();
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let words: Vec<&str> =
        arguments.iter().skip(1).map(String::as_str).filter(|word| *word != "--bench").collect();
    match words[..] {
        ["serve"] => serve(),
        ["rtr", server] => load(RpkiSource::Rtr(RtrSettings {
            server: server.to_owned(),
            expire: None,
            read_timeout: Duration::from_mins(1),
        })),
        ["json", path] => {
            let location = VrpLocation::File(path.into());
            load(RpkiSource::VrpFeed(VrpFeedSettings { location, expire: Duration::from_hours(1) }));
        }
        _ => {
            let mut cache = Killed(child(&["serve"]).spawn().unwrap());
            let mut port = String::new();
            BufReader::new(cache.0.stdout.take().unwrap()).read_line(&mut port).unwrap();
            let server = format!("127.0.0.1:{}", port.trim());
            let figures = |command: &mut Command| {
                let done = command.output().unwrap();
                assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
                String::from_utf8(done.stdout).unwrap()
            };
            let by_rtr = report("RTR", &figures(&mut child(&["rtr", &server])));
            drop(cache);
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("vrps.json");
            json(&path);
            let by_json = report("a JSON file", &figures(&mut child(&["json", path.to_str().unwrap()])));
            return if by_rtr && by_json { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    }
    ExitCode::SUCCESS
}
