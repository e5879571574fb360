//! Options that several commands share.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::output::OutputArgs;
use super::references::parse_vrf;
use crate::config::Flags;
use crate::model::{Asn, RequestId};
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

/// How long a command may take unless `--timeout` says something else.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);

/// How a client command reaches the server.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// The server, such as http://127.0.0.1:50051
    #[arg(long, env = "LEASEHOLD_SERVER", default_value = "http://127.0.0.1:50051", value_name = "URL")]
    pub(crate) server: String,
    /// Bearer token for a proxy in front of the server
    #[arg(long, env = "LEASEHOLD_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
    /// Longest time for the whole command, in seconds or such as 5m [default: 60; with --wait, and for a watch, none]
    #[arg(long, value_name = "SECONDS", value_parser = parse_timeout)]
    pub(crate) timeout: Option<Duration>,
}

/// Reads `90`, `90s`, `5m` or `2h`.
fn parse_timeout(text: &str) -> Result<Duration, String> {
    let (number, seconds) = match text.split_at_checked(text.len().saturating_sub(1)) {
        Some((number, "s")) => (number, 1),
        Some((number, "m")) => (number, 60),
        Some((number, "h")) => (number, 3600),
        _ => (text, 1),
    };
    let week = 7 * 24 * 3600;
    let all = number.parse::<u32>().ok().and_then(|number| u64::from(number).checked_mul(seconds));
    match all {
        Some(0) => Err("is no time to wait: the least is 1".to_owned()),
        Some(all) if all <= week => Ok(Duration::from_secs(all)),
        Some(_) => Err("is longer than a week".to_owned()),
        None => Err("is not a time such as 90, 90s, 5m or 2h".to_owned()),
    }
}

/// The options of every client command that ends by itself.
#[derive(Debug, Args)]
pub(crate) struct ClientArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// The options of every command that writes.
#[derive(Debug, Args)]
pub(crate) struct WriteArgs {
    /// Id of this request, by which a retry is recognised [default: a new one, printed before the request is sent]
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<RequestId>,
    /// Check and print what would be written, without writing
    #[arg(long)]
    pub(crate) validate_only: bool,
}

impl WriteArgs {
    /// The id as the API takes it; empty if none is needed.
    pub(crate) fn id(&self) -> String {
        self.request_id.clone().map(String::from).unwrap_or_default()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_a_number_of_seconds_or_has_a_unit() {
        let seconds = |text| parse_timeout(text).map(|timeout| timeout.as_secs());
        assert_eq!(
            [seconds("90"), seconds("90s"), seconds("5m"), seconds("2h")],
            [Ok(90), Ok(90), Ok(300), Ok(7200)]
        );
    }

    #[test]
    fn no_time_and_no_end_are_refused_as_a_timeout() {
        for wrong in ["0", "0m", "", "s", "-1", "1.5", "5d", "169h", "4294967296", "60é"] {
            assert!(parse_timeout(wrong).is_err(), "{wrong}");
        }
    }
}
