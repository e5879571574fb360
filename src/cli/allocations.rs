//! `leasehold allocations`: what one request allocated, or the newest allocations.

use std::process::ExitCode;

use clap::Args;

use super::connect::{allocations, refusal};
use super::exit::CommandResult;
use super::options::ClientArgs;
use super::output::OutputArgs;
use super::pages::{Limit, read_pages};
use super::records::{print_addresses, print_prefixes};
use super::terminal::{TextTable, outln, print_facts};
use super::values;
use crate::model::RequestId;
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct AllocationsArgs {
    /// Show what this request allocated [default: list the newest allocations]
    #[arg(value_name = "REQUEST_ID")]
    request_id: Option<RequestId>,
    /// The most allocations to list
    #[arg(long, default_value_t = 100, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

pub(crate) async fn run(args: AllocationsArgs) -> CommandResult {
    match args.request_id {
        Some(id) => show(&args.client, id).await,
        None => list(&args.client, Limit::new(Some(args.limit))).await,
    }
}

async fn show(args: &ClientArgs, id: RequestId) -> CommandResult {
    let mut client = allocations(args).await?;
    let request = v1::GetAllocationRequest { request_id: id.into(), view: v1::RecordView::Full.into() };
    let answer = client.get_allocation(request).await.map_err(|status| refusal(&status))?.into_inner();
    let allocation = answer.allocation.clone().unwrap_or_default();
    args.output.print("GetAllocationResponse", &answer, [allocation.request_id.clone()], |output| {
        print_facts(&[
            ("request id", allocation.request_id.clone()),
            ("kind", kind(&allocation)),
            ("state", state(&allocation)),
            ("made", values::instant(allocation.create_time.as_ref())),
        ]);
        if let Some(prefix) = &allocation.prefix {
            outln!("");
            print_prefixes(output, std::slice::from_ref(prefix));
        }
        if !allocation.addresses.is_empty() {
            outln!("");
            print_addresses(output, &allocation.addresses);
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn list(args: &ClientArgs, limit: Limit) -> CommandResult {
    let mut client = allocations(args).await?;
    let request =
        v1::ListAllocationsRequest { page_size: limit.page_size(), ..v1::ListAllocationsRequest::default() };
    let mut all = v1::ListAllocationsResponse::default();
    read_pages(
        async |page_token| {
            client.list_allocations(v1::ListAllocationsRequest { page_token, ..request.clone() }).await
        },
        |page| limit.join(&mut all.allocations, page.allocations, page.next_page_token),
    )
    .await?;
    let rows = (all.allocations.as_slice(), "no allocations");
    args.output.print_list(
        "ListAllocationsResponse",
        &all,
        rows,
        |allocation| allocation.request_id.clone(),
        |output| print_list(output, &all.allocations),
    )?;
    Ok(ExitCode::SUCCESS)
}

fn print_list(output: OutputArgs, allocations: &[v1::Allocation]) {
    let mut table = TextTable::new(&["REQUEST-ID", "KIND", "STATE", "RECORDS", "MADE"]);
    for allocation in allocations {
        let records = allocation.addresses.len() + usize::from(allocation.prefix.is_some());
        table.row([
            allocation.request_id.clone(),
            kind(allocation),
            state(allocation),
            records.to_string(),
            values::instant(allocation.create_time.as_ref()),
        ]);
    }
    output.print_table(&table);
}

fn kind(allocation: &v1::Allocation) -> String {
    values::enum_name(allocation.kind().as_str_name(), "ALLOCATION_KIND_")
}

fn state(allocation: &v1::Allocation) -> String {
    values::enum_name(allocation.state().as_str_name(), "ALLOCATION_STATE_")
}
