//! RIPEstat as a route collector. `bgp-state` is minutes old and names the origins; `routing-status` is a snapshot made every
//! eight hours, and knows the visibility and what is announced inside and around a prefix.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;

use super::collector::{ObservedOrigin, RouteCollector, RouteObservation, Visibility};
use crate::model::{Asn, Cause, CouldNotCheck, Network, Observed, Route};
use crate::ripestat::{Error, RipeStat, asn, time};

/// Names of the two data calls, as sources of an observation.
const STATE: &str = "ripestat bgp-state";
const STATUS: &str = "ripestat routing-status";

/// A collector that asks RIPEstat's `bgp-state` and `routing-status` and combines their answers.
#[derive(Clone, Debug)]
pub struct RipeStatCollector {
    stat: RipeStat,
}

impl RipeStatCollector {
    /// A collector over a RIPEstat client, which it shares with the other users of RIPEstat.
    pub fn new(stat: RipeStat) -> Self {
        Self { stat }
    }
}

#[async_trait]
impl RouteCollector for RipeStatCollector {
    async fn observe(&self, prefix: Network) -> Result<Observed<RouteObservation>, CouldNotCheck> {
        let resource = prefix.to_string();
        let parameters = [("resource", resource.as_str())];
        let (state, status) = tokio::join!(
            self.stat.data("bgp-state", &parameters),
            self.stat.data("routing-status", &parameters)
        );
        let state = state.and_then(|data| origins_of_state(prefix, &data));
        let status = status.and_then(|data| status_of(prefix, &data));
        combine(state, status)
    }
}

/// Origins, and the time of the data.
type Origins = (Vec<ObservedOrigin>, Timestamp);

/// Takes the origins from `bgp-state`, which is fresher, and the rest from `routing-status`. Either one suffices; what the
/// other would have added becomes a gap.
fn combine(
    state: Result<Origins, Error>,
    status: Result<(RouteObservation, Timestamp), Error>,
) -> Result<Observed<RouteObservation>, CouldNotCheck> {
    let cause = |source: &str, error: Error| Cause::new(source, error);
    match (state, status) {
        (Ok((origins, at)), Ok((snapshot, _))) => Ok(Observed {
            value: RouteObservation { origins, ..snapshot },
            source: STATE.to_owned(),
            time: at,
        }),
        (Ok((origins, at)), Err(error)) => {
            let gaps = vec![format!("{STATUS}: {error}")];
            let value = RouteObservation {
                origins,
                visibility: None,
                more_specifics: None,
                less_specifics: None,
                gaps,
            };
            Ok(Observed { value, source: STATE.to_owned(), time: at })
        }
        (Err(error), Ok((mut snapshot, at))) => {
            snapshot.gaps.push(format!("{STATE}: {error}"));
            Ok(Observed { value: snapshot, source: STATUS.to_owned(), time: at })
        }
        (Err(state), Err(status)) => {
            Err(CouldNotCheck { causes: vec![cause(STATE, state), cause(STATUS, status)] })
        }
    }
}

/// Parses `bgp-state`: one entry for each route of a peer. The origin is the last AS of its path.
fn origins_of_state(prefix: Network, data: &Value) -> Result<Origins, Error> {
    let routes =
        data.get("bgp_state").and_then(Value::as_array).ok_or_else(|| undocumented("it has no bgp_state"))?;
    let at = time(data.get("query_time")).ok_or_else(|| undocumented("it has no query_time"))?;
    let mut counted: BTreeMap<Asn, u32> = BTreeMap::new();
    for route in routes {
        let exact =
            route.get("target_prefix").and_then(Value::as_str).is_none_or(|text| text.parse() == Ok(prefix));
        let origin = route.get("path").and_then(Value::as_array).and_then(|path| path.last()).and_then(asn);
        // A path that ends in an AS_SET has no origin (RFC 6811, section 2: NONE).
        if let (true, Some(origin)) = (exact, origin.and_then(|number| Asn::try_from(number).ok())) {
            *counted.entry(origin).or_default() += 1;
        }
    }
    let mut origins: Vec<ObservedOrigin> =
        counted.into_iter().map(|(asn, routes)| ObservedOrigin { asn, routes: Some(routes) }).collect();
    origins.sort_by_key(|origin| std::cmp::Reverse(origin.routes));
    Ok((origins, at))
}

