//! The past of an address: random changes against a simple model, before and after Leasehold was started.

use std::collections::BTreeMap;

use jiff::Timestamp;
use leasehold::clock::{Clock as _, SystemClock};
use leasehold::rpc::proto::v1;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::{NetBox, Server};

const HOST: &str = "203.0.113.7";
const ELSEWHERE: &str = "203.0.113.9";
const PREFIXES: [&str; 4] = ["203.0.113.0/24", "203.0.113.0/25", "203.0.113.0/28", "203.0.113.128/25"];
const OWNERS: [&str; 3] = ["ACME-LIR", "OTHER-LIR", "THIRD-LIR"];

/// What NetBox holds: the id and owner of each prefix, and the host and name of each address by its id.
#[derive(Clone, Debug, Default)]
struct World {
    prefixes: BTreeMap<&'static str, (u64, &'static str)>,
    addresses: BTreeMap<u64, (&'static str, String)>,
}

/// What a lookup of the host must answer: prefixes with their owners, and the names of the address records.
type Answer = (Vec<(String, String)>, Vec<String>);

impl World {
    fn answer(&self) -> Answer {
        let chain = PREFIXES[..3].iter().filter_map(|net| {
            self.prefixes.get(net).map(|(_, owner)| ((*net).to_owned(), (*owner).to_owned()))
        });
        let names = self.addresses.values().filter(|(host, _)| *host == HOST).map(|(_, name)| name.clone());
        (chain.collect(), names.collect())
    }

    async fn step(&mut self, netbox: &NetBox, vrf: u64, random: &mut StdRng) {
        let net = PREFIXES[random.random_range(0..PREFIXES.len())];
        let owner = OWNERS[random.random_range(0..OWNERS.len())];
        let lease = json!({ "lease_owner": owner });
        let name = format!("{}.example", random.random_range(0..1000));
        let address = self.addresses.keys().next().copied();
        match (random.random_range(0..7), self.prefixes.get(net).copied(), address) {
            (0..=2, None, _) => {
                let body = json!({ "prefix": net, "vrf": vrf, "custom_fields": lease });
                let id = netbox.post("ipam/prefixes/", body).await["id"].as_u64().unwrap();
                self.prefixes.insert(net, (id, owner));
            }
            (0..=1, Some((id, _)), _) => {
                let body = Some(json!({ "custom_fields": lease }));
                assert_eq!(netbox.rest("PATCH", &format!("ipam/prefixes/{id}/"), body).await.0, 200);
                self.prefixes.insert(net, (id, owner));
            }
            (2, Some((id, _)), _) => {
                assert_eq!(netbox.rest("DELETE", &format!("ipam/prefixes/{id}/"), None).await.0, 204);
                self.prefixes.remove(net);
            }
            (_, _, None) => {
                let body = json!({ "address": format!("{HOST}/24"), "vrf": vrf, "dns_name": name });
                let id = netbox.post("ipam/ip-addresses/", body).await["id"].as_u64().unwrap();
                self.addresses.insert(id, (HOST, name));
            }
            (3, _, Some(id)) => {
                assert_eq!(netbox.rest("DELETE", &format!("ipam/ip-addresses/{id}/"), None).await.0, 204);
                self.addresses.remove(&id);
            }
            (4, _, Some(id)) => {
                // The record moves to another address, or back.
                let host = if self.addresses[&id].0 == HOST { ELSEWHERE } else { HOST };
                let body = Some(json!({ "address": format!("{host}/24") }));
                assert_eq!(netbox.rest("PATCH", &format!("ipam/ip-addresses/{id}/"), body).await.0, 200);
                self.addresses.get_mut(&id).unwrap().0 = host;
            }
            (_, _, Some(id)) => {
                let body = Some(json!({ "dns_name": name }));
                assert_eq!(netbox.rest("PATCH", &format!("ipam/ip-addresses/{id}/"), body).await.0, 200);
                self.addresses.get_mut(&id).unwrap().1 = name;
            }
        }
    }
}

