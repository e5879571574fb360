//! The whole command line, as types.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::civil::Date;

use super::allocate::{AllocateArgs, AllocationsArgs};
use super::events::EventsArgs;
use super::expiring::ExpiringArgs;
use super::history::{self, HistoryArgs};
use super::irr::IrrArgs;
use super::notify::NotifyArgs;
use super::preflight::PreflightArgs;
use super::release::ReleaseArgs;
use super::reputation::ReputationArgs;
use super::validate::ValidateArgs;
use super::watch::WatchArgs;
use crate::config::Flags;
use crate::model::{Asn, RequestId};

/// A gRPC sidecar to NetBox for leased IPv4 space.
#[derive(Debug, Parser)]
#[command(name = "leasehold", version, about, max_term_width = 110)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server
    Serve(ServeArgs),
    /// Run an emulated NetBox and a server in one process and tell the article's story with real calls
    Demo(DemoArgs),
    /// Create the custom fields in NetBox and check what the token may do
    Setup(SetupArgs),
    /// Run a NetBox in memory that speaks the REST that Leasehold uses
    EmulateNetbox(EmulateArgs),
    /// How the server is doing
    Status(StatusArgs),
    /// Who's on this address? (exit 3 if nothing is recorded)
    Lookup(LookupArgs),
    /// Register, show, list, renew and end leases
    Lease(LeaseArgs),
    /// List leases that run out (exit 3 if one does within --fail-within)
    Expiring(ExpiringArgs),
    /// May this block be announced? (exit 3 if it is BLOCKED)
    Preflight(PreflightArgs),
    /// Does the RPKI authorise this announcement? (exit 3 unless it is valid)
    Validate(ValidateArgs),
    /// Do the registries hold a route object for it? (exit 3 unless they do)
    Irr(IrrArgs),
    /// What the blocklists say of a block or an address (exit 3 if it is listed)
    Reputation(ReputationArgs),
    /// Allocate addresses, a child prefix, or one named address
    Allocate(AllocateArgs),
    /// Show what a request allocated, or list allocations
    Allocations(AllocationsArgs),
    /// Give addresses back
    Release(ReleaseArgs),
    /// Follow what happens: a JSON object a line
    Watch(WatchArgs),
    /// List what happened
    Events(EventsArgs),
    /// What happened to an address and to the prefixes that held it
    History(HistoryArgs),
    /// Look at, try and mend where events are sent to
    Notify(NotifyArgs),
    /// Look at the settings
    Config(ConfigArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Write man pages
    Man(ManArgs),
}

/// Where settings come from.
#[derive(Debug, Args)]
pub(crate) struct SettingsArgs {
    /// Settings file (TOML) [default: /etc/leasehold/leasehold.toml if it is there]
    #[arg(long, env = "LEASEHOLD_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// NetBox's address, without /api (netbox.url)
    #[arg(long, value_name = "URL")]
    pub(crate) netbox_url: Option<String>,
    /// File that holds NetBox's API token (netbox.token_file)
    #[arg(long, value_name = "FILE")]
    pub(crate) netbox_token_file: Option<PathBuf>,
}

