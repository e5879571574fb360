//! Filling it quickly.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};
use serde_json::json;

use super::records::{Kind, Record};
use super::state::State;

pub(super) fn fill(state: &mut State, prefixes: u32, addresses: u32) {
    let now = state.now();
    let base = u32::from(Ipv4Addr::new(10, 0, 0, 0));
    let prefixes = prefixes.min(1 << 16);
    for nth in 0..prefixes {
        let mut record = Record::new(Kind::Prefix, now);
        record.net = Ipv4Net::new(Ipv4Addr::from(base + (nth << 8)), 24).ok().map(IpNet::V4);
        record.custom_fields.insert("lease_owner".to_owned(), json!(format!("LIR-{}", nth % 97)));
        record.custom_fields.insert("lease_expiry".to_owned(), json!(format!("20{:02}-06-01", 27 + nth % 9)));
        state.put(Kind::Prefix, record);
    }
    let spread = prefixes.max(1);
    for nth in 0..addresses.min(spread.saturating_mul(250)) {
        let mut record = Record::new(Kind::Address, now);
        let host = base + ((nth % spread) << 8) + 1 + nth / spread;
        record.net = Ipv4Net::new(Ipv4Addr::from(host), 24).ok().map(IpNet::V4);
        record.dns_name = format!("host-{nth}.customer.example");
        state.put(Kind::Address, record);
    }
}
