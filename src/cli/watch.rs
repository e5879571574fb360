//! `leasehold watch`: what happens, a JSON object a line, across restarts of either side.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;

use super::args::ServerArgs;
use super::connect::{endless, refusal};
use super::events::WantedArgs;
use super::{Failure, Outcome, output};
use crate::rpc::proto::v1;
use crate::rpc::proto::v1::event_service_client::EventServiceClient;
use crate::rpc::proto::v1::lease_service_client::LeaseServiceClient;

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    #[command(subcommand)]
    command: WatchCommand,
}

#[derive(Debug, Subcommand)]
enum WatchCommand {
    /// Everything that happens (EventService.WatchEvents)
    Events(EventsArgs),
    /// Leases that run out: those within the horizon, then what happens to them (LeaseService.WatchExpiry)
    Expiry(ExpiryArgs),
}

#[derive(Debug, Args)]
struct EventsArgs {
    #[command(flatten)]
    wanted: WantedArgs,
    /// Only leases that run out within so many days
    #[arg(long, value_name = "DAYS")]
    horizon: Option<i32>,
    /// Leave the leases as they stand out, and begin with what happens from now on
    #[arg(long)]
    no_snapshot: bool,
    #[command(flatten)]
    follow: FollowArgs,
}

#[derive(Debug, Args)]
struct ExpiryArgs {
    /// Leases that run out within so many days; those that have run out are within any
    #[arg(long, default_value_t = 60, value_name = "DAYS")]
    horizon: i32,
    /// Only of this owner
    #[arg(long, default_value = "", hide_default_value = true)]
    owner: String,
    /// Only of this tenant, by slug
    #[arg(long, default_value = "", hide_default_value = true, value_name = "SLUG")]
    tenant: String,
    /// Only with this tag, by slug
    #[arg(long, default_value = "", hide_default_value = true, value_name = "SLUG")]
    tag: String,
    /// Only within this prefix
    #[arg(long, default_value = "", hide_default_value = true, value_name = "PREFIX")]
    within: String,
    /// Only of this VRF, by NetBox's id; 0 for the global table
    #[arg(long, value_name = "ID")]
    vrf: Option<u64>,
    #[command(flatten)]
    follow: FollowArgs,
}

#[derive(Debug, Args)]
struct FollowArgs {
    /// Keep the place in this file, and go on from there if it is there: nothing is missed
    #[arg(long, value_name = "FILE")]
    resume_file: Option<PathBuf>,
    /// End after so many events
    #[arg(long, value_name = "COUNT")]
    count: Option<u64>,
    #[command(flatten)]
    server: ServerArgs,
}

/// The longest wait before the server is tried again.
const LONGEST: Duration = Duration::from_secs(30);

pub(crate) async fn run(args: WatchArgs) -> Outcome {
    match args.command {
        WatchCommand::Events(args) => {
            let request = v1::WatchEventsRequest {
                types: args.wanted.types(),
                owner: args.wanted.owner.clone(),
                tenant: args.wanted.tenant.clone(),
                tag: args.wanted.tag.clone(),
                within: args.wanted.within.clone(),
                vrf_id: args.wanted.vrf,
                horizon_days: args.horizon,
                skip_snapshot: args.no_snapshot,
                resume_token: String::new(),
            };
            follow(&args.follow, Subject::Events(request)).await
        }
        WatchCommand::Expiry(args) => {
            let request = v1::WatchExpiryRequest {
                horizon_days: Some(args.horizon),
                owner: args.owner,
                tenant: args.tenant,
                tag: args.tag,
                within: args.within,
                vrf_id: args.vrf,
                resume_token: String::new(),
            };
            follow(&args.follow, Subject::Expiry(request)).await
        }
    }
}

/// What is watched.
enum Subject {
    Events(v1::WatchEventsRequest),
    Expiry(v1::WatchExpiryRequest),
}

/// A stream that is open.
enum Open {
    Events(Streaming<v1::WatchEventsResponse>),
    Expiry(Streaming<v1::WatchExpiryResponse>),
}

/// A message, as far as this cares.
struct Message {
    json: serde_json::Value,
    token: String,
    quiet: bool,
    event: bool,
}

impl Subject {
    async fn open(&self, server: &ServerArgs, token: &str) -> Result<Open, Broken> {
        let connection = endless(server).await.map_err(Broken::Away)?;
        let resume_token = token.to_owned();
        Ok(match self {
            Self::Events(request) => {
                let request = v1::WatchEventsRequest { resume_token, ..request.clone() };
                Open::Events(EventServiceClient::new(connection).watch_events(request).await?.into_inner())
            }
            Self::Expiry(request) => {
                let request = v1::WatchExpiryRequest { resume_token, ..request.clone() };
                Open::Expiry(LeaseServiceClient::new(connection).watch_expiry(request).await?.into_inner())
            }
        })
    }
}