impl SettingsArgs {
    pub(crate) fn flags(&self) -> Flags {
        Flags {
            netbox_url: self.netbox_url.clone(),
            netbox_token_file: self.netbox_token_file.clone(),
            ..Flags::default()
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// Where gRPC listens (server.grpc_listen)
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) grpc_listen: Option<SocketAddr>,
    /// Where the HTTP side listens (server.http_listen)
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) http_listen: Option<SocketAddr>,
    /// Where cache and ledger are kept (storage.directory)
    #[arg(long, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    /// Listen outside loopback although callers are not authenticated (server.allow_remote)
    #[arg(long)]
    pub(crate) allow_remote: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// End after the story; exit 0 only if every step gave what it should
    #[arg(long)]
    pub(crate) exit: bool,
    /// Where gRPC listens [default: 127.0.0.1:50051, with --exit any free port]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) grpc_listen: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub(crate) struct SetupArgs {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// Print what would be done and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the permissions that the token needs and end
    #[arg(long)]
    pub(crate) print_permissions: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EmulateArgs {
    /// Where it listens
    #[arg(long, default_value = "127.0.0.1:8000", value_name = "ADDRESS:PORT")]
    pub(crate) listen: SocketAddr,
    /// The token that it accepts
    #[arg(long, default_value = "0123456789abcdef0123456789abcdef01234567", value_name = "TOKEN")]
    pub(crate) token: String,
    /// Begin with so many prefixes
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub(crate) prefixes: u32,
    /// Begin with so many addresses
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub(crate) addresses: u32,
    /// Delay of every answer, in milliseconds
    #[arg(long, default_value_t = 0, value_name = "MS")]
    pub(crate) delay_ms: u64,
    /// Of a hundred writes, so many are committed and get no answer
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) drop_after_commit: u8,
    /// Of a hundred requests, so many get 500 and nothing is done
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) fail: u8,
    /// Of a hundred requests, so many get 429 with Retry-After
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) throttle: u8,
    /// Of a hundred answers, so many end in the middle
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) cut: u8,
}

/// How a client command reaches the server.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// The server
    #[arg(long, env = "LEASEHOLD_SERVER", default_value = "http://127.0.0.1:50051", value_name = "URL")]
    pub(crate) server: String,
    /// Bearer token for a proxy before the server
    #[arg(long, env = "LEASEHOLD_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
    /// Longest wait for an answer, in seconds
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub(crate) timeout: u64,
}

#[derive(Debug, Args)]
pub(crate) struct ClientArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Table for people, JSON for programs (as grpcurl prints it)
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Table,
    Json,
}

