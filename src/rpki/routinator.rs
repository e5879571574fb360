//! Routinator's validity API: GET /api/v1/validity/ASN/PREFIX.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use url::Url;

use crate::model::{InvalidReason, Network, Route, RouteState, RouteVerdict, Vrp};
use crate::web::{self, Got, Web};

const MOST: usize = 4 << 20;

/// Why there is no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No document; 503 until its first validation has run.
    #[error(transparent)]
    Web(#[from] web::Error),
    /// Not the documented answer.
    #[error("its answer is not as documented: {0}")]
    Odd(String),
}

/// One Routinator.
#[derive(Clone, Debug)]
pub struct Routinator {
    web: Web,
    url: Url,
}

impl Routinator {
    /// At this base URL.
    pub fn new(url: Url) -> Result<Self, web::Error> {
        Ok(Self { web: Web::new(Duration::from_secs(10))?, url })
    }

    /// Asks for one route; the verdict, and the time of the data if it says so.
    pub async fn validity(&self, route: Route) -> Result<(RouteVerdict, Option<Timestamp>), Error> {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1", "validity", &route.origin.to_string()]);
            path.push(&route.prefix.first().to_string()).push(&route.prefix.length().to_string());
        }
        match self.web.get(&url, None, MOST).await? {
            Got::Document { body, .. } => {
                let answer = serde_json::from_slice(&body).map_err(|error| Error::Odd(error.to_string()))?;
                read(route, &answer)
            }
            Got::Unchanged => Err(Error::Odd("304 to a request without a tag".to_owned())),
        }
    }
}

/// What an answer says. Its state is taken as it is; its VRPs are the evidence, and must not contradict it.
fn read(route: Route, answer: &Value) -> Result<(RouteVerdict, Option<Timestamp>), Error> {
    let odd = |what: &str| Error::Odd(what.to_owned());
    let validity = answer.pointer("/validated_route/validity").ok_or_else(|| odd("it has no validity"))?;
    let mut vrps = Vec::new();
    if let Some(lists) = validity.get("VRPs").and_then(Value::as_object) {
        for list in lists.values().filter_map(Value::as_array) {
            for vrp in list {
                vrps.push(vrp_of(vrp).ok_or_else(|| Error::Odd(format!("{vrp} is no VRP")))?);
            }
        }
    }
    let reason = validity.get("reason").and_then(Value::as_str);
    let mut verdict = RouteVerdict::of(route, vrps);
    verdict.state = match (validity.get("state").and_then(Value::as_str), reason, verdict.state) {
        (Some("valid"), ..) => RouteState::Valid,
        (Some("invalid"), _, known @ RouteState::Invalid(_)) => known,
        (Some("invalid"), Some("length"), _) => RouteState::Invalid(InvalidReason::Length),
        (Some("invalid"), ..) => RouteState::Invalid(InvalidReason::Origin),
        (Some("not-found"), ..) => RouteState::NotFound,
        (state, ..) => return Err(Error::Odd(format!("state {state:?}"))),
    };
    let time = answer.get("generatedTime").and_then(Value::as_str).and_then(|text| text.parse().ok());
    Ok((verdict, time))
}

/// `max_length` is a text there.
fn vrp_of(value: &Value) -> Option<Vrp> {
    let prefix: Network = value.get("prefix")?.as_str()?.parse().ok()?;
    let asn = value.get("asn")?.as_str()?.strip_prefix("AS")?.parse().ok()?;
    let max_length = match value.get("max_length") {
        Some(Value::String(text)) => Some(text.parse().ok()?),
        Some(Value::Number(number)) => Some(u8::try_from(number.as_u64()?).ok()?),
        _ => None,
    };
    Vrp::new(prefix, max_length, asn).ok()
}
