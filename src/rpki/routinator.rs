//! Origin validation by Routinator's validity API: GET /api/v1/validity/ASN/PREFIX.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use url::Url;

use crate::model::{Failure, InvalidReason, Network, Route, RouteState, RouteVerdict, SourceFault, Vrp};
use crate::web::{self, Fetched, WebClient};

/// The largest answer that is read, in bytes.
const MAX_BYTES: usize = 4 << 20;

/// Why Routinator gave no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Routinator answers 503 until its first validation run is complete.
    #[error(transparent)]
    Web(#[from] web::Error),
    #[error("its answer is not as documented: {0}")]
    UnexpectedAnswer(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Web(error) => error.into(),
            Error::UnexpectedAnswer(_) => SourceFault::AnswerInvalid.failure(message),
        }
    }
}

/// A client of one Routinator.
#[derive(Clone, Debug)]
pub struct Routinator {
    client: WebClient,
    base_url: Url,
}

impl Routinator {
    /// Makes a client; nothing is asked yet.
    pub fn new(base_url: Url) -> Result<Self, web::Error> {
        Ok(Self { client: WebClient::new(Duration::from_secs(10))?, base_url })
    }

    /// Asks about one route. Returns the verdict and, if the answer has it, the time of the data.
    pub async fn validate(&self, route: Route) -> Result<(RouteVerdict, Option<Timestamp>), Error> {
        let mut url = self.base_url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1", "validity", &route.origin.to_string()]);
            path.push(&route.prefix.first().to_string()).push(&route.prefix.length().to_string());
        }
        match self.client.get(&url, None, MAX_BYTES).await? {
            Fetched::Document { body, .. } => {
                let answer = serde_json::from_slice(&body)
                    .map_err(|_| Error::UnexpectedAnswer("it is not JSON".to_owned()))?;
                parse(route, &answer)
            }
            Fetched::Unchanged => Err(Error::UnexpectedAnswer("304 to a request without an ETag".to_owned())),
        }
    }
}

/// Takes the state from the answer; its VRPs are the evidence and give the reason of an Invalid.
fn parse(route: Route, answer: &Value) -> Result<(RouteVerdict, Option<Timestamp>), Error> {
    let unexpected = |why: &str| Error::UnexpectedAnswer(why.to_owned());
    let validity =
        answer.pointer("/validated_route/validity").ok_or_else(|| unexpected("it has no validity"))?;
    let mut vrps = Vec::new();
    if let Some(lists) = validity.get("VRPs").and_then(Value::as_object) {
        for list in lists.values().filter_map(Value::as_array) {
            for vrp in list {
                vrps.push(parse_vrp(vrp).ok_or_else(|| unexpected(&format!("{vrp} is not a VRP")))?);
            }
        }
    }
    let reason = validity.get("reason").and_then(Value::as_str);
    let mut verdict = RouteVerdict::validate(route, vrps);
    verdict.state = match (validity.get("state").and_then(Value::as_str), reason, verdict.state) {
        (Some("valid"), ..) => RouteState::Valid,
        (Some("invalid"), _, known @ RouteState::Invalid(_)) => known,
        (Some("invalid"), Some("length"), _) => RouteState::Invalid(InvalidReason::Length),
        (Some("invalid"), ..) => RouteState::Invalid(InvalidReason::Origin),
        (Some("not-found"), ..) => RouteState::NotFound,
        (state, ..) => return Err(unexpected(&format!("state {state:?}"))),
    };
    let time = answer.get("generatedTime").and_then(Value::as_str).and_then(|text| text.parse().ok());
    Ok((verdict, time))
}

/// Routinator writes `max_length` as a string.
fn parse_vrp(value: &Value) -> Option<Vrp> {
    let prefix: Network = value.get("prefix")?.as_str()?.parse().ok()?;
    let asn = value.get("asn")?.as_str()?.strip_prefix("AS")?.parse().ok()?;
    let max_length = match value.get("max_length") {
        Some(Value::String(text)) => Some(text.parse().ok()?),
        Some(Value::Number(number)) => Some(u8::try_from(number.as_u64()?).ok()?),
        _ => None,
    };
    Vrp::new(prefix, max_length, asn).ok()
}
