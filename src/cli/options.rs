//! Options that several commands share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::references::parse_vrf;
use crate::config::Flags;
use crate::model::Asn;
use crate::rpc::proto::v1;

/// Where the settings of a command without a server come from.
#[derive(Debug, Args)]
pub(crate) struct SettingsArgs {
    /// Settings file (TOML) [default: /etc/leasehold/leasehold.toml if it exists]
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
    /// The flags that override settings of the same name.
    pub(crate) fn flags(&self) -> Flags {
        Flags {
            netbox_url: self.netbox_url.clone(),
            netbox_token_file: self.netbox_token_file.clone(),
            ..Flags::default()
        }
    }
}

/// How a client command reaches the server.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// The server, such as http://127.0.0.1:50051
    #[arg(long, env = "LEASEHOLD_SERVER", default_value = "http://127.0.0.1:50051", value_name = "URL")]
    pub(crate) server: String,
    /// Bearer token for a proxy in front of the server
    #[arg(long, env = "LEASEHOLD_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
    /// Longest wait for an answer, in seconds
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub(crate) timeout: u64,
}

/// The options of every client command that prints one answer.
#[derive(Debug, Args)]
pub(crate) struct ClientArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Table for people, JSON for programs (as grpcurl prints it)
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: OutputFormat,
}

/// The format of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    #[default]
    Table,
    Json,
}

/// The VRF that a prefix or an address is in.
#[derive(Debug, Args)]
pub(crate) struct ScopeArgs {
    /// VRF: its id, name or RD [default: the global table]
    #[arg(long, value_name = "VRF", value_parser = parse_vrf)]
    pub(crate) vrf: Option<v1::VrfRef>,
}

/// An announcement to check.
#[derive(Debug, Args)]
pub(crate) struct RouteArgs {
    /// The prefix as it would be announced
    #[arg(value_name = "PREFIX")]
    pub(crate) prefix: String,
    /// The AS that would announce it [default: the one that the lease names]
    #[arg(long, value_name = "ASN")]
    pub(crate) origin: Option<Asn>,
    #[command(flatten)]
    pub(crate) scope: ScopeArgs,
}
