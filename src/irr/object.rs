//! Parses RPSL objects (RFC 2622, RFC 4012): route objects, and the geofeed of an inetnum (RFC 9632). Pure.

use crate::model::{Asn, Network, Route};

/// A route or route6 object, reduced to the attributes that are used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteObject {
    /// The attributes `route` or `route6`, and `origin`.
    pub route: Route,
    /// The registry in upper case, such as RIPE.
    pub source: String,
    /// Whether IRRd marks the object as invalid by the RPKI (`rpki-ov-state: invalid`).
    pub rpki_invalid: bool,
}

/// Parses every route object in a whois answer. Comments, other objects and objects with a malformed prefix are skipped.
pub fn parse_routes(text: &str) -> Vec<RouteObject> {
    let mut found = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for paragraph in lines.split(|line| line.trim().is_empty()) {
        found.extend(parse_route(paragraph));
    }
    found
}

fn parse_route(lines: &[&str]) -> Option<RouteObject> {
    let value = |name: &str| {
        lines.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            // A comment begins with a hash and ends with the line (RFC 2622, section 2).
            (key.trim().eq_ignore_ascii_case(name))
                .then(|| value.split('#').next().unwrap_or_default().trim())
        })
    };
    let prefix: Network = value("route").or_else(|| value("route6"))?.parse().ok()?;
    let origin: Asn = value("origin")?.to_ascii_uppercase().parse().ok()?;
    let source = value("source").unwrap_or_default().to_ascii_uppercase();
    let rpki_invalid = value("rpki-ov-state").is_some_and(|state| state.eq_ignore_ascii_case("invalid"));
    Some(RouteObject { route: Route { prefix, origin }, source, rpki_invalid })
}

/// The URL of the geofeed of the first inetnum or inet6num (RFC 9632, section 3): its `geofeed:` attribute, or if it has none,
/// the first remark that begins with the word Geofeed.
pub fn geofeed_url(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut objects = lines.split(|line| line.trim().is_empty());
    let object = objects.find(|object| {
        object.iter().any(|line| line.starts_with("inetnum:") || line.starts_with("inet6num:"))
    })?;
    let values = |name: &'static str| {
        object.iter().filter_map(move |line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let remark = || values("remarks").find_map(|remark| remark.strip_prefix("Geofeed "));
    values("geofeed").next().or_else(remark).map(|url| url.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_geofeed_comes_from_the_attribute_or_from_a_remark() {
        let remark = "% Comment\n\ninetnum: 203.0.113.0 - 203.0.113.255\nremarks: nothing\nremarks:   Geofeed https://a.example/x.csv\n            source: RIPE\n\norganisation: ORG-X\ngeofeed: https://b.example/\n";
        assert_eq!(geofeed_url(remark).as_deref(), Some("https://a.example/x.csv"));
        let both = remark.replace("remarks: nothing", "geofeed: https://c.example/x.csv");
        assert_eq!(
            geofeed_url(&both).as_deref(),
            Some("https://c.example/x.csv"),
            "the attribute is preferred"
        );
        assert_eq!(geofeed_url("inet6num: 2001:db8::/32\nremarks: Geofeeds are nice\n"), None);
        assert_eq!(geofeed_url("%ERROR:101: no entries found\n"), None);
    }

    #[test]
    fn route_objects_are_parsed_and_the_rest_is_skipped() {
        let text = "% This is a comment\n\nroute:          203.0.113.0/24\ndescr:          x\norigin:         as64500 # ours\n\
            mnt-by: M\nsource:         ripe # Filtered\n\n\nroute6: 2001:db8::/32\norigin: AS64501\nrpki-ov-state: invalid\n\
            source: RADB\n\naut-num: AS1\nsource: RIPE\n\nroute: 203.0.113.1/24\norigin: AS1\nsource: X\n";
        let found = parse_routes(text);
        let shown: Vec<String> = found
            .iter()
            .map(|object| format!("{} {} {}", object.route, object.source, object.rpki_invalid))
            .collect();
        assert_eq!(shown, ["203.0.113.0/24 from AS64500 RIPE false", "2001:db8::/32 from AS64501 RADB true"]);
    }
}
