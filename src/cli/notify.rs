//! `leasehold notify …`: inspects, tests and replays notifications.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::connect::{notifications, refusal};
use super::exit::CommandResult;
use super::options::ClientArgs;
use super::output::OutputArgs;
use super::pages::{Limit, read_pages};
use super::terminal::{TextTable, errln, outln};
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

impl NotifyArgs {
    pub(crate) fn client(&self) -> &ClientArgs {
        match &self.command {
            NotifyCommand::List(args) => &args.client,
            NotifyCommand::Test(args) => &args.client,
            NotifyCommand::Deliveries(args) => &args.client,
            NotifyCommand::Replay(args) => &args.client,
        }
    }
}

async fn list(args: SinksArgs) -> CommandResult {
    let mut client = notifications(&args.client).await?;
    let limit = Limit::new(None);
    let page_size = limit.page_size();
    let mut all = v1::ListSinksResponse::default();
    read_pages(
        async |page_token| client.list_sinks(v1::ListSinksRequest { page_size, page_token }).await,
        |page| limit.join(&mut all.sinks, page.sinks, page.next_page_token),
    )
    .await?;
    args.client.output.print_list(
        "ListSinksResponse",
        &all,
        (all.sinks.as_slice(), "no sink is configured: see [[notify.sinks]] in docs/notifications.md"),
        |sink| sink.name.clone(),
        |output| print_sinks(output, &all.sinks),
    )?;
    Ok(ExitCode::SUCCESS)
}

fn print_sinks(output: OutputArgs, sinks: &[v1::Sink]) {
    let mut table = TextTable::new(&["NAME", "KIND", "STATE", "PROBLEM"]);
    for sink in sinks {
        table.row([
            sink.name.clone(),
            values::enum_name(sink.kind().as_str_name(), "SINK_KIND_"),
            if sink.last_failure.is_none() { "works" } else { "fails" }.to_owned(),
            values::failure(sink.last_failure.as_ref()),
        ]);
    }
    output.print_table(&table);
}

async fn test(args: TestArgs) -> CommandResult {
    let mut client = notifications(&args.client).await?;
    let request = v1::TestSinkRequest { sink: args.sink.clone() };
    let answer = client.test_sink(request).await.map_err(|status| refusal(&status))?.into_inner();
    args.client.output.print("TestSinkResponse", &answer, [args.sink.clone()], |_| {
        outln!("{} accepted the sample", args.sink);
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn deliveries(args: DeliveriesArgs) -> CommandResult {
    let mut client = notifications(&args.client).await?;
    let limit = Limit::new(Some(args.limit));
    let mut request = v1::ListDeliveriesRequest {
        sink: args.sink,
        page_size: limit.page_size(),
        ..v1::ListDeliveriesRequest::default()
    };
    request.set_state(match args.state {
        None => v1::DeliveryState::Unspecified,
        Some(DeliveryStateArg::Waiting) => v1::DeliveryState::Waiting,
        Some(DeliveryStateArg::Sent) => v1::DeliveryState::Sent,
        Some(DeliveryStateArg::Dead) => v1::DeliveryState::Dead,
    });
    let mut all = v1::ListDeliveriesResponse::default();
    read_pages(
        async |page_token| {
            client.list_deliveries(v1::ListDeliveriesRequest { page_token, ..request.clone() }).await
        },
        |page| {
            (all.waiting_count, all.dead_count) = (page.waiting_count, page.dead_count);
            limit.join(&mut all.deliveries, page.deliveries, page.next_page_token)
        },
    )
    .await?;
    args.client.output.print_list(
        "ListDeliveriesResponse",
        &all,
        (all.deliveries.as_slice(), "no deliveries match"),
        |delivery| delivery.id.clone(),
        |output| print_deliveries(output, &all.deliveries),
    )?;
    errln!("note: of all deliveries, {} wait and {} are dead", all.waiting_count, all.dead_count);
    Ok(ExitCode::SUCCESS)
}

fn print_deliveries(output: OutputArgs, deliveries: &[v1::Delivery]) {
    let mut table = TextTable::new(&["ID", "SINK", "STATE", "TRIES", "NEXT-TRY", "EVENT", "PROBLEM"]);
    for delivery in deliveries {
        table.row([
            delivery.id.clone(),
            delivery.sink.clone(),
            values::enum_name(delivery.state().as_str_name(), "DELIVERY_STATE_"),
            delivery.attempt_count.to_string(),
            values::instant(delivery.due_time.as_ref()),
            delivery.summary.clone(),
            values::failure(delivery.last_failure.as_ref()),
        ]);
    }
    output.print_table(&table);
}

async fn replay(args: ReplayArgs) -> CommandResult {
    args.client.output.refuse_names("a number of deliveries")?;
    let mut client = notifications(&args.client).await?;
    let request = v1::ReplayDeliveriesRequest { sink: args.sink, ids: args.ids };
    let answer = client.replay_deliveries(request).await.map_err(|status| refusal(&status))?.into_inner();
    args.client.output.print("ReplayDeliveriesResponse", &answer, None, |_| {
        outln!("{} deliveries are waiting again", answer.replayed_count);
    })?;
    Ok(ExitCode::SUCCESS)
}
