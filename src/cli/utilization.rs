//! `leasehold utilization`: how the addresses of prefixes are used.

use std::process::ExitCode;

use clap::Args;

use super::connect::{prefixes, refusal};
use super::exit::CommandResult;
use super::json;
use super::options::{ClientArgs, ScopeArgs};
use super::output::OutputArgs;
use super::prefix_arg::PrefixArg;
use super::records::print_cache_note;
use super::terminal::TextTable;
use super::values;
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct UtilizationArgs {
    /// Prefixes, or NetBox's ids of them
    #[arg(required = true, value_name = "PREFIX|ID")]
    keys: Vec<String>,
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

pub(crate) async fn run(args: UtilizationArgs) -> CommandResult {
    use v1::get_utilization_request::Key;
    let keys = args.keys.iter().map(|key| PrefixArg::parse(key)).collect::<Result<Vec<_>, _>>()?;
    let mut client = prefixes(&args.client).await?;
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        let key = match key {
            PrefixArg::Id(id) => Key::PrefixId(id),
            PrefixArg::Prefix(text) => Key::Prefix(text),
        };
        let request = v1::GetUtilizationRequest { key: Some(key), vrf: args.scope.vrf.clone() };
        let answer = client.get_utilization(request).await.map_err(|status| refusal(&status))?;
        found.push(answer.into_inner());
    }
    print_cache_note(found.last().and_then(|answer| answer.cache.as_ref()));
    let names = found.iter().map(prefix);
    let results = || json::list("GetUtilizationResponse", &found);
    args.client.output.print_value(results, names, |output| {
        let used = found.iter().map(|answer| (prefix(answer), answer.utilization.unwrap_or_default()));
        print_utilizations(output, used);
    })?;
    Ok(ExitCode::SUCCESS)
}

fn prefix(answer: &v1::GetUtilizationResponse) -> String {
    answer.prefix.as_ref().map(|prefix| prefix.prefix.clone()).unwrap_or_default()
}

/// Prints how the addresses of prefixes are used, a line for each.
pub(crate) fn print_utilizations(
    output: OutputArgs,
    prefixes: impl IntoIterator<Item = (String, v1::Utilization)>,
) {
    let mut table = TextTable::new(&[
        "PREFIX",
        "TOTAL",
        "RECORDED",
        "POOLED",
        "RANGES",
        "CHILDREN",
        "NOT-ASSIGNABLE",
        "QUARANTINED",
        "FREE",
        "LARGEST-FREE",
    ]);
    for (prefix, used) in prefixes {
        let largest = used.largest_free_prefix_length.map(|length| format!("/{length}"));
        table.row([
            prefix,
            values::count(used.total_count),
            values::count(used.recorded_count),
            values::count(used.pooled_count),
            values::count(used.in_range_count),
            values::count(used.in_child_prefix_count),
            values::count(used.not_assignable_count),
            values::count(used.quarantined_count),
            values::count(used.free_count),
            largest.unwrap_or_default(),
        ]);
    }
    output.print_table(&table);
}
