//! `leasehold notify …`: look at, try and mend where events are sent to.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::args::{ClientArgs, Format};
use super::connect::{notifications, refusal};
use super::{Outcome, output};
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
    /// Send a sample to a sink
    Test(TestArgs),
    /// List deliveries, the newest first; dead ones are those that were given up
    Deliveries(DeliveriesArgs),
    /// Send dead deliveries once more
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
enum State {
    Waiting,
    Sent,
    Dead,
}

#[derive(Debug, Args)]
struct DeliveriesArgs {
    /// Only in this state
    #[arg(long, value_enum)]
    state: Option<State>,
    /// Only for this sink
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    sink: String,
    /// At most so many
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    limit: usize,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Args)]
struct ReplayArgs {
    /// Ids of deliveries
    #[arg(value_name = "ID", required_unless_present = "sink")]
    ids: Vec<String>,
    /// All of this sink
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    sink: String,
    #[command(flatten)]
    client: ClientArgs,
}

pub(crate) async fn run(args: NotifyArgs) -> Outcome {
    match args.command {
        NotifyCommand::List(args) => list(args).await,
        NotifyCommand::Test(args) => test(args).await,
        NotifyCommand::Deliveries(args) => deliveries(args).await,
        NotifyCommand::Replay(args) => replay(args).await,
    }
}

async fn list(args: SinksArgs) -> Outcome {
    let mut client = notifications(&args.client).await?;
    let answer =
        client.list_sinks(v1::ListSinksRequest {}).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        Format::Json => output::print_json("ListSinksResponse", &answer)?,
        Format::Table if answer.sinks.is_empty() => {
            say!("no sink is configured: see [[notify.sinks]] in docs/operating.md");
        }
        Format::Table => {
            let mut table = output::table(&["sink", "kind", "state"]);
            for sink in &answer.sinks {
                let state = if sink.trouble.is_empty() { "works" } else { sink.trouble.as_str() };
                table.add_row([sink.name.as_str(), sink.kind.as_str(), state]);
            }
            say!("{table}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn test(args: TestArgs) -> Outcome {
    let mut client = notifications(&args.client).await?;
    let request = v1::TestSinkRequest { sink: args.sink.clone() };
    let answer = client.test_sink(request).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        Format::Json => output::print_json("TestSinkResponse", &answer)?,
        Format::Table => say!("{} took the sample", args.sink),
    }
    Ok(ExitCode::SUCCESS)
}

async fn deliveries(args: DeliveriesArgs) -> Outcome {
    let mut client = notifications(&args.client).await?;
    let mut request = v1::ListDeliveriesRequest {
        sink: args.sink,
        page_size: i32::try_from(args.limit.clamp(1, 1000)).unwrap_or(1000),
        ..v1::ListDeliveriesRequest::default()
    };
    request.set_state(match args.state {
        None => v1::DeliveryState::Unspecified,
        Some(State::Waiting) => v1::DeliveryState::Waiting,
        Some(State::Sent) => v1::DeliveryState::Sent,
        Some(State::Dead) => v1::DeliveryState::Dead,
    });
    let mut all = v1::ListDeliveriesResponse::default();
    while all.deliveries.len() < args.limit {
        let page =
            client.list_deliveries(request.clone()).await.map_err(|status| refusal(&status))?.into_inner();
        all.deliveries.extend(page.deliveries);
        (all.waiting, all.dead) = (page.waiting, page.dead);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    all.deliveries.truncate(args.limit);
    match args.client.output {
        Format::Json => output::print_json("ListDeliveriesResponse", &all)?,
        Format::Table => {
            let mut table = output::table(&["id", "sink", "state", "tries", "next", "what", "error"]);
            for delivery in &all.deliveries {
                table.add_row([
                    delivery.id.clone(),
                    delivery.sink.clone(),
                    output::word(delivery.state().as_str_name(), "DELIVERY_STATE_"),
                    delivery.attempts.to_string(),
                    output::instant(delivery.due_time.as_ref()),
                    delivery.summary.clone(),
                    delivery.error.clone(),
                ]);
            }
            say!("{table}");
            say!("{} wait, {} are dead", all.waiting, all.dead);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn replay(args: ReplayArgs) -> Outcome {
    let mut client = notifications(&args.client).await?;
    let request = v1::ReplayDeliveriesRequest { sink: args.sink, ids: args.ids };
    let answer = client.replay_deliveries(request).await.map_err(|status| refusal(&status))?.into_inner();
    match args.client.output {
        Format::Json => output::print_json("ReplayDeliveriesResponse", &answer)?,
        Format::Table => say!("{} deliveries wait again", answer.replayed),
    }
    Ok(ExitCode::SUCCESS)
}
