//! One request to NetBox's REST API, before it is sent.

use reqwest::Method;
use serde_json::Value;

/// A query parameter: its name as NetBox spells it, and one value. A name may occur more than once.
pub(super) type QueryParameter<'a> = (&'a str, String);

/// One request, without the base URL and the headers that all requests share.
#[derive(Clone, Debug)]
pub(super) struct ApiRequest<'a> {
    pub(super) method: Method,
    /// Relative to `/api/`, with a trailing slash. Example: `ipam/prefixes/`.
    pub(super) path: &'a str,
    pub(super) query: &'a [QueryParameter<'a>],
    pub(super) body: Option<&'a Value>,
    /// The ETag that the record must still have (If-Match).
    pub(super) if_match: Option<&'a str>,
    /// Whether this is one page of a full pass; such a request uses a connection of its own.
    pub(super) bulk: bool,
}

impl<'a> ApiRequest<'a> {
    pub(super) fn get(path: &'a str, query: &'a [QueryParameter<'a>]) -> Self {
        Self { method: Method::GET, path, query, body: None, if_match: None, bulk: false }
    }

    /// A GET of one page of a full pass.
    pub(super) fn page(path: &'a str, query: &'a [QueryParameter<'a>]) -> Self {
        Self { bulk: true, ..Self::get(path, query) }
    }

    pub(super) fn write(method: Method, path: &'a str, body: &'a Value) -> Self {
        Self { method, path, query: &[], body: Some(body), if_match: None, bulk: false }
    }

    /// Method and path, for error texts.
    pub(super) fn attempt(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}