/// Parses `routing-status`: origins, visibility, and what is announced inside and around the prefix.
fn status_of(prefix: Network, data: &Value) -> Result<(RouteObservation, Timestamp), Error> {
    let at = time(data.get("query_time")).ok_or_else(|| undocumented("it has no query_time"))?;
    let listed =
        data.get("origins").and_then(Value::as_array).ok_or_else(|| undocumented("it has no origins"))?;
    let origin =
        |entry: &Value| entry.get("origin").and_then(asn).and_then(|number| Asn::try_from(number).ok());
    let origins = listed.iter().filter_map(origin).map(|asn| ObservedOrigin { asn, routes: None }).collect();
    let family = if prefix.is_ipv4() { "v4" } else { "v6" };
    let count = |name: &str| {
        let number = data.pointer(&format!("/visibility/{family}/{name}"))?.as_u64()?;
        u32::try_from(number).ok()
    };
    let visibility = match (count("ris_peers_seeing"), count("total_ris_peers")) {
        (Some(seeing), Some(total)) => Some(Visibility { seeing, total }),
        _ => None,
    };
    let routes = |name: &str| -> Option<Vec<Route>> {
        let route = |entry: &Value| {
            let prefix = entry.get("prefix")?.as_str()?.parse().ok()?;
            Some(Route { prefix, origin: origin(entry)? })
        };
        Some(data.get(name)?.as_array()?.iter().filter_map(route).collect())
    };
    let (more_specifics, less_specifics) = (routes("more_specifics"), routes("less_specifics"));
    let mut gaps = Vec::new();
    if more_specifics.is_none() {
        gaps.push(format!("{STATUS}: it has no more_specifics"));
    }
    Ok((RouteObservation { origins, visibility, more_specifics, less_specifics, gaps }, at))
}

fn undocumented(what: &str) -> Error {
    Error::Undocumented(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn asns(origins: &[ObservedOrigin]) -> Vec<u32> {
        origins.iter().map(|origin| origin.asn.number()).collect()
    }

    #[test]
    fn origins_are_counted_from_paths() {
        let data = json!({ "query_time": "2026-11-24T08:00:00", "bgp_state": [
            { "target_prefix": "203.0.113.0/24", "path": [1, 2, 64501] },
            { "target_prefix": "203.0.113.0/24", "path": [1, 64500] },
            { "target_prefix": "203.0.113.0/24", "path": [3, "64500"] },
            { "target_prefix": "203.0.113.0/25", "path": [3, 64502] },
            { "target_prefix": "203.0.113.0/24", "path": [3, [64503, 64504]] },
            { "target_prefix": "203.0.113.0/24", "path": [] },
        ]});
        let (origins, at) = origins_of_state("203.0.113.0/24".parse().unwrap(), &data).unwrap();
        assert_eq!((asns(&origins), at.to_string()), (vec![64500, 64501], "2026-11-24T08:00:00Z".to_owned()));
    }

    #[test]
    fn a_missing_part_is_none_and_not_empty() {
        let prefix = "203.0.113.0/24".parse().unwrap();
        let bare = json!({ "query_time": "2026-11-24T08:00:00", "origins": [] });
        let (observed, _) = status_of(prefix, &bare).unwrap();
        assert_eq!((observed.visibility, observed.more_specifics, observed.gaps.len()), (None, None, 1));
        assert!(status_of(prefix, &json!({ "query_time": "2026-11-24T08:00:00" })).is_err());
        assert!(status_of(prefix, &json!({ "origins": [] })).is_err(), "data without a time is no answer");
    }

    #[test]
    fn one_call_can_replace_the_other() {
        let at = Timestamp::UNIX_EPOCH;
        let seen = |asn: u32| ObservedOrigin { asn: Asn::try_from(asn).unwrap(), routes: None };
        let snapshot = || RouteObservation {
            origins: vec![seen(1)],
            visibility: Some(Visibility { seeing: 3, total: 4 }),
            more_specifics: Some(Vec::new()),
            less_specifics: None,
            gaps: Vec::new(),
        };
        let both = combine(Ok((vec![seen(2)], at)), Ok((snapshot(), at))).unwrap();
        assert_eq!((asns(&both.value.origins), both.value.visibility.is_some()), (vec![2], true));
        let fresh = combine(Ok((vec![seen(2)], at)), Err(undocumented("x"))).unwrap();
        assert_eq!((fresh.value.more_specifics, fresh.value.gaps.len()), (None, 1));
        let old = combine(Err(undocumented("x")), Ok((snapshot(), at))).unwrap();
        assert_eq!((asns(&old.value.origins), old.source.as_str()), (vec![1], STATUS));
        assert_eq!(combine(Err(undocumented("x")), Err(undocumented("y"))).unwrap_err().causes.len(), 2);
    }
}
