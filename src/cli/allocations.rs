//! `leasehold allocations`: what one request allocated, or the newest allocations.

use std::process::ExitCode;

use clap::Args;

use super::connect::{allocations, refusal};
use super::exit::CommandResult;
use super::json;
use super::options::{ClientArgs, OutputFormat};
use super::records::print_addresses;
use super::terminal::{TextTable, outln, print_facts};
use super::values;
use crate::model::RequestId;
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct AllocationsArgs {
    /// Show what this request allocated [default: list the newest allocations]
    #[arg(value_name = "REQUEST_ID")]
    request_id: Option<RequestId>,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: AllocationsArgs) -> CommandResult {
    let mut client = allocations(&args.client).await?;
    if let Some(id) = args.request_id {
        let request =
            v1::GetAllocationRequest { request_id: id.into(), ..v1::GetAllocationRequest::default() };
        let answer = client.get_allocation(request).await.map_err(|status| refusal(&status))?.into_inner();
        match args.client.output {
            OutputFormat::Json => json::print("GetAllocationResponse", &answer)?,
            OutputFormat::Table => {
                let allocation = answer.allocation.unwrap_or_default();
                print_facts(&[
                    ("request id", allocation.request_id.clone()),
                    ("kind", values::enum_name(allocation.kind().as_str_name(), "ALLOCATION_KIND_")),
                    ("state", values::enum_name(allocation.state().as_str_name(), "ALLOCATION_STATE_")),
                    ("made", values::instant(allocation.create_time.as_ref())),
                    ("prefix", allocation.prefix.clone().map(|prefix| prefix.prefix).unwrap_or_default()),
                ]);
                if !allocation.addresses.is_empty() {
                    print_addresses(&allocation.addresses);
                }
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let request = v1::ListAllocationsRequest { page_size: 100, ..v1::ListAllocationsRequest::default() };
    let answer = client.list_allocations(request).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        OutputFormat::Json => json::print("ListAllocationsResponse", &answer)?,
        OutputFormat::Table => {
            let mut table = TextTable::new(&["request id", "kind", "state", "records", "made"]);
            for allocation in &answer.allocations {
                let records = allocation.addresses.len() + usize::from(allocation.prefix.is_some());
                table.row([
                    allocation.request_id.clone(),
                    values::enum_name(allocation.kind().as_str_name(), "ALLOCATION_KIND_"),
                    values::enum_name(allocation.state().as_str_name(), "ALLOCATION_STATE_"),
                    records.to_string(),
                    values::instant(allocation.create_time.as_ref()),
                ]);
            }
            table.print();
            if !answer.next_page_token.is_empty() {
                outln!("There are more; these are the newest hundred.");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
