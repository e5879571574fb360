//! VRPs as JSON, in the dialects that there are: rpki-client, Routinator (`json` and `jsonext`) and StayRTR. Pure.
//!
//! All have a list `roas` of `prefix`, `maxLength` and `asn`; the AS is a number or a text with or without `AS`, and one may
//! have `expires`. A row that cannot be read spoils the whole: a VRP that was passed over would turn Valid into something else.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::vrps::VrpSet;
use crate::model::{Network, Vrp};

/// A document that is no list of VRPs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialectError {
    /// Not JSON, or without `roas`.
    #[error("no VRPs as JSON: {0}")]
    Json(String),
    /// A row that is no VRP.
    #[error("roas[{row}]: {why}")]
    Row {
        /// Which, from 0.
        row: usize,
        /// What is wrong with it.
        why: String,
    },
}

/// What a document says.
#[derive(Clone, Debug)]
pub struct Document {
    /// The VRPs that have not expired.
    pub vrps: VrpSet,
    /// When it was made, if it says so.
    pub generated: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Written<'a> {
    #[serde(default)]
    metadata: Metadata,
    #[serde(borrow)]
    roas: Vec<Row<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    buildtime: Option<Value>,
    generated: Option<Value>,
    generated_time: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    #[serde(borrow)]
    prefix: Cow<'a, str>,
    max_length: Option<u8>,
    #[serde(borrow)]
    asn: Origin<'a>,
    expires: Option<i64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Origin<'a> {
    Number(u32),
    #[serde(borrow)]
    Text(Cow<'a, str>),
}

/// Reads a document.
pub fn read(body: &[u8], now: Timestamp) -> Result<Document, DialectError> {
    let written: Written<'_> =
        serde_json::from_slice(body).map_err(|error| DialectError::Json(error.to_string()))?;
    let mut vrps = Vec::with_capacity(written.roas.len());
    for (row, roa) in written.roas.iter().enumerate() {
        let wrong = |why: String| DialectError::Row { row, why };
        if roa.expires.is_some_and(|expires| expires > 0 && expires <= now.as_second()) {
            continue;
        }
        let prefix: Network =
            roa.prefix.parse().map_err(|error: crate::model::NetworkError| wrong(error.to_string()))?;
        let asn = match &roa.asn {
            Origin::Number(number) => *number,
            Origin::Text(text) => {
                let digits = text.strip_prefix("AS").unwrap_or(text);
                digits.parse().map_err(|_| wrong(format!("{text:?} is no AS number")))?
            }
        };
        vrps.push(Vrp::new(prefix, roa.max_length, asn).map_err(|error| wrong(error.to_string()))?);
    }
    let made = &written.metadata;
    let generated =
        [&made.generated, &made.generated_time, &made.buildtime].into_iter().flatten().find_map(instant);
    Ok(Document { vrps: vrps.into_iter().collect(), generated })
}

/// Seconds since 1970, or a text.
fn instant(value: &Value) -> Option<Timestamp> {
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

    fn read_all(body: &str) -> Result<Vec<String>, DialectError> {
        let document = read(body.as_bytes(), Timestamp::from_second(NOW).unwrap())?;
        Ok(document.vrps.iter().map(|vrp| vrp.to_string()).collect())
    }

    #[test]
    fn every_dialect_is_read() {
        let rpki_client = r#"{"metadata": {"buildmachine": "x", "buildtime": "2026-09-21T10:00:00Z", "vrps": 2},
            "roas": [{"asn": 64500, "prefix": "203.0.113.0/24", "maxLength": 24, "ta": "ripe", "expires": 1790000001},
                     {"asn": 64501, "prefix": "2001:db8::/32", "maxLength": 48, "ta": "arin", "expires": 1789999999}],
            "bgpsec_keys": [], "aspas": []}"#;
        assert_eq!(read_all(rpki_client).unwrap(), ["203.0.113.0/24-24 AS64500"], "the other has expired");
        let made = read(rpki_client.as_bytes(), Timestamp::UNIX_EPOCH).unwrap().generated.unwrap();
        assert_eq!(made.to_string(), "2026-09-21T10:00:00Z");
        let routinator = r#"{"metadata": {"generated": 1789990000, "generatedTime": "2026-09-21T11:26:40Z"},
            "roas": [{"asn": "AS64500", "prefix": "203.0.113.0/24", "maxLength": 25, "ta": "ripe"},
                     {"asn": "AS0", "prefix": "198.51.100.0/24", "maxLength": 32, "ta": "ripe"}]}"#;
        assert_eq!(read_all(routinator).unwrap(), ["198.51.100.0/24-32 AS0", "203.0.113.0/24-25 AS64500"]);
        let extended = r#"{"roas": [{"asn": "AS64500", "prefix": "203.0.113.0/24", "maxLength": 24,
            "source": [{"type": "roa", "uri": "rsync://x/y.roa", "validity": {}}]}], "routerKeys": [], "aspas": []}"#;
        assert_eq!(read_all(extended).unwrap(), ["203.0.113.0/24-24 AS64500"]);
        let stayrtr = r#"{"metadata": {"counts": 1, "generated": 1789990000, "valid": 1790990000},
            "roas": [{"prefix": "203.0.113.0/24", "maxLength": 24, "asn": "64500", "ta": "x"},
                     {"prefix": "203.0.113.0/24", "asn": "AS64502"}]}"#;
        assert_eq!(read_all(stayrtr).unwrap(), ["203.0.113.0/24-24 AS64500", "203.0.113.0/24-24 AS64502"]);
    }

    #[test]
    fn a_row_that_cannot_be_read_spoils_the_whole() {
        let row = |roa: &str| read_all(&format!(r#"{{"roas": [{roa}]}}"#)).unwrap_err().to_string();
        assert!(
            row(r#"{"asn": 1, "prefix": "203.0.113.5/24"}"#)
                .starts_with("roas[0]: 203.0.113.5/24 has host bits")
        );
        assert!(row(r#"{"asn": 1, "prefix": "203.0.113.0/24", "maxLength": 23}"#).contains("maxLength 23"));
        assert!(row(r#"{"asn": "ASx", "prefix": "203.0.113.0/24"}"#).contains("no AS number"));
        assert!(row(r#"{"asn": -1, "prefix": "203.0.113.0/24"}"#).starts_with("no VRPs as JSON"));
        assert!(read_all("{}").is_err(), "a document without roas is no empty set");
        assert!(read_all("<html>").is_err());
    }
}
