//! Route objects as RPSL writes them (RFC 2622, RFC 4012). Pure.

use crate::model::{Asn, Network, Route};

/// A route or route6 object, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteObject {
    /// Prefix and origin.
    pub route: Route,
    /// The registry. Example: RIPE. In capitals.
    pub source: String,
    /// What IRRd says of it by the RPKI, if it does.
    pub rpki_invalid: bool,
}

/// Every route object in a text; what is none is passed over.
pub fn read(text: &str) -> Vec<RouteObject> {
    let mut found = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for paragraph in lines.split(|line| line.trim().is_empty()) {
        found.extend(object(paragraph));
    }
    found
}

fn object(lines: &[&str]) -> Option<RouteObject> {
    let value = |name: &str| {
        lines.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            // Comments begin with a hash and end with the line.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn route_objects_are_read_and_the_rest_is_passed_over() {
        let text = "% This is a comment\n\nroute:          203.0.113.0/24\ndescr:          x\norigin:         as64500 # ours\n\
            mnt-by: M\nsource:         ripe # Filtered\n\n\nroute6: 2001:db8::/32\norigin: AS64501\nrpki-ov-state: invalid\n\
            source: RADB\n\naut-num: AS1\nsource: RIPE\n\nroute: 203.0.113.1/24\norigin: AS1\nsource: X\n";
        let found = read(text);
        let shown: Vec<String> = found
            .iter()
            .map(|object| format!("{} {} {}", object.route, object.source, object.rpki_invalid))
            .collect();
        assert_eq!(shown, ["203.0.113.0/24 from AS64500 RIPE false", "2001:db8::/32 from AS64501 RADB true"]);
    }
}
