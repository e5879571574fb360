//! A geofeed, parsed, and the location that it gives for a block. No I/O.

use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::model::Network;

/// One line of a geofeed: a prefix and its location. A part that the line leaves out is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeofeedEntry {
    pub prefix: Network,
    /// ISO 3166-1 alpha-2 code. Empty: the holder wants the prefix not to be located.
    pub country: String,
    /// ISO 3166-2 code of the subdivision.
    pub region: String,
    pub city: String,
}

/// A geofeed after parsing: the entries, and the number of lines that are not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Geofeed {
    pub entries: Vec<GeofeedEntry>,
    /// How many lines could not be parsed.
    pub unreadable: usize,
}

/// The location that a geofeed gives for a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockLocation {
    /// Whether every address of the block is in some entry.
    pub covered: bool,
    /// The countries of those entries.
    pub countries: BTreeSet<String>,
    /// The entries that overlap the block, the most specific first.
    pub entries: Vec<GeofeedEntry>,
}

/// Parses a geofeed (RFC 8805, section 2.1): comma-separated values, `#` begins a comment, and the
/// fifth field (a postal code) is ignored.
pub fn parse(text: &[u8]) -> Geofeed {
    let mut feed = Geofeed::default();
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text));
    for record in reader.byte_records() {
        let Ok(record) = record else {
            feed.unreadable += 1;
            continue;
        };
        let field = |at: usize| String::from_utf8_lossy(record.get(at).unwrap_or_default()).into_owned();
        if record.len() == 1 && field(0).is_empty() {
            continue;
        }
        match entry(&field(0), &field(1), &field(2), field(3)) {
            Some(entry) => feed.entries.push(entry),
            None => feed.unreadable += 1,
        }
    }
    feed
}

fn entry(prefix: &str, country: &str, region: &str, city: String) -> Option<GeofeedEntry> {
    // An address without a length is a single host (section 2.1.1.1).
    let prefix = match prefix.parse::<Network>() {
        Ok(network) => network,
        Err(_) => Network::host(prefix.parse().ok()?),
    };
    let country = country.to_ascii_uppercase();
    let well_formed =
        country.is_empty() || (country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase()));
    well_formed.then_some(GeofeedEntry { prefix, country, region: region.to_ascii_uppercase(), city })
}

impl Geofeed {
    /// The location of a block: the entries that overlap it, and whether they cover it together.
    pub fn location_of(&self, block: Network) -> BlockLocation {
        let mut entries: Vec<GeofeedEntry> =
            self.entries.iter().filter(|entry| entry.prefix.overlaps(block)).cloned().collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.prefix.length()));
        let countries =
            entries.iter().map(|entry| entry.country.clone()).filter(|country| !country.is_empty()).collect();
        let nets: Vec<IpNet> = entries.iter().map(|entry| entry.prefix.net()).collect();
        let covered = IpNet::aggregate(&nets).iter().any(|net| net.contains(&block.net()));
        BlockLocation { covered, countries, entries }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_geofeed_is_parsed_leniently_and_locates_a_block() {
        let text = "\u{feff}# RFC 8805\n203.0.113.0/25,de,DE-BE,Berlin,\n203.0.113.128/25, NL ,NL-NH,\"Amsterdam, Zuid\"\n\
            198.51.100.7,FR,,\n2001:db8::/32,,,\nnonsense,XX\n192.0.2.0/24,DEU\n\n203.0.113.9/24,DE\n";
        let feed = parse(text.as_bytes());
        assert_eq!((feed.entries.len(), feed.unreadable), (4, 3), "{feed:?}");
        let location = feed.location_of("203.0.113.0/24".parse().unwrap());
        assert!(location.covered, "the two halves together");
        assert_eq!(location.countries.iter().collect::<Vec<_>>(), ["DE", "NL"]);
        assert_eq!(location.entries[1].city, "Amsterdam, Zuid");
        let location = feed.location_of("198.51.100.0/24".parse().unwrap());
        assert!(!location.covered && location.countries.contains("FR"));
        assert!(feed.location_of("2001:db8:1::/48".parse().unwrap()).covered);
        assert_eq!(feed.location_of("192.0.2.0/24".parse().unwrap()).entries, []);
    }
}
