//! Who may read the calendar of leases, and the routes that serve it.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::ical;
use crate::cache::Cache;
use crate::expiry::Schedule;
use crate::model::{Prefix, digest};

/// The calendar of all leases that the cache holds, behind a token.
#[derive(Clone)]
pub struct Calendar {
    /// The token that a reader must present.
    pub token: SecretString,
    pub cache: Arc<Cache>,
    /// The thresholds of lease events. An entry has an alarm on each of these days.
    pub alarms: Schedule,
    /// NetBox's base URL, for the links of entries.
    pub netbox: Url,
}

/// The query of a calendar URL.
#[derive(Debug, Deserialize)]
pub(super) struct CalendarQuery {
    /// Only leases of exactly this owner.
    owner: Option<String>,
}

/// The body of a 503 before the first full pass over NetBox has ended.
pub(super) const NOT_READY: &str = "no records have been read from NetBox yet\n";

impl Calendar {
    /// Whether a token is the right one. Digests are compared, so that the time of the comparison tells nothing about the token.
    fn admits(&self, token: &str) -> bool {
        Sha256::digest(token.as_bytes()) == Sha256::digest(self.token.expose_secret().as_bytes())
    }

    fn answer(&self, headers: &HeaderMap, query: &CalendarQuery) -> Response {
        let Ok(index) = self.cache.ready_snapshot() else {
            return (StatusCode::SERVICE_UNAVAILABLE, NOT_READY).into_response();
        };
        let owner = query.owner.as_deref();
        let of_owner = |prefix: &&Arc<Prefix>| {
            let lease = prefix.lease.as_deref();
            owner.is_none() || owner == lease.and_then(|lease| lease.owner.as_deref())
        };
        let leases: Vec<Arc<Prefix>> = index.leased().filter(of_owner).cloned().collect();
        let text = ical::write(&leases, &self.alarms, &self.netbox, owner);
        // An unchanged calendar has an unchanged tag, so that a program that polls it reads it only after a change.
        let tag = format!("\"{}\"", digest(&text, 16));
        let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let unchanged = known.flat_map(|value| value.split(',')).any(|known| known.trim() == tag);
        let caching = [(ETAG, tag.as_str()), (CACHE_CONTROL, "private, no-cache")];
        if unchanged {
            return (StatusCode::NOT_MODIFIED, caching).into_response();
        }
        (caching, [(CONTENT_TYPE, "text/calendar; charset=utf-8")], text).into_response()
    }
}

/// Answers `GET /calendar.ics` with the header `Authorization: Bearer TOKEN`.
pub(super) async fn by_header(
    State(calendar): State<Calendar>,
    headers: HeaderMap,
    Query(query): Query<CalendarQuery>,
) -> Response {
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bearer "));
    match token {
        Some(token) if calendar.admits(token) => calendar.answer(&headers, &query),
        _ => (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], "a token is required\n")
            .into_response(),
    }
}

/// Answers `GET /calendar/TOKEN/calendar.ics`, for programs that take a URL and cannot send a header.
pub(super) async fn by_path(
    State(calendar): State<Calendar>,
    Path(token): Path<String>,
    headers: HeaderMap,
    Query(query): Query<CalendarQuery>,
) -> Response {
    if calendar.admits(&token) {
        calendar.answer(&headers, &query)
    } else {
        (StatusCode::NOT_FOUND, "not found\n").into_response()
    }
}
