//! `leasehold vrf list`: the VRFs of NetBox.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::connect::prefixes;
use super::exit::CommandResult;
use super::options::ClientArgs;
use super::output::OutputArgs;
use super::pages::{Limit, read_pages};
use super::records::print_cache_note;
use super::terminal::TextTable;
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct VrfArgs {
    #[command(subcommand)]
    command: VrfCommand,
}

#[derive(Debug, Subcommand)]
enum VrfCommand {
    /// List all VRFs; the global table is none of them
    List(ListVrfsArgs),
}

#[derive(Debug, Args)]
struct ListVrfsArgs {
    /// The most VRFs to list [default: all]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    #[command(flatten)]
    client: ClientArgs,
}

impl VrfArgs {
    pub(crate) fn client(&self) -> &ClientArgs {
        let VrfCommand::List(args) = &self.command;
        &args.client
    }
}

pub(crate) async fn run(args: VrfArgs) -> CommandResult {
    let VrfCommand::List(args) = args.command;
    let mut client = prefixes(&args.client).await?;
    let limit = Limit::new(args.limit);
    let page_size = limit.page_size();
    let mut all = v1::ListVrfsResponse::default();
    read_pages(
        async |page_token| client.list_vrfs(v1::ListVrfsRequest { page_size, page_token }).await,
        |page| {
            all.cache = page.cache;
            limit.join(&mut all.vrfs, page.vrfs, page.next_page_token)
        },
    )
    .await?;
    print_cache_note(all.cache.as_ref());
    args.client.output.print_list(
        "ListVrfsResponse",
        &all,
        (all.vrfs.as_slice(), "NetBox has no VRFs"),
        |vrf| vrf.id.to_string(),
        |output| print(output, &all.vrfs),
    )?;
    Ok(ExitCode::SUCCESS)
}

fn print(output: OutputArgs, vrfs: &[v1::Vrf]) {
    let mut table = TextTable::new(&["ID", "RD", "NAME"]);
    for vrf in vrfs {
        table.row([vrf.id.to_string(), vrf.rd.clone(), vrf.name.clone()]);
    }
    output.print_table(&table);
}