impl Open {
    async fn next(&mut self) -> Result<Option<Message>, Broken> {
        Ok(match self {
            Self::Events(stream) => {
                use v1::watch_events_response::Item;
                let Some(message) = stream.message().await? else { return Ok(None) };
                Some(Message {
                    json: output::json("WatchEventsResponse", &message).map_err(Broken::Fatal)?,
                    quiet: matches!(message.item, Some(Item::Bookmark(_)) | None),
                    event: matches!(message.item, Some(Item::Event(_))),
                    token: message.resume_token,
                })
            }
            Self::Expiry(stream) => {
                use v1::watch_expiry_response::Item;
                let Some(message) = stream.message().await? else { return Ok(None) };
                Some(Message {
                    json: output::json("WatchExpiryResponse", &message).map_err(Broken::Fatal)?,
                    quiet: matches!(message.item, Some(Item::Bookmark(_)) | None),
                    event: matches!(message.item, Some(Item::Event(_))),
                    token: message.resume_token,
                })
            }
        })
    }
}

/// Why a stream ended.
enum Broken {
    /// The server cannot be reached.
    Away(Failure),
    /// The server goes, or went; it will be back.
    Passing(Status),
    /// Nothing that waiting mends.
    Fatal(Failure),
}

impl From<Status> for Broken {
    fn from(status: Status) -> Self {
        let too_slow =
            status.get_error_details().error_info().is_some_and(|info| info.reason == "WATCH_TOO_SLOW");
        match status.code() {
            // A connection that breaks in the middle is UNKNOWN or INTERNAL to the library.
            Code::Unavailable | Code::Cancelled | Code::Unknown | Code::Internal => Self::Passing(status),
            _ if too_slow => Self::Passing(status),
            Code::OutOfRange => Self::Fatal(Failure::new(format!(
                "{}\nEvents have been missed. Remove the file of --resume-file to begin anew with what stands now.",
                refusal(&status)
            ))),
            _ => Self::Fatal(refusal(&status)),
        }
    }
}

async fn follow(args: &FollowArgs, subject: Subject) -> Outcome {
    let mut place = Place::open(args.resume_file.as_deref())?;
    let (mut seen, mut tries, mut begun) = (0, 0u32, false);
    loop {
        let broken = match subject.open(&args.server, &place.token).await {
            Ok(mut stream) => {
                begun = true;
                loop {
                    match stream.next().await {
                        Ok(Some(message)) => {
                            if std::mem::take(&mut tries) > 0 {
                                eprintln!("note: the server is back");
                            }
                            if !message.quiet {
                                say!("{}", message.json);
                            }
                            // Only after it was told: whoever is killed in between is told again, and misses nothing.
                            place.move_to(message.token)?;
                            seen += u64::from(message.event);
                            if args.count.is_some_and(|count| seen >= count) {
                                return Ok(ExitCode::SUCCESS);
                            }
                        }
                        Ok(None) => {
                            break Broken::Passing(Status::unavailable("the server has ended the stream"));
                        }
                        Err(broken) => break broken,
                    }
                }
            }
            Err(broken) => broken,
        };
        let why = match broken {
            Broken::Fatal(failure) => return Err(failure),
            // Whoever mistyped the server wants to know it now.
            Broken::Away(failure) if !begun => return Err(failure),
            Broken::Away(failure) => failure.to_string().lines().next().unwrap_or_default().to_owned(),
            Broken::Passing(status) => status.message().to_owned(),
        };
        if tries == 0 {
            eprintln!("note: {why}; trying again");
        }
        let wait = Duration::from_millis(250).saturating_mul(2u32.saturating_pow(tries)).min(LONGEST);
        tries = tries.saturating_add(1);
        tokio::time::sleep(wait).await;
    }
}

/// How far we have come, in memory and in a file if there is one.
struct Place<'a> {
    token: String,
    file: Option<&'a Path>,
}

impl<'a> Place<'a> {
    fn open(file: Option<&'a Path>) -> Result<Self, Failure> {
        let token = match file.map(std::fs::read_to_string) {
            Some(Ok(text)) => text.trim().to_owned(),
            Some(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Some(Err(error)) => {
                let path = file.map(|file| file.display().to_string()).unwrap_or_default();
                return Err(Failure::new(format!("{path}: {error}")));
            }
            None => String::new(),
        };
        Ok(Self { token, file })
    }

    /// Empty within a snapshot: half of one cannot be resumed, and what was known before it still holds.
    fn move_to(&mut self, token: String) -> Result<(), Failure> {
        if token.is_empty() || token == self.token {
            return Ok(());
        }
        self.token = token;
        if let Some(file) = self.file {
            // Put in place whole: a reader, or we after a crash, never see half a token.
            let directory =
                file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let mut whole = tempfile::NamedTempFile::new_in(directory)?;
            whole.write_all(self.token.as_bytes())?;
            whole.persist(file)?;
        }
        Ok(())
    }
}
