//! What the token must be allowed to do, and whether it is.

use std::fmt;

use reqwest::Method;
use serde_json::{Value, json};

use super::client::Client;
use super::error::{Error, Result};
use super::transport::Request;

/// What may be done with a kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Read.
    View,
    /// Create.
    Add,
    /// Update.
    Change,
    /// Delete.
    Delete,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::View => "view",
            Self::Add => "add",
            Self::Change => "change",
            Self::Delete => "delete",
        })
    }
}

/// One kind of object and what the token needs on it.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// NetBox's name of the type, as an object permission lists it.
    pub object_type: &'static str,
    path: &'static str,
    /// What is needed.
    pub rights: &'static [Right],
    /// Needed by `leasehold setup` only.
    pub setup_only: bool,
}

/// Everything that the token needs.
pub const NEEDS: &[Need] = &[
    Need {
        object_type: "ipam.prefix",
        path: "ipam/prefixes/",
        rights: &[Right::View, Right::Add, Right::Change, Right::Delete],
        setup_only: false,
    },
    Need {
        object_type: "ipam.ipaddress",
        path: "ipam/ip-addresses/",
        rights: &[Right::View, Right::Add, Right::Delete],
        setup_only: false,
    },
    Need { object_type: "ipam.iprange", path: "ipam/ip-ranges/", rights: &[Right::View], setup_only: false },
    Need { object_type: "ipam.vrf", path: "ipam/vrfs/", rights: &[Right::View], setup_only: false },
    Need { object_type: "ipam.role", path: "ipam/roles/", rights: &[Right::View], setup_only: false },
    Need {
        object_type: "tenancy.tenant",
        path: "tenancy/tenants/",
        rights: &[Right::View],
        setup_only: false,
    },
    Need { object_type: "extras.tag", path: "extras/tags/", rights: &[Right::View], setup_only: false },
    Need {
        object_type: "core.objectchange",
        path: "core/object-changes/",
        rights: &[Right::View],
        setup_only: false,
    },
    Need {
        object_type: "extras.customfield",
        path: "extras/custom-fields/",
        rights: &[Right::View, Right::Add, Right::Change],
        setup_only: true,
    },
    Need {
        object_type: "extras.customfieldchoiceset",
        path: "extras/custom-field-choice-sets/",
        rights: &[Right::View, Right::Add],
        setup_only: true,
    },
];

/// A right and whether the token has it.
#[derive(Clone, Debug)]
pub struct Finding {
    /// On what.
    pub need: Need,
    /// Which right.
    pub right: Right,
    /// Whether NetBox grants it.
    pub granted: bool,
}

/// Asks NetBox what the token may do, without writing: a GET for view, OPTIONS for add and change, and for delete a
/// bulk DELETE whose body names nothing, which NetBox refuses only after it has looked at the permission.
pub async fn check(client: &Client) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for need in NEEDS {
        for right in need.rights {
            let granted = match right {
                Right::View => can_view(client, need.path).await?,
                Right::Add => offers(client, need.path, "POST").await?,
                Right::Change => offers(client, need.path, "PUT").await?,
                Right::Delete => can_delete(client, need.path).await?,
            };
            findings.push(Finding { need: *need, right: *right, granted });
        }
    }
    Ok(findings)
}

async fn can_view(client: &Client, path: &str) -> Result<bool> {
    let query = [("limit", "1".to_owned()), ("fields", "id".to_owned())];
    granted(client.transport().read(Request::get(path, &query)).await.map(drop))
}

async fn offers(client: &Client, path: &str, method: &str) -> Result<bool> {
    let mut request = Request::get(path, &[]);
    request.method = Method::OPTIONS;
    match client.transport().read(request).await {
        Ok(answer) => Ok(answer.pointer(&format!("/actions/{method}")).is_some_and(Value::is_object)),
        Err(Error::Forbidden { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn can_delete(client: &Client, path: &str) -> Result<bool> {
    let nothing = json!({});
    match client.transport().write(Request::write(Method::DELETE, path, &nothing)).await {
        Err(Error::Rejected { .. }) => Ok(true),
        other => granted(other.map(drop)),
    }
}

fn granted(answer: Result<()>) -> Result<bool> {
    match answer {
        Ok(()) => Ok(true),
        Err(Error::Forbidden { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
