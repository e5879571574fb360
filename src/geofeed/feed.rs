//! A geofeed and what it says of a block. Pure.

use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::model::Network;

/// A line: a prefix and its place. Parts that are not said are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The prefix.
    pub prefix: Network,
    /// ISO 3166-1 alpha-2. Empty: it is not to be located.
    pub country: String,
    /// ISO 3166-2.
    pub region: String,
    /// Free text.
    pub city: String,
}

/// A geofeed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Feed {
    /// Its lines.
    pub entries: Vec<Entry>,
    /// How many lines could not be read.
    pub unreadable: usize,
}

/// What a feed says of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Whether every address of it is in some entry.
    pub covered: bool,
    /// The countries that it is put in.
    pub countries: BTreeSet<String>,
    /// The entries that touch it, the most specific first.
    pub entries: Vec<Entry>,
}

/// Reads a feed (RFC 8805, section 2.1): comma-separated, `#` begins a comment, the fifth field (a postal code) is passed over.
pub fn read(text: &[u8]) -> Feed {
    let mut feed = Feed::default();
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

fn entry(prefix: &str, country: &str, region: &str, city: String) -> Option<Entry> {
    // A lone address is a host (section 2.1.1.1).
    let prefix = match prefix.parse::<Network>() {
        Ok(network) => network,
        Err(_) => Network::host(prefix.parse().ok()?),
    };
    let country = country.to_ascii_uppercase();
    let spelt =
        country.is_empty() || (country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase()));
    spelt.then_some(Entry { prefix, country, region: region.to_ascii_uppercase(), city })
}

impl Feed {
    /// What it says of a block.
    pub fn of(&self, block: Network) -> Said {
        let mut entries: Vec<Entry> =
            self.entries.iter().filter(|entry| entry.prefix.overlaps(block)).cloned().collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.prefix.length()));
        let countries =
            entries.iter().map(|entry| entry.country.clone()).filter(|country| !country.is_empty()).collect();
        let nets: Vec<IpNet> = entries.iter().map(|entry| entry.prefix.net()).collect();
        let covered = IpNet::aggregate(&nets).iter().any(|net| net.contains(&block.net()));
        Said { covered, countries, entries }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_is_read_leniently_and_asked_about_a_block() {
        let text = "\u{feff}# RFC 8805\n203.0.113.0/25,de,DE-BE,Berlin,\n203.0.113.128/25, NL ,NL-NH,\"Amsterdam, Zuid\"\n\
            198.51.100.7,FR,,\n2001:db8::/32,,,\nnonsense,XX\n192.0.2.0/24,DEU\n\n203.0.113.9/24,DE\n";
        let feed = read(text.as_bytes());
        assert_eq!((feed.entries.len(), feed.unreadable), (4, 3), "{feed:?}");
        let said = feed.of("203.0.113.0/24".parse().unwrap());
        assert!(said.covered, "the two halves together");
        assert_eq!(said.countries.iter().collect::<Vec<_>>(), ["DE", "NL"]);
        assert_eq!(said.entries[1].city, "Amsterdam, Zuid");
        let said = feed.of("198.51.100.0/24".parse().unwrap());
        assert!(!said.covered && said.countries.contains("FR"));
        assert!(feed.of("2001:db8:1::/48".parse().unwrap()).covered);
        assert_eq!(feed.of("192.0.2.0/24".parse().unwrap()).entries, []);
    }
}
