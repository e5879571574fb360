//! `leasehold status`: the state of the server, its cache, its sources and its jobs.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::connect::{Connection, admin, refusal, waiting_admin};
use super::exit::{CliFailure, CommandResult};
use super::options::ClientArgs;
use super::output::OutputArgs;
use super::progress::progress_bar;
use super::terminal::{TextTable, outln, print_facts};
use super::values;
use crate::rpc::proto::v1;
use crate::rpc::proto::v1::admin_service_client::AdminServiceClient;

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Wait until the cache is filled, with a progress bar
    #[arg(long)]
    pub(crate) wait: bool,
    /// Start a full pass first
    #[arg(long)]
    full_sync: bool,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

pub(crate) async fn run(args: StatusArgs) -> CommandResult {
    let mut client = if args.wait { waiting_admin(&args.client).await? } else { admin(&args.client).await? };
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
    let names = status.jobs.iter().map(|job| job.name.clone());
    args.client.output.print("GetStatusResponse", &status, names, |output| print(output, &status))?;
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
                bar.set_length(sync.pass_total_row_count);
                bar.set_position(sync.pass_done_row_count);
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bar.finish_and_clear();
    Ok(())
}

fn print(output: OutputArgs, status: &v1::GetStatusResponse) {
    let netbox = status.netbox.clone().unwrap_or_default();
    let sync = status.sync.clone().unwrap_or_default();
    let cache = sync.cache.unwrap_or_default();
    let ledger = status.ledger.unwrap_or_default();
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
                sync.prefix_count, sync.address_count, sync.ip_range_count, sync.vrf_count, sync.lease_count
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
                "{}, {}",
                values::enum_name(ledger.backend().as_str_name(), "LEDGER_BACKEND_"),
                match ledger.pending_intent_count {
                    Some(count) => format!("{count} intents open"),
                    None => "CANNOT BE READ".to_owned(),
                }
            ),
        ),
        ("id check", id_check(netbox.allocation_id_check.as_ref())),
        ("writes", if status.writes_served { "served" } else { "NOT SERVED" }.to_owned()),
    ]);
    if !status.pools.is_empty() {
        outln!("");
        print_pools(output, &status.pools);
    }
    if !status.sources.is_empty() {
        outln!("");
        print_sources(output, &status.sources);
    }
    outln!("");
    print_jobs(output, &status.jobs);
}

/// What NetBox takes to check an allocation id, in words.
fn id_check(measured: Option<&v1::AllocationIdCheck>) -> String {
    let Some(measured) = measured else { return "not measured yet".to_owned() };
    let took = values::milliseconds(measured.duration_per_address.as_ref());
    let advice = if measured.index_needed { ": NEEDS AN INDEX, see `leasehold setup`" } else { "" };
    format!("{took} an address, with {} addresses{advice}", measured.address_count)
}

fn print_pools(output: OutputArgs, pools: &[v1::PoolStatus]) {
    let mut table = TextTable::new(&["POOL", "VRF", "SIZE", "STOCK", "PENDING", "SINCE", "PROBLEM"]);
    for pool in pools {
        table.row([
            pool.prefix.clone(),
            values::vrf(pool.vrf.as_ref()),
            pool.size.to_string(),
            pool.stock_count.to_string(),
            pool.pending_count.to_string(),
            values::instant(pool.oldest_pending_time.as_ref()),
            pool.refusal.clone(),
        ]);
    }
    output.print_table(&table);
}

fn print_sources(output: OutputArgs, sources: &[v1::SourceStatus]) {
    let mut table = TextTable::new(&["SOURCE", "VRPS", "OBSERVED", "PROBLEM"]);
    for source in sources {
        table.row([
            source.name.clone(),
            values::count(source.record_count),
            values::instant(source.observe_time.as_ref()),
            values::failure(source.last_failure.as_ref()),
        ]);
    }
    output.print_table(&table);
}

/// Prints jobs as a table.
pub(crate) fn print_jobs(output: OutputArgs, jobs: &[v1::JobStatus]) {
    let mut table = TextTable::new(&["JOB", "EVERY", "LAST-START", "TOOK", "PROBLEM"]);
    for job in jobs {
        table.row([
            job.name.clone(),
            values::seconds(job.interval.as_ref()),
            values::instant(job.last_start_time.as_ref()),
            values::milliseconds(job.last_duration.as_ref()),
            values::failure(job.last_failure.as_ref()),
        ]);
    }
    output.print_table(&table);
}