/// An announcement.
#[derive(Debug, Args)]
pub(crate) struct RouteArgs {
    /// The prefix as it would be announced
    #[arg(value_name = "PREFIX")]
    pub(crate) prefix: String,
    /// The AS that would announce it [default: the one that the lease names]
    #[arg(long, value_name = "ASN")]
    pub(crate) origin: Option<Asn>,
    /// VRF of the lease, by NetBox's id [default: the global table]
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "ID")]
    pub(crate) vrf: u64,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// Wait until the cache is filled, with a progress bar
    #[arg(long)]
    pub(crate) wait: bool,
    /// Start a full pass first
    #[arg(long)]
    pub(crate) full_sync: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LookupArgs {
    /// IPv4 or IPv6 addresses
    #[arg(required = true, value_name = "ADDRESS")]
    pub(crate) addresses: Vec<IpAddr>,
    /// As of this instant instead of now: a date, a date and time (UTC), or RFC 3339 with an offset
    #[arg(long, value_name = "TIME", value_parser = history::instant)]
    pub(crate) at: Option<jiff::Timestamp>,
    /// VRF, by NetBox's id [default: the global table]
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "ID")]
    pub(crate) vrf: u64,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LeaseArgs {
    #[command(subcommand)]
    pub(crate) command: LeaseCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LeaseCommand {
    /// Register a leased block: the prefix and its lease in one call
    Register(RegisterArgs),
    /// Show the lease that covers a prefix or an address
    Show(ShowArgs),
    /// List leases
    List(ListArgs),
    /// Move the expiry of a lease
    Renew(RenewArgs),
    /// End a lease
    End(EndArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RegisterArgs {
    /// The leased block
    #[arg(value_name = "PREFIX")]
    pub(crate) prefix: String,
    /// Who holds the resource
    #[arg(long)]
    pub(crate) owner: String,
    /// First day of the term
    #[arg(long, value_name = "DATE")]
    pub(crate) start: Option<Date>,
    /// Last day of the term, inclusive
    #[arg(long, value_name = "DATE")]
    pub(crate) expiry: Date,
    /// Last day to renew or give notice
    #[arg(long, value_name = "DATE")]
    pub(crate) notice: Option<Date>,
    /// Reference of the Letter of Authorisation
    #[arg(long, default_value = "", hide_default_value = true, value_name = "REFERENCE")]
    pub(crate) loa: String,
    /// The AS number that may originate the block
    #[arg(long, value_name = "ASN")]
    pub(crate) origin_asn: Option<Asn>,
    /// Description of the prefix
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) description: String,
    /// Tenant, by slug
    #[arg(long, default_value = "", hide_default_value = true, value_name = "SLUG")]
    pub(crate) tenant: String,
    /// Prefix role, by slug
    #[arg(long, default_value = "", hide_default_value = true, value_name = "SLUG")]
    pub(crate) role: String,
    /// Tag, by slug; may be repeated
    #[arg(long = "tag", value_name = "SLUG")]
    pub(crate) tags: Vec<String>,
    /// VRF, by NetBox's id [default: the global table]
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "ID")]
    pub(crate) vrf: u64,
    /// Identity of this request, so that a retry is known as one [default: a new one]
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<RequestId>,
    /// Check and print what would be recorded, without writing
    #[arg(long)]
    pub(crate) validate_only: bool,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Prefix, address or NetBox's id of a prefix
    #[arg(value_name = "PREFIX|ADDRESS|ID")]
    pub(crate) key: String,
    /// VRF, by NetBox's id [default: the global table]
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "ID")]
    pub(crate) vrf: u64,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only of this owner
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) owner: String,
    /// Only of this tenant, by slug
    #[arg(long, default_value = "", hide_default_value = true, value_name = "SLUG")]
    pub(crate) tenant: String,
    /// Only with a last day before this date
    #[arg(long, value_name = "DATE")]
    pub(crate) expiring_before: Option<Date>,
    /// Only with this verdict of origin validation
    #[arg(long, value_name = "valid|invalid|unknown")]
    pub(crate) roa_status: Option<crate::model::RoaStatus>,
    /// Only with this reputation
    #[arg(long, value_name = "clean|listed|watch")]
    pub(crate) reputation: Option<crate::model::Reputation>,
    /// Only of this VRF, by NetBox's id; 0 for the global table
    #[arg(long, value_name = "ID")]
    pub(crate) vrf: Option<u64>,
    /// Order: expiry, owner or prefix, with " desc" for the highest first
    #[arg(long, default_value = "expiry", value_name = "ORDER")]
    pub(crate) order_by: String,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RenewArgs {
    /// Prefix, or NetBox's id of it
    #[arg(value_name = "PREFIX|ID")]
    pub(crate) key: String,
    /// New last day, inclusive
    #[arg(long, value_name = "DATE")]
    pub(crate) expiry: Date,
    /// New last day to renew or give notice
    #[arg(long, value_name = "DATE")]
    pub(crate) notice: Option<Date>,
    /// New reference of the Letter of Authorisation [default: kept]
    #[arg(long, default_value = "", hide_default_value = true, value_name = "REFERENCE")]
    pub(crate) loa: String,
    /// Allow an earlier last day than the recorded one
    #[arg(long)]
    pub(crate) allow_earlier: bool,
    /// VRF, by NetBox's id [default: the global table]
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "ID")]
    pub(crate) vrf: u64,
    /// Check and print what would be recorded, without writing
    #[arg(long)]
    pub(crate) validate_only: bool,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

#[derive(Debug, Args)]
pub(crate) struct EndArgs {
    /// Prefix, or NetBox's id of it
    #[arg(value_name = "PREFIX|ID")]
    pub(crate) key: String,
    /// End it even though addresses of the block are recorded
    #[arg(long)]
    pub(crate) allow_in_use: bool,
    /// Delete the prefix instead of marking it deprecated
    #[arg(long)]
    pub(crate) delete_prefix: bool,
    /// VRF, by NetBox's id [default: the global table]
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "ID")]
    pub(crate) vrf: u64,
    /// Check and print what would happen, without writing
    #[arg(long)]
    pub(crate) validate_only: bool,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check the settings and print the effective ones, without secrets (exit 3 if they are not right)
    Check(SettingsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Directory to write them to
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}
