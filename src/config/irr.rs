//! `[irr]`: the servers of the Internet Routing Registry.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

use super::error::Problems;
use super::values::{host_and_port, in_range};
use crate::irr::{IrrProtocol, IrrServerSettings, IrrSettings};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct IrrSection {
    servers: Vec<IrrServerEntry>,
    authoritative: Vec<String>,
}

impl Default for IrrSection {
    fn default() -> Self {
        let rirs = ["AFRINIC", "APNIC", "ARIN", "LACNIC", "RIPE"];
        Self { servers: Vec::new(), authoritative: rirs.map(str::to_owned).into() }
    }
}

/// An entry of `[[irr.servers]]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct IrrServerEntry {
    server: String,
    protocol: ProtocolName,
    sources: Vec<String>,
    connections: usize,
}

impl Default for IrrServerEntry {
    /// RADB allows four connections from one address.
    fn default() -> Self {
        Self { server: String::new(), protocol: ProtocolName::Irrd, sources: Vec::new(), connections: 4 }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum ProtocolName {
    Irrd,
    Ripe,
}

impl IrrServerEntry {
    fn check(&self, at: &str, problems: &mut Problems) -> Option<IrrServerSettings> {
        let connections = in_range(format!("{at}.connections"), self.connections, 1..=64, problems);
        for (index, name) in self.sources.iter().enumerate() {
            // The names become part of the query, so no other character may be in them.
            let valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if name.is_empty() || !name.chars().all(valid) {
                let message = format!("{name:?} is not the name of a source, such as RIPE");
                problems.add(format!("{at}.sources[{index}]"), message);
            }
        }
        Some(IrrServerSettings {
            server: host_and_port(format!("{at}.server"), &self.server, problems)?,
            protocol: match self.protocol {
                ProtocolName::Irrd => IrrProtocol::Irrd,
                ProtocolName::Ripe => IrrProtocol::Ripe,
            },
            sources: self.sources.clone(),
            connections: NonZeroUsize::new(connections)?,
        })
    }
}

impl IrrSection {
    pub(super) fn check(&self, problems: &mut Problems) -> IrrSettings {
        let mut servers = Vec::new();
        for (index, entry) in self.servers.iter().enumerate() {
            servers.extend(entry.check(&format!("irr.servers[{index}]"), problems));
        }
        IrrSettings { servers, authoritative: self.authoritative.clone() }
    }
}
