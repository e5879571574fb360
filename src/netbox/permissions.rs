//! The object permissions that the token's user needs in NetBox, and a check of which ones are granted.

use std::fmt;

use reqwest::Method;
use serde_json::{Value, json};

use super::client::Client;
use super::error::{Error, NetBoxResult};
use super::request::ApiRequest;

/// An action of a NetBox object permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PermissionAction {
    View,
    Add,
    Change,
    Delete,
}

impl fmt::Display for PermissionAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::View => "view",
            Self::Add => "add",
            Self::Change => "change",
            Self::Delete => "delete",
        })
    }
}

/// One object type and the actions on it that the token's user needs.
#[derive(Clone, Copy, Debug)]
pub struct RequiredPermission {
    /// NetBox's name of the type, as an object permission lists it. Example: `ipam.prefix`.
    pub object_type: &'static str,
    path: &'static str,
    pub actions: &'static [PermissionAction],
    /// Whether only `leasehold setup` needs it, and `leasehold serve` does not.
    pub setup_only: bool,
}

const fn serving(
    object_type: &'static str,
    path: &'static str,
    actions: &'static [PermissionAction],
) -> RequiredPermission {
    RequiredPermission { object_type, path, actions, setup_only: false }
}

const fn setup(
    object_type: &'static str,
    path: &'static str,
    actions: &'static [PermissionAction],
) -> RequiredPermission {
    RequiredPermission { object_type, path, actions, setup_only: true }
}

/// Every object permission that Leasehold needs.
pub const REQUIRED_PERMISSIONS: &[RequiredPermission] = {
    use PermissionAction::{Add, Change, Delete, View};
    &[
        serving("ipam.prefix", "ipam/prefixes/", &[View, Add, Change, Delete]),
        serving("ipam.ipaddress", "ipam/ip-addresses/", &[View, Add, Delete]),
        serving("ipam.iprange", "ipam/ip-ranges/", &[View]),
        serving("ipam.vrf", "ipam/vrfs/", &[View]),
        serving("ipam.role", "ipam/roles/", &[View]),
        serving("tenancy.tenant", "tenancy/tenants/", &[View]),
        serving("extras.tag", "extras/tags/", &[View]),
        serving("core.objectchange", "core/object-changes/", &[View]),
        setup("extras.customfield", "extras/custom-fields/", &[View, Add, Change]),
        setup("extras.customfieldchoiceset", "extras/custom-field-choice-sets/", &[View, Add]),
    ]
};

/// The answer to one question: whether NetBox grants an action on an object type.
#[derive(Clone, Debug)]
pub struct PermissionCheck {
    pub required: RequiredPermission,
    pub action: PermissionAction,
    pub granted: bool,
}

/// Asks NetBox which of the [`REQUIRED_PERMISSIONS`] are granted, without writing anything.
///
/// `view` is a GET of one row, `add` and `change` are read from the answer to OPTIONS, and `delete` is a DELETE of a list
/// whose body is no list: NetBox checks the permission first and refuses the body only after that.
pub async fn check(client: &Client) -> NetBoxResult<Vec<PermissionCheck>> {
    let mut checks = Vec::new();
    for required in REQUIRED_PERMISSIONS {
        for action in required.actions {
            let granted = match action {
                PermissionAction::View => can_view(client, required.path).await?,
                PermissionAction::Add => offers(client, required.path, "POST").await?,
                PermissionAction::Change => offers(client, required.path, "PUT").await?,
                PermissionAction::Delete => can_delete(client, required.path).await?,
            };
            checks.push(PermissionCheck { required: *required, action: *action, granted });
        }
    }
    Ok(checks)
}

async fn can_view(client: &Client, path: &str) -> NetBoxResult<bool> {
    let query = [("limit", "1".to_owned()), ("fields", "id".to_owned())];
    granted(client.transport().read(ApiRequest::get(path, &query)).await.map(drop))
}

async fn offers(client: &Client, path: &str, method: &str) -> NetBoxResult<bool> {
    let mut request = ApiRequest::get(path, &[]);
    request.method = Method::OPTIONS;
    match client.transport().read(request).await {
        Ok(answer) => Ok(answer.pointer(&format!("/actions/{method}")).is_some_and(Value::is_object)),
        Err(Error::Forbidden { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn can_delete(client: &Client, path: &str) -> NetBoxResult<bool> {
    let no_list = json!({});
    match client.transport().write(ApiRequest::write(Method::DELETE, path, &no_list)).await {
        Err(error) if error.is_content_refused() => Ok(true),
        other => granted(other.map(drop)),
    }
}

fn granted(answer: NetBoxResult<()>) -> NetBoxResult<bool> {
    match answer {
        Ok(()) => Ok(true),
        Err(Error::Forbidden { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
