//! Reads VRPs from JSON, in the formats of rpki-client, Routinator (`json` and `jsonext`) and StayRTR. Pure.
//!
//! Each has a list `roas` of objects with `prefix`, `asn` (a number, or a string with or without `AS`), and optionally
//! `maxLength` and `expires` (seconds since 1970). One unreadable row rejects the whole document: skipping it would turn Valid
//! routes into Invalid or NotFound ones.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::vrps::VrpSet;
use crate::model::{Network, NetworkError, Vrp};

/// The document is not a list of VRPs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VrpJsonError {
    /// It is not JSON, or it has no `roas`.
    #[error("this is not a JSON document with VRPs: {0}")]
    Json(String),
    #[error("roas[{row}]: {why}")]
    Row {
        /// Index of the row, counted from 0.
        row: usize,
        why: String,
    },
}

/// The content of a document.
#[derive(Clone, Debug)]
pub struct VrpDocument {
    /// The VRPs that have not expired.
    pub vrps: VrpSet,
    /// When the data was made, if the document says so.
    pub generated: Option<Timestamp>,
}

#[derive(Deserialize)]
struct DocumentJson<'a> {
    #[serde(default)]
    metadata: MetadataJson,
    #[serde(borrow)]
    roas: Vec<RoaJson<'a>>,
}

/// Each format names the time of its data differently.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct MetadataJson {
    buildtime: Option<Value>,
    generated: Option<Value>,
    generated_time: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RoaJson<'a> {
    #[serde(borrow)]
    prefix: Cow<'a, str>,
    max_length: Option<u8>,
    #[serde(borrow)]
    asn: AsnJson<'a>,
    expires: Option<i64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AsnJson<'a> {
    Number(u32),
    #[serde(borrow)]
    Text(Cow<'a, str>),
}

/// Parses a document, leaving out VRPs that have expired at `now`.
pub fn parse(body: &[u8], now: Timestamp) -> Result<VrpDocument, VrpJsonError> {
    let document: DocumentJson<'_> =
        serde_json::from_slice(body).map_err(|error| VrpJsonError::Json(position(&error)))?;
    let mut vrps = Vec::with_capacity(document.roas.len());
    for (row, roa) in document.roas.iter().enumerate() {
        let bad_row = |why: String| VrpJsonError::Row { row, why };
        if roa.expires.is_some_and(|expires| expires > 0 && expires <= now.as_second()) {
            continue;
        }
        let prefix: Network = roa.prefix.parse().map_err(|error: NetworkError| bad_row(error.to_string()))?;
        let asn = match &roa.asn {
            AsnJson::Number(number) => *number,
            AsnJson::Text(text) => {
                let digits = text.strip_prefix("AS").unwrap_or(text);
                digits.parse().map_err(|_| bad_row(format!("{text:?} is not an AS number")))?
            }
        };
        vrps.push(Vrp::new(prefix, roa.max_length, asn).map_err(|error| bad_row(error.to_string()))?);
    }
    let metadata = &document.metadata;
    let times = [&metadata.generated, &metadata.generated_time, &metadata.buildtime];
    let generated = times.into_iter().flatten().find_map(timestamp);
    Ok(VrpDocument { vrps: vrps.into_iter().collect(), generated })
}

/// Where a document stops being what it should be.
fn position(error: &serde_json::Error) -> String {
    let what = if error.is_eof() { "it ends" } else { "it is not as expected" };
    format!("{what} in line {}, column {}", error.line(), error.column())
}

/// Accepts seconds since 1970 or an RFC 3339 string.
fn timestamp(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(number) => Timestamp::from_second(number.as_i64()?).ok(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000;

    fn parse_all(body: &str) -> Result<Vec<String>, VrpJsonError> {
        let document = parse(body.as_bytes(), Timestamp::from_second(NOW).unwrap())?;
        Ok(document.vrps.iter().map(|vrp| vrp.to_string()).collect())
    }

    #[test]
    fn every_format_is_read() {
        let rpki_client = r#"{"metadata": {"buildmachine": "x", "buildtime": "2026-09-21T10:00:00Z", "vrps": 2},
            "roas": [{"asn": 64500, "prefix": "203.0.113.0/24", "maxLength": 24, "ta": "ripe", "expires": 1790000001},
                     {"asn": 64501, "prefix": "2001:db8::/32", "maxLength": 48, "ta": "arin", "expires": 1789999999}],
            "bgpsec_keys": [], "aspas": []}"#;
        assert_eq!(
            parse_all(rpki_client).unwrap(),
            ["203.0.113.0/24-24 AS64500"],
            "the other one has expired"
        );
        let made = parse(rpki_client.as_bytes(), Timestamp::UNIX_EPOCH).unwrap().generated.unwrap();
        assert_eq!(made.to_string(), "2026-09-21T10:00:00Z");
        let routinator = r#"{"metadata": {"generated": 1789990000, "generatedTime": "2026-09-21T11:26:40Z"},
            "roas": [{"asn": "AS64500", "prefix": "203.0.113.0/24", "maxLength": 25, "ta": "ripe"},
                     {"asn": "AS0", "prefix": "198.51.100.0/24", "maxLength": 32, "ta": "ripe"}]}"#;
        assert_eq!(parse_all(routinator).unwrap(), ["198.51.100.0/24-32 AS0", "203.0.113.0/24-25 AS64500"]);
        let extended = r#"{"roas": [{"asn": "AS64500", "prefix": "203.0.113.0/24", "maxLength": 24,
            "source": [{"type": "roa", "uri": "rsync://x/y.roa", "validity": {}}]}], "routerKeys": [], "aspas": []}"#;
        assert_eq!(parse_all(extended).unwrap(), ["203.0.113.0/24-24 AS64500"]);
        let stayrtr = r#"{"metadata": {"counts": 1, "generated": 1789990000, "valid": 1790990000},
            "roas": [{"prefix": "203.0.113.0/24", "maxLength": 24, "asn": "64500", "ta": "x"},
                     {"prefix": "203.0.113.0/24", "asn": "AS64502"}]}"#;
        assert_eq!(parse_all(stayrtr).unwrap(), ["203.0.113.0/24-24 AS64500", "203.0.113.0/24-24 AS64502"]);
    }

    #[test]
    fn one_unreadable_row_rejects_the_document() {
        let row = |roa: &str| parse_all(&format!(r#"{{"roas": [{roa}]}}"#)).unwrap_err().to_string();
        assert!(
            row(r#"{"asn": 1, "prefix": "203.0.113.5/24"}"#)
                .starts_with("roas[0]: 203.0.113.5/24 has host bits")
        );
        assert!(row(r#"{"asn": 1, "prefix": "203.0.113.0/24", "maxLength": 23}"#).contains("maxLength 23"));
        assert!(row(r#"{"asn": "ASx", "prefix": "203.0.113.0/24"}"#).contains("not an AS number"));
        assert!(row(r#"{"asn": -1, "prefix": "203.0.113.0/24"}"#).starts_with("this is not a JSON document"));
        assert!(parse_all("{}").is_err(), "a document without roas is not an empty set");
        assert!(parse_all("<html>").is_err());
    }
}
