//! `leasehold status`.

use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::args::{Format, StatusArgs};
use super::connect::{admin, refusal};
use super::{Failure, Outcome, output};
use crate::rpc::proto::v1;

pub(crate) async fn run(args: StatusArgs) -> Outcome {
    let mut client = admin(&args.client).await?;
    if args.full_sync {
        let request = v1::TriggerSyncRequest { full: true, wait: false };
        client.trigger_sync(request).await.map_err(|status| refusal(&status))?;
        // The job wakes a moment later: without this a wait would find it not running yet.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    if args.wait {
        wait(&mut client).await?;
    }
    let status =
        client.get_status(v1::GetStatusRequest {}).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        Format::Json => output::print_json("GetStatusResponse", &status)?,
        Format::Table => print(&status),
    }
    Ok(ExitCode::SUCCESS)
}

async fn wait(
    client: &mut v1::admin_service_client::AdminServiceClient<super::connect::Connection>,
) -> Result<(), Failure> {
    let bar = ProgressBar::new(0).with_style(
        ProgressStyle::with_template(
            "{msg} [{wide_bar}] {human_pos}/{human_len} rows, {per_sec}, {eta} left",
        )
        .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar.set_message("reading NetBox");
    loop {
        let request = v1::GetStatusRequest {};
        let status = client.get_status(request).await.map_err(|status| refusal(&status))?.into_inner();
        let sync = status.sync.unwrap_or_default();
        match sync.phase() {
            v1::SyncPhase::Live => break,
            v1::SyncPhase::Stale | v1::SyncPhase::Empty if !sync.last_error.is_empty() => {
                bar.abandon();
                return Err(Failure::new(sync.last_error));
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
    let reach = match (netbox.reachable, netbox.last_error.as_str()) {
        (true, _) => "in reach".to_owned(),
        (false, "") => "not asked yet".to_owned(),
        (false, error) => format!("OUT OF REACH: {error}"),
    };
    output::facts(&[
        ("server", format!("{}, since {}", status.version, output::instant(status.start_time.as_ref()))),
        ("NetBox", format!("{} {}", netbox.url, netbox.version)),
        ("", reach),
        ("sync", output::word(sync.phase().as_str_name(), "SYNC_PHASE_")),
        (
            "cache",
            format!(
                "{} prefixes, {} addresses, {} ranges, {} VRFs, {} leases",
                sync.prefixes, sync.addresses, sync.ip_ranges, sync.vrfs, sync.leases
            ),
        ),
        ("cache age", format!("{} s", cache.age_seconds)),
        ("change log", format!("followed to {}", sync.change_log_id)),
        (
            "full pass",
            match &sync.last_full_pass {
                Some(at) => format!("{} ({})", output::instant(Some(at)), sync.last_full_pass_reason),
                None => String::new(),
            },
        ),
        ("ledger", format!("{}, {} intents open", ledger.backend, ledger.pending_intents)),
        ("writes", if status.writes_served { "served" } else { "NOT SERVED" }.to_owned()),
    ]);
    if !status.sources.is_empty() {
        let mut table = output::table(&["source", "VRPs", "as of", "trouble"]);
        for source in &status.sources {
            table.add_row([
                source.name.clone(),
                source.records.map(|count| count.to_string()).unwrap_or_default(),
                output::instant(source.time.as_ref()),
                source.trouble.clone(),
            ]);
        }
        say!("{table}");
    }
    let mut table = output::table(&["job", "every", "last start", "last error"]);
    for job in &status.jobs {
        table.add_row([
            &job.name,
            &format!("{} s", job.interval_seconds),
            &output::instant(job.last_start.as_ref()),
            &job.last_error,
        ]);
    }
    say!("{table}");
}
