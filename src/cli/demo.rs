//! `leasehold demo`: an emulated NetBox and a server in one process, and the main job step by step with real calls.

mod addresses;
mod checks;
mod leases;
mod narrator;
mod outage;
mod story;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use secrecy::SecretString;
use tempfile::TempDir;

use super::connect;
use super::exit::{CliFailure, CommandResult};
use super::options::ServerArgs;
use super::stop_signal::StopSignals;
use super::terminal::outln;
use crate::allocation::{Policy, PoolSettings};
use crate::clock::Clock;
use crate::config::{CheckSettings, EventSettings, LogFormat, Settings};
use crate::emulator::{Emulator, Listening};
use crate::expiry::Schedule;
use crate::ledger::LedgerSettings;
use crate::netbox::{Client, NetBoxSettings, schema};
use crate::notify::NotifySettings;
use crate::rpki::vrp_feed::{VrpFeedSettings, VrpLocation};
use crate::rpki::{RpkiSettings, RpkiSource};
use crate::server::Running;
use crate::validation::preflight::PreflightAspect;
use crate::{server, telemetry};
use narrator::{BLOCK, Narrator};

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// End after the last step; exit 0 only if every step gave the expected result
    #[arg(long)]
    exit: bool,
    /// Address of the gRPC listener [default: 127.0.0.1:50051, with --exit any free port]
    #[arg(long, value_name = "ADDRESS:PORT")]
    grpc_listen: Option<SocketAddr>,
    /// Address of the HTTP listener [default: 127.0.0.1:50080, with --exit any free port]
    #[arg(long, value_name = "ADDRESS:PORT")]
    http_listen: Option<SocketAddr>,
}

const TOKEN: &str = "0123456789abcdef0123456789abcdef01234567";
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

pub(crate) async fn run(args: DemoArgs, clock: Arc<dyn Clock>) -> CommandResult {
    let mut signals = StopSignals::listen()?;
    let demo = tokio::select! {
        demo = Demo::tell(&args, &clock) => demo?,
        signal = signals.next() => return Ok(signal.exit_code()),
    };
    if !args.exit {
        demo.print_how_to_go_on();
        signals.next().await;
    }
    let Demo { running, listening, _directory } = demo;
    let stop = async {
        running.stop().await;
        listening.stop().await;
    };
    Ok(signals.drain(stop).await)
}

/// The demo after its last step: what still runs.
struct Demo {
    running: Running,
    listening: Listening,
    /// Holds the VRP file as long as the server may read it.
    _directory: TempDir,
}

impl Demo {
    /// Starts a NetBox and a server, and goes through the story.
    async fn tell(args: &DemoArgs, clock: &Arc<dyn Clock>) -> Result<Self, CliFailure> {
        telemetry::start_logging("error", LogFormat::Text);
        let emulator = Emulator::new(TOKEN, clock.clone());
        let listening = emulator.listen(LOOPBACK).await?;
        let netbox = NetBoxSettings::new(listening.url().parse()?, SecretString::from(TOKEN));
        let client = Client::new(&netbox)?;
        client.connect().await?;
        for step in schema::plan(&client).await? {
            schema::apply(&client, &step).await?;
        }
        let default = |port| if args.exit { LOOPBACK } else { SocketAddr::new(LOOPBACK.ip(), port) };
        let grpc_listen = args.grpc_listen.unwrap_or_else(|| default(50051));
        let http_listen = args.http_listen.unwrap_or_else(|| default(50080));
        // A VRP file as a validator writes it: a ROA for the first block, and none for the others.
        let directory = tempfile::tempdir()?;
        let vrps = directory.path().join("vrps.json");
        std::fs::write(
            &vrps,
            format!(r#"{{"roas":[{{"asn":"AS64500","prefix":"{BLOCK}","maxLength":24,"ta":"demo"}}]}}"#),
        )?;
        let running = server::start(settings(netbox, (grpc_listen, http_listen), &vrps)).await?;
        outln!("An emulated NetBox listens on {}, Leasehold on {}.", listening.url(), running.grpc);
        let caller = ServerArgs {
            server: format!("http://{}", running.grpc),
            token: None,
            timeout: Some(Duration::from_secs(20)),
        };
        let connection = connect::connect(&caller).await?;
        let narrator = Narrator::new(&connection, running.grpc, clock.today());
        let listening = story::run(narrator, &emulator, listening).await?;
        outln!("");
        outln!("Every step gave the expected result.");
        Ok(Self { running, listening, _directory: directory })
    }

    fn print_how_to_go_on(&self) {
        outln!(
            "Leasehold keeps running on {}: try the lines above. Ctrl-C ends it and discards everything.",
            self.running.grpc
        );
        outln!("The same calls are JSON by HTTP on {}:", self.running.http);
        outln!(
            "   $ curl -H 'content-type: application/json' -d '{{\"address\":\"203.0.113.5\"}}' http://{}/leasehold.v1.PrefixService/LookupAddress",
            self.running.http
        );
    }
}

/// The settings of the demo's server, which listens on two addresses: one for gRPC and one for HTTP.
fn settings(netbox: NetBoxSettings, listen: (SocketAddr, SocketAddr), vrps: &Path) -> Settings {
    let mut checks = CheckSettings::default();
    let feed = VrpFeedSettings {
        location: VrpLocation::File(vrps.to_owned()),
        expire: Duration::from_hours(24 * 365),
    };
    checks.rpki = RpkiSettings { sources: vec![RpkiSource::VrpFeed(feed)], ..RpkiSettings::default() };
    // Registries and blocklists are not required, because the demo sends nothing to the network.
    checks.validation.preflight.required =
        [PreflightAspect::Term, PreflightAspect::Loa, PreflightAspect::Roa].into();
    Settings {
        pools: PoolSettings::default(),
        netbox,
        grpc_listen: listen.0,
        http_listen: listen.1,
        drain: Duration::from_secs(2),
        cache_file: None,
        ledger: LedgerSettings::Temporary,
        keep_intents: Duration::from_hours(24 * 400),
        poll: Duration::from_millis(500),
        full_pass: Duration::from_hours(1),
        events: EventSettings::default(),
        expiry: Schedule::default(),
        notify: NotifySettings::default(),
        checks,
        allocation: Policy::default(),
        calendar_token: None,
        time_zone: jiff::tz::TimeZone::UTC,
        log_level: "error".to_owned(),
        log_format: LogFormat::Text,
    }
}
