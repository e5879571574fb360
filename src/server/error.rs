//! Why a server cannot start, or ended badly.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::sources;
use crate::{cache, ledger, netbox, notify};

/// The server could not start. The message names the setting, file or port at fault. Tasks that were already started end with
/// the process.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    NetBox(#[from] netbox::NetBoxSettingsError),
    #[error(transparent)]
    Cache(#[from] cache::Error),
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    #[error("cannot create the directory {path}: {source}")]
    Directory { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Sources(#[from] sources::Error),
    #[error(transparent)]
    Notify(#[from] notify::Error),
    #[error("cannot listen on {listen}: {source}")]
    Listen { listen: SocketAddr, source: std::io::Error },
    #[error("cannot serve gRPC reflection: {0}")]
    Reflection(String),
    #[error("cannot read the descriptors of the API: {0}")]
    Descriptors(String),
}
