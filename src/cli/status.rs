//! `leasehold status`: the state of the server, its cache, its sources and its jobs.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::connect::{Connection, admin, refusal};
use super::exit::{CliFailure, CommandResult};
use super::json;
use super::options::{ClientArgs, OutputFormat};
use super::progress::progress_bar;
use super::terminal::{TextTable, print_facts};
use super::values;
use crate::rpc::proto::v1;
use crate::rpc::proto::v1::admin_service_client::AdminServiceClient;

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    client: ClientArgs,
    /// Wait until the cache is filled, with a progress bar
    #[arg(long)]
    wait: bool,
    /// Start a full pass first
    #[arg(long)]
    full_sync: bool,
}

pub(crate) async fn run(args: StatusArgs) -> CommandResult {
    let mut client = admin(&args.client).await?;
    if args.full_sync {
        let request = v1::TriggerSyncRequest { full: true, wait: false };
        client.trigger_sync(request).await.map_err(|status| refusal(&status))?;
        // The job starts a moment after the answer; without this pause, --wait would find the old pass complete.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    if args.wait {
        wait_until_live(&mut client).await?;
    }
    let status =
        client.get_status(v1::GetStatusRequest {}).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        OutputFormat::Json => json::print("GetStatusResponse", &status)?,
        OutputFormat::Table => print(&status),
    }
    Ok(ExitCode::SUCCESS)
}

/// Waits until the cache follows NetBox. Fails if the server reports an error that keeps it from getting there.
async fn wait_until_live(client: &mut AdminServiceClient<Connection>) -> Result<(), CliFailure> {
    let bar = progress_bar("reading NetBox", "rows");
    loop {
        let request = v1::GetStatusRequest {};
        let status = client.get_status(request).await.map_err(|status| refusal(&status))?.into_inner();
        let sync = status.sync.unwrap_or_default();
        match sync.phase() {
            v1::SyncPhase::Live => break,
            v1::SyncPhase::Stale | v1::SyncPhase::Empty if sync.last_failure.is_some() => {
                bar.abandon();
                return Err(CliFailure::new(values::failure(sync.last_failure.as_ref())));
            }
            _ => {
                bar.set_length(sync.pass_rows_total);
                bar.set_position(sync.pass_rows_done);
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bar.finish_and_clear();
    Ok(())
}

fn print(status: &v1::GetStatusResponse) {
    let netbox = status.netbox.clone().unwrap_or_default();
    let sync = status.sync.clone().unwrap_or_default();
    let cache = sync.cache.unwrap_or_default();
    let ledger = status.ledger.clone().unwrap_or_default();
    let reach = match (netbox.reachable, &netbox.last_failure) {
        (true, _) => "in reach".to_owned(),
        (false, None) => "not asked yet".to_owned(),
        (false, Some(failure)) => format!("OUT OF REACH: {}", failure.message),
    };
    print_facts(&[
        ("server", format!("{}, since {}", status.version, values::instant(status.start_time.as_ref()))),
        ("NetBox", format!("{} {}", netbox.url, netbox.version)),
        ("", reach),
        ("sync", values::enum_name(sync.phase().as_str_name(), "SYNC_PHASE_")),
        (
            "cache",
            format!(
                "{} prefixes, {} addresses, {} ranges, {} VRFs, {} leases",
                sync.prefixes, sync.addresses, sync.ip_ranges, sync.vrfs, sync.leases
            ),
        ),
        ("cache age", values::seconds(cache.age.as_ref())),
        ("change log", format!("followed to {}", sync.change_log_id)),
        (
            "full pass",
            match &sync.last_full_pass_time {
                Some(at) => format!("{} ({})", values::instant(Some(at)), sync.last_full_pass_cause),
                None => String::new(),
            },
        ),
        (
            "ledger",
            format!(
                "{}, {} intents open",
                values::enum_name(ledger.backend().as_str_name(), "LEDGER_BACKEND_"),
                ledger.pending_intents
            ),
        ),
        ("writes", if status.writes_served { "served" } else { "NOT SERVED" }.to_owned()),
    ]);
    if !status.sources.is_empty() {
        let mut table = TextTable::new(&["source", "VRPs", "as of", "problem"]);
        for source in &status.sources {
            table.row([
                source.name.clone(),
                source.records.map(|count| count.to_string()).unwrap_or_default(),
                values::instant(source.observe_time.as_ref()),
                values::failure(source.last_failure.as_ref()),
            ]);
        }
        table.print();
    }
    let mut table = TextTable::new(&["job", "every", "last start", "last error"]);
    for job in &status.jobs {
        table.row([
            &job.name,
            &values::seconds(job.interval.as_ref()),
            &values::instant(job.last_start_time.as_ref()),
            &values::failure(job.last_failure.as_ref()),
        ]);
    }
    table.print();
}