/// An instant after the change that NetBox has confirmed, and before the next one is sent.
fn instant_between_changes() -> Timestamp {
    SystemClock::new(jiff::tz::TimeZone::UTC).now()
}

async fn as_of(server: &Server, vrf: u64, at: Timestamp) -> Result<v1::LookupAddressResponse, tonic::Status> {
    let as_of_time = Some(prost_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() });
    let request = v1::LookupAddressRequest {
        address: HOST.to_owned(),
        vrf: crate::support::vrf(vrf),
        as_of_time,
        ..v1::LookupAddressRequest::default()
    };
    Ok(server.prefixes.clone().lookup_address(request).await?.into_inner())
}

async fn answered(server: &Server, vrf: u64, at: Timestamp) -> Answer {
    let found = as_of(server, vrf, at).await.unwrap();
    let chain = found.chain.into_iter().map(|prefix| (prefix.prefix, prefix.lease.unwrap().owner));
    (chain.collect(), found.records.into_iter().map(|record| record.dns_name).collect())
}

async fn history_agrees_with_the_model(netbox: &NetBox, seed: u64, steps: usize) {
    let vrf = netbox.vrf(true).await;
    let mut random = StdRng::seed_from_u64(seed);
    let (mut world, mut instants) = (World::default(), Vec::new());
    instants.push((instant_between_changes(), world.answer()));
    for _ in 0..steps {
        world.step(netbox, vrf, &mut random).await;
        instants.push((instant_between_changes(), world.answer()));
    }
    let server = Server::before(netbox).await;
    for _ in 0..steps {
        world.step(netbox, vrf, &mut random).await;
        // A poll after each change: two changes of one record between two polls become one event.
        let poll = v1::TriggerSyncRequest { full: false, wait: true };
        server.admin.clone().trigger_sync(poll).await.unwrap();
        instants.push((instant_between_changes(), world.answer()));
    }
    for (nth, (at, expected)) in instants.iter().enumerate() {
        let found = answered(&server, vrf, *at).await;
        assert_eq!(&found, expected, "seed {seed}, after step {nth} of {steps} and {steps}, at {at}");
    }
    let request = v1::GetAddressHistoryRequest {
        address: HOST.to_owned(),
        vrf: crate::support::vrf(vrf),
        ..v1::GetAddressHistoryRequest::default()
    };
    let history = server.events.clone().get_address_history(request).await.unwrap().into_inner();
    let times: Vec<_> = history
        .events
        .iter()
        .map(|event| event.event_time.as_ref().map(|at| (at.seconds, at.nanos)).unwrap())
        .collect();
    assert!(
        !times.is_empty() && times.windows(2).all(|pair| pair[0] >= pair[1]),
        "the newest first: {times:?}"
    );
    server.running.stop().await;
}

#[tokio::test]
async fn the_past_agrees_with_a_model_over_random_histories() {
    for seed in 0..6 {
        history_agrees_with_the_model(&NetBox::emulated().await, seed, 40).await;
    }
}

#[tokio::test]
async fn the_past_of_the_real_netbox_agrees_with_a_model() {
    let name = "history::the_past_of_the_real_netbox_agrees_with_a_model";
    let Some(netbox) = NetBox::real(name).await else { return };
    history_agrees_with_the_model(&netbox, 99, 15).await;
}

#[tokio::test]
async fn a_time_before_the_history_or_in_the_future_is_refused() {
    let netbox = NetBox::emulated().await;
    let vrf = netbox.vrf(true).await;
    let server = Server::before(&netbox).await;
    let refused = async |at: &str| {
        let status = as_of(&server, vrf, at.parse().unwrap()).await.unwrap_err();
        let details = status.get_error_details();
        let info = details.error_info().cloned().unwrap();
        (status.code(), info.reason, info.metadata.contains_key("known_since_time"))
    };
    assert_eq!(
        refused("2001-01-01T00:00:00Z").await,
        (Code::OutOfRange, "HISTORY_NOT_KEPT".to_owned(), true)
    );
    assert_eq!(
        refused("2999-01-01T00:00:00Z").await,
        (Code::InvalidArgument, "INVALID_FIELDS".to_owned(), false)
    );
}
