//! The sections of the settings file, as they are written.

use serde::{Deserialize, Serialize};
use toml::Table;

use super::allocation::AllocationSection;
use super::decode::decode;
use super::dnsbl::DnsblSection;
use super::entries::take_entries;
use super::error::Problems;
use super::irr::IrrSection;
use super::lease::{CalendarSection, EventsSection, ExpirySection, LeaseSection};
use super::netbox::NetBoxSection;
use super::notify::NotifySection;
use super::pools::PoolsSection;
use super::ripestat::{BgpSection, RipeStatSection};
use super::rpki::{RpkiSection, RpkiSourceEntry};
use super::server::{LedgerSection, LogSection, ServerSection, StorageSection, SyncSection};
use super::sinks::SinkEntry;
use super::validation::ValidationSection;

/// The names of the sections.
pub(super) const NAMES: [&str; 19] = [
    "netbox",
    "server",
    "storage",
    "ledger",
    "sync",
    "lease",
    "events",
    "expiry",
    "notify",
    "calendar",
    "allocation",
    "pools",
    "rpki",
    "irr",
    "bgp",
    "dnsbl",
    "ripestat",
    "validation",
    "log",
];

/// All sections. A key that is not written has its default.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Sections {
    pub(super) netbox: NetBoxSection,
    pub(super) server: ServerSection,
    pub(super) storage: StorageSection,
    pub(super) ledger: LedgerSection,
    pub(super) sync: SyncSection,
    pub(super) lease: LeaseSection,
    pub(super) events: EventsSection,
    pub(super) expiry: ExpirySection,
    pub(super) notify: NotifySection,
    pub(super) calendar: CalendarSection,
    pub(super) allocation: AllocationSection,
    pub(super) pools: PoolsSection,
    pub(super) rpki: RpkiSection,
    pub(super) irr: IrrSection,
    pub(super) bgp: BgpSection,
    pub(super) dnsbl: DnsblSection,
    pub(super) ripestat: RipeStatSection,
    pub(super) validation: ValidationSection,
    pub(super) log: LogSection,
}

impl Sections {
    /// Decodes a merged table. What does not fit becomes a problem and gets its default.
    pub(super) fn decode(mut table: Table, problems: &mut Problems) -> Self {
        let sinks = take_entries(&mut table, "notify", "sinks", problems);
        let sources = take_entries(&mut table, "rpki", "sources", problems);
        let mut sections: Self = decode(table, "", problems);
        sections.notify.sinks =
            sinks.into_iter().map(|(at, entry)| SinkEntry::decode(entry, at, problems)).collect();
        sections.rpki.sources =
            sources.into_iter().map(|(at, entry)| RpkiSourceEntry::decode(entry, &at, problems)).collect();
        sections
    }
}
