//! `leasehold notify …`: inspects, tests and replays notifications.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::connect::{notifications, refusal};
use super::exit::CommandResult;
use super::json;
use super::options::{ClientArgs, OutputFormat};
use super::terminal::{TextTable, outln};
use super::values;
use crate::rpc::proto::v1;

#[derive(Debug, Args)]
pub(crate) struct NotifyArgs {
    #[command(subcommand)]
    command: NotifyCommand,
}

#[derive(Debug, Subcommand)]
enum NotifyCommand {
    /// List the sinks and whether they work
    List(SinksArgs),
    /// Send a sample event to a sink
    Test(TestArgs),
    /// List deliveries, the newest first; a dead delivery is one that was given up
    Deliveries(DeliveriesArgs),
    /// Send dead deliveries again
    Replay(ReplayArgs),
}

#[derive(Debug, Args)]
struct SinksArgs {
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Args)]
struct TestArgs {
    /// The sink's name in the settings
    sink: String,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DeliveryStateArg {
    Waiting,
    Sent,
    Dead,
}

#[derive(Debug, Args)]
struct DeliveriesArgs {
    /// Only in this state
    #[arg(long, value_enum)]
    state: Option<DeliveryStateArg>,
    /// Only for this sink
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    sink: String,
    /// The most deliveries to list
    #[arg(long, default_value_t = 50, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Args)]
struct ReplayArgs {
    /// Ids of the deliveries to send again
    #[arg(value_name = "ID", required_unless_present = "sink")]
    ids: Vec<String>,
    /// All dead deliveries of this sink
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    sink: String,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: NotifyArgs) -> CommandResult {
    match args.command {
        NotifyCommand::List(args) => list(args).await,
        NotifyCommand::Test(args) => test(args).await,
        NotifyCommand::Deliveries(args) => deliveries(args).await,
        NotifyCommand::Replay(args) => replay(args).await,
    }
}

async fn list(args: SinksArgs) -> CommandResult {
    let mut client = notifications(&args.client).await?;
    let answer = client
        .list_sinks(v1::ListSinksRequest { page_size: 1000, ..v1::ListSinksRequest::default() })
        .await
        .map_err(|status| refusal(&status))?
        .into_inner();
    match args.client.output {
        OutputFormat::Json => json::print("ListSinksResponse", &answer)?,
        OutputFormat::Table if answer.sinks.is_empty() => {
            outln!("no sink is configured: see [[notify.sinks]] in docs/operating.md");
        }
        OutputFormat::Table => {
            let mut table = TextTable::new(&["sink", "kind", "state"]);
            for sink in &answer.sinks {
                let state = sink.last_failure.as_ref().map_or("works", |failure| failure.message.as_str());
                let kind = values::enum_name(sink.kind().as_str_name(), "SINK_KIND_");
                table.row([sink.name.as_str(), &kind, state]);
            }
            table.print();
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn test(args: TestArgs) -> CommandResult {
    let mut client = notifications(&args.client).await?;
    let request = v1::TestSinkRequest { sink: args.sink.clone() };
    let answer = client.test_sink(request).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        OutputFormat::Json => json::print("TestSinkResponse", &answer)?,
        OutputFormat::Table => outln!("{} accepted the sample", args.sink),
    }
    Ok(ExitCode::SUCCESS)
}

async fn deliveries(args: DeliveriesArgs) -> CommandResult {
    let mut client = notifications(&args.client).await?;
    let mut request = v1::ListDeliveriesRequest {
        sink: args.sink,
        page_size: values::page_size(args.limit),
        ..v1::ListDeliveriesRequest::default()
    };
    request.set_state(match args.state {
        None => v1::DeliveryState::Unspecified,
        Some(DeliveryStateArg::Waiting) => v1::DeliveryState::Waiting,
        Some(DeliveryStateArg::Sent) => v1::DeliveryState::Sent,
        Some(DeliveryStateArg::Dead) => v1::DeliveryState::Dead,
    });
    let mut all = v1::ListDeliveriesResponse::default();
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    while all.deliveries.len() < limit {
        let page =
            client.list_deliveries(request.clone()).await.map_err(|status| refusal(&status))?.into_inner();
        all.deliveries.extend(page.deliveries);
        (all.waiting, all.dead) = (page.waiting, page.dead);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    all.deliveries.truncate(limit);
    match args.client.output {
        OutputFormat::Json => json::print("ListDeliveriesResponse", &all)?,
        OutputFormat::Table => {
            let mut table = TextTable::new(&["id", "sink", "state", "tries", "next", "what", "error"]);
            for delivery in &all.deliveries {
                table.row([
                    delivery.id.clone(),
                    delivery.sink.clone(),
                    values::enum_name(delivery.state().as_str_name(), "DELIVERY_STATE_"),
                    delivery.attempts.to_string(),
                    values::instant(delivery.due_time.as_ref()),
                    delivery.summary.clone(),
                    values::failure(delivery.last_failure.as_ref()),
                ]);
            }
            table.print();
            outln!("{} waiting, {} dead", all.waiting, all.dead);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn replay(args: ReplayArgs) -> CommandResult {
    let mut client = notifications(&args.client).await?;
    let request = v1::ReplayDeliveriesRequest { sink: args.sink, ids: args.ids };
    let answer = client.replay_deliveries(request).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        OutputFormat::Json => json::print("ReplayDeliveriesResponse", &answer)?,
        OutputFormat::Table => outln!("{} deliveries are waiting again", answer.replayed),
    }
    Ok(ExitCode::SUCCESS)
}
