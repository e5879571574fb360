//! PrefixService: lookups, batches, streams and lists, as clients see them.

use leasehold::clock::{Clock as _, SystemClock};
use leasehold::rpc::proto::google::rpc::Status;
use leasehold::rpc::proto::v1;
use prost::Message as _;
use serde_json::json;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::{NetBox, Server, eventually, time_until, vrf};

async fn filled() -> (NetBox, Server) {
    let netbox = NetBox::emulated().await;
    let vrf = netbox.post("ipam/vrfs/", json!({ "name": "customers", "rd": "64500:7" })).await["id"].clone();
    let lease = |owner: &str| json!({ "lease_owner": owner, "lease_expiry": "2099-06-01" });
    for (prefix, vrf, fields) in [
        ("203.0.0.0/16", json!(null), lease("OUTER-LIR")),
        ("203.0.113.0/24", json!(null), lease("ACME-LIR")),
        ("203.0.113.0/28", json!(null), json!({})),
        ("203.0.113.0/24", vrf.clone(), json!({})),
        ("2001:db8::/32", json!(null), lease("SIX-LIR")),
    ] {
        netbox.post("ipam/prefixes/", json!({ "prefix": prefix, "vrf": vrf, "custom_fields": fields })).await;
    }
    let body = json!({ "address": "203.0.113.5/28", "dns_name": "web-01.customer.example" });
    netbox.post("ipam/ip-addresses/", body).await;
    let server = Server::before(&netbox).await;
    (netbox, server)
}

#[tokio::test]
async fn an_answer_has_the_chain_the_covering_lease_and_the_records() {
    let (_netbox, server) = filled().await;
    let found = server.lookup(0, "203.0.113.5").await;
    let chain: Vec<&str> = found.chain.iter().map(|prefix| prefix.prefix.as_str()).collect();
    assert_eq!(chain, ["203.0.0.0/16", "203.0.113.0/24", "203.0.113.0/28"]);
    assert_eq!(found.lease.unwrap().owner, "ACME-LIR");
    assert_eq!(found.records[0].dns_name, "web-01.customer.example");
    assert!(found.cache.unwrap().live);
}

#[tokio::test]
async fn scopes_and_address_families_are_kept_apart() {
    let (_netbox, server) = filled().await;
    let in_vrf = server.lookup(1, "203.0.113.5").await;
    assert_eq!(in_vrf.chain.len(), 1);
    assert_eq!(in_vrf.chain[0].vrf.as_ref().unwrap().name, "customers");
    assert!(in_vrf.lease.is_none() && in_vrf.records.is_empty());
    assert_eq!(server.lookup(0, "2001:db8::1").await.lease.unwrap().owner, "SIX-LIR");
    assert!(server.lookup(0, "192.0.2.1").await.chain.is_empty());
}

#[tokio::test]
async fn a_batch_is_answered_in_order_and_every_invalid_address_is_named() {
    let (_netbox, mut server) = filled().await;
    let ask = |addresses: &[&str]| v1::BatchLookupAddressesRequest {
        addresses: addresses.iter().map(|text| (*text).to_owned()).collect(),
        ..v1::BatchLookupAddressesRequest::default()
    };
    let answer = server.prefixes.batch_lookup_addresses(ask(&["192.0.2.1", "203.0.113.5"])).await.unwrap();
    let answer = answer.into_inner();
    let chains: Vec<usize> = answer.results.iter().map(|result| result.chain.len()).collect();
    assert_eq!(chains, [0, 3]);
    assert!(answer.cache.unwrap().live, "how old the answers are is said once");
    assert!(answer.results.iter().all(|result| result.cache.is_none()));
    let status =
        server.prefixes.batch_lookup_addresses(ask(&["x", "203.0.113.5", "1.2.3.4/32"])).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().contains("addresses[0]") && status.message().contains("addresses[2]"),
        "{status:?}"
    );
}

#[tokio::test]
async fn a_stream_answers_a_refused_request_with_its_error_and_goes_on() {
    use v1::stream_lookup_addresses_response::Outcome;
    let (_netbox, mut server) = filled().await;
    let ask = |text: &str, vrf, view: v1::RecordView| v1::StreamLookupAddressesRequest {
        address: text.to_owned(),
        vrf,
        view: view.into(),
    };
    let unspecified = v1::RecordView::Unspecified;
    let asked = [
        ask("203.0.113.5", None, unspecified),
        ask("nonsense", Some(v1::VrfRef::default()), unspecified),
        ask("203.0.113.5", vrf(99), unspecified),
        ask("203.0.113.5", None, v1::RecordView::Basic),
        ask("203.0.113.5", vrf(1), unspecified),
    ];
    // What a call of its own would be refused with.
    let mut alone = Vec::new();
    for request in &asked[1..3] {
        let v1::StreamLookupAddressesRequest { address, vrf, view } = request.clone();
        let request = v1::LookupAddressRequest { address, vrf, view, as_of_time: None };
        let status = server.prefixes.lookup_address(request).await.unwrap_err();
        alone.push(Status::decode(status.details()).unwrap());
    }
    let answers = server.prefixes.stream_lookup_addresses(tokio_stream::iter(asked)).await.unwrap();
    let mut answers = answers.into_inner();
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    while let Some(answer) = answers.message().await.unwrap() {
        match answer.outcome.unwrap() {
            Outcome::Result(result) => {
                assert!(result.cache.unwrap().live);
                results.push((result.chain.len(), result.chain[0].view()));
            }
            Outcome::Error(error) => errors.push(error),
        }
    }
    let (full, basic) = (v1::RecordView::Full, v1::RecordView::Basic);
    assert_eq!(results, [(3, full), (3, basic), (1, full)]);
    assert_eq!(errors, alone);
    let codes: Vec<i32> = errors.iter().map(|error| error.code).collect();
    assert_eq!(codes, [Code::InvalidArgument as i32, Code::NotFound as i32]);
}

/// Names a VRF otherwise than by its id.
fn named(name: v1::vrf_ref::Ref) -> Option<v1::VrfRef> {
    Some(v1::VrfRef { r#ref: Some(name) })
}

fn reason(status: &tonic::Status) -> (Code, String) {
    (status.code(), status.get_error_details().error_info().unwrap().reason.clone())
}

#[tokio::test]
async fn every_method_takes_a_vrf_by_id_name_and_rd_and_refuses_one_that_is_unknown_or_ambiguous() {
    use v1::vrf_ref::Ref;
    let (netbox, server) = filled().await;
    for _ in 0..2 {
        netbox.post("ipam/vrfs/", json!({ "name": "lab" })).await;
    }
    eventually("the VRFs are in the cache", async || {
        let all = server.prefixes.clone().list_vrfs(v1::ListVrfsRequest::default()).await.unwrap();
        all.into_inner().vrfs.len() == 3
    })
    .await;
    // What each method of the service answers: how many prefixes of the VRF, or why none.
    let answers = async |vrf: Option<v1::VrfRef>| {
        let (address, prefix) = ("203.0.113.5".to_owned(), "203.0.113.0/24".to_owned());
        let mut client = server.prefixes.clone();
        let get = v1::GetPrefixRequest {
            key: Some(v1::get_prefix_request::Key::Prefix(prefix)),
            vrf: vrf.clone(),
            ..Default::default()
        };
        let list = v1::ListPrefixesRequest { vrf: vrf.clone(), ..Default::default() };
        let lookup =
            v1::LookupAddressRequest { address: address.clone(), vrf: vrf.clone(), ..Default::default() };
        let batch = v1::BatchLookupAddressesRequest {
            addresses: vec![address],
            vrf: vrf.clone(),
            ..Default::default()
        };
        let answers = [
            client.get_prefix(get).await.map(|answer| usize::from(answer.into_inner().prefix.is_some())),
            client.list_prefixes(list).await.map(|answer| answer.into_inner().prefixes.len()),
            client.lookup_address(lookup).await.map(|answer| answer.into_inner().chain.len()),
            client
                .batch_lookup_addresses(batch)
                .await
                .map(|answer| answer.into_inner().results[0].chain.len()),
        ];
        answers.map(|answer| answer.map_err(|status| reason(&status)))
    };
    for vrf in [
        vrf(1),
        named(Ref::Id(1)),
        named(Ref::Name("customers".to_owned())),
        named(Ref::Rd("64500:7".to_owned())),
    ] {
        assert_eq!(answers(vrf.clone()).await, [Ok(1), Ok(1), Ok(1), Ok(1)], "{vrf:?}");
    }
    for (vrf, code, reason) in [
        (named(Ref::Id(99)), Code::NotFound, "VRF_NOT_FOUND"),
        (named(Ref::Name("Customers".to_owned())), Code::NotFound, "VRF_NOT_FOUND"),
        (named(Ref::Rd("64500:8".to_owned())), Code::NotFound, "VRF_NOT_FOUND"),
        (named(Ref::Name("lab".to_owned())), Code::FailedPrecondition, "VRF_AMBIGUOUS"),
        (Some(v1::VrfRef { r#ref: None }), Code::InvalidArgument, "INVALID_FIELDS"),
    ] {
        let refused = [(); 4].map(|()| Err((code, reason.to_owned())));
        assert_eq!(answers(vrf.clone()).await, refused, "{vrf:?}");
    }
}

#[tokio::test]
async fn the_past_of_a_vrf_that_is_gone_is_answered_by_its_id() {
    use v1::vrf_ref::Ref;
    let netbox = NetBox::emulated().await;
    let server = Server::before(&netbox).await;
    let gone = netbox.post("ipam/vrfs/", json!({ "name": "short-lived" })).await["id"].as_u64().unwrap();
    let prefix = netbox.prefix(gone, "203.0.113.0/24").await;
    eventually("the prefix is in the cache", async || {
        let list = v1::ListPrefixesRequest::default();
        !server.prefixes.clone().list_prefixes(list).await.unwrap().into_inner().prefixes.is_empty()
    })
    .await;
    let at = SystemClock::new(jiff::tz::TimeZone::UTC).now();
    netbox.rest("DELETE", &format!("ipam/prefixes/{prefix}/"), None).await;
    netbox.rest("DELETE", &format!("ipam/vrfs/{gone}/"), None).await;
    let ask = async |vrf, as_of_time| {
        let request = v1::LookupAddressRequest {
            address: "203.0.113.5".to_owned(),
            vrf,
            as_of_time,
            ..Default::default()
        };
        let answer = server.prefixes.clone().lookup_address(request).await;
        answer.map(|answer| answer.into_inner().chain.len()).map_err(|status| reason(&status))
    };
    let not_found = Err((Code::NotFound, "VRF_NOT_FOUND".to_owned()));
    eventually("the VRF is gone", async || ask(vrf(gone), None).await == not_found).await;
    let then = Some(prost_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() });
    assert_eq!(ask(vrf(gone), then).await, Ok(1));
    // The names of VRFs are those of now, and an id that no record ever had is no VRF of the past.
    assert_eq!(ask(named(Ref::Name("short-lived".to_owned())), then).await, not_found);
    assert_eq!(ask(vrf(gone + 1), then).await, not_found);
}

#[tokio::test]
async fn vrfs_are_listed_by_id_in_pages() {
    let netbox = NetBox::emulated().await;
    for nth in (1..=5).rev() {
        netbox.post("ipam/vrfs/", json!({ "name": "lab", "rd": format!("64500:{nth}") })).await;
    }
    let server = Server::before(&netbox).await;
    let ask = async |page_size, page_token: &str| {
        let request = v1::ListVrfsRequest { page_size, page_token: page_token.to_owned() };
        server.prefixes.clone().list_vrfs(request).await.map(tonic::Response::into_inner)
    };
    let first = ask(3, "").await.unwrap();
    netbox.rest("DELETE", "ipam/vrfs/3/", None).await;
    eventually("the last row of the page is gone", async || ask(0, "").await.unwrap().vrfs.len() == 4).await;
    let second = ask(3, &first.next_page_token).await.unwrap();
    let ids = |page: &v1::ListVrfsResponse| page.vrfs.iter().map(|vrf| vrf.id).collect::<Vec<_>>();
    assert_eq!((ids(&first), ids(&second)), (vec![1, 2, 3], vec![4, 5]));
    assert_eq!((first.vrfs[0].name.as_str(), first.vrfs[0].rd.as_str()), ("lab", "64500:5"));
    assert!(second.next_page_token.is_empty() && second.cache.unwrap().live);
    let refused = ask(-1, "no token").await.unwrap_err();
    let details = refused.get_error_details();
    let fields: Vec<&str> =
        details.bad_request().unwrap().field_violations.iter().map(|one| one.field.as_str()).collect();
    assert_eq!(fields, ["page_size", "page_token"]);
}

#[tokio::test]
async fn the_utilization_of_a_prefix_is_counted_by_id_and_by_network() {
    use v1::get_utilization_request::Key;
    let (netbox, server) = filled().await;
    for host in ["203.0.113.9/28", "203.0.113.77/24"] {
        netbox.post("ipam/ip-addresses/", json!({ "address": host })).await;
    }
    let ask = async |key, vrf| {
        let request = v1::GetUtilizationRequest { key, vrf };
        server.prefixes.clone().get_utilization(request).await.map(tonic::Response::into_inner)
    };
    let network = |text: &str| Some(Key::Prefix(text.to_owned()));
    eventually("the addresses are in the cache", async || {
        ask(network("203.0.113.0/24"), None).await.unwrap().utilization.unwrap().recorded_count == Some(3)
    })
    .await;
    let answer = ask(network("203.0.113.0/24"), None).await.unwrap();
    assert!(answer.cache.unwrap().live);
    let prefix = answer.prefix.unwrap();
    assert_eq!((prefix.prefix.as_str(), prefix.view()), ("203.0.113.0/24", v1::RecordView::Basic));
    let counted = answer.utilization.unwrap();
    // Two of the three addresses are among the 16 of the child prefix; .0 is one of these 16, and .255 is left.
    let expected = v1::Utilization {
        total_count: Some(256),
        recorded_count: Some(3),
        in_range_count: Some(0),
        in_child_prefix_count: Some(14),
        not_assignable_count: Some(1),
        quarantined_count: Some(0),
        free_count: Some(238),
        largest_free_prefix_length: Some(25),
        pooled_count: Some(0),
    };
    assert_eq!(counted, expected);
    assert_eq!(ask(Some(Key::PrefixId(prefix.id)), None).await.unwrap().utilization, Some(expected));
    // A list counts alike, each prefix of the page in its place.
    for include_utilization in [true, false] {
        let request = v1::ListPrefixesRequest { include_utilization, ..Default::default() };
        let page = server.prefixes.clone().list_prefixes(request).await.unwrap().into_inner();
        let mut counted = Vec::new();
        for prefix in page.prefixes.iter().filter(|_| include_utilization) {
            counted.push(ask(Some(Key::PrefixId(prefix.id)), None).await.unwrap().utilization.unwrap());
        }
        assert_eq!((page.prefixes.len() > 3, page.utilizations), (true, counted));
    }
    // A count of 2^64 or more is absent.
    let six = ask(network("2001:db8::/32"), None).await.unwrap().utilization.unwrap();
    assert_eq!((six.total_count, six.recorded_count, six.free_count), (None, Some(0), None));
    let empty = ask(network("203.0.113.0/24"), vrf(1)).await.unwrap().utilization.unwrap();
    assert_eq!((empty.recorded_count, empty.free_count), (Some(0), Some(254)));
    for (key, vrf, code, why) in [
        (network("192.0.2.0/24"), None, Code::NotFound, "PREFIX_NOT_FOUND"),
        (network("203.0.113.0/24"), vrf(99), Code::NotFound, "VRF_NOT_FOUND"),
        (Some(Key::PrefixId(0)), None, Code::InvalidArgument, "INVALID_FIELDS"),
        (None, None, Code::InvalidArgument, "INVALID_FIELDS"),
    ] {
        assert_eq!(reason(&ask(key.clone(), vrf).await.unwrap_err()), (code, why.to_owned()), "{key:?}");
    }
}

/// A NetBox whose prefix and address carry a tag, and custom fields of so many bytes together.
async fn with_notes(bytes: usize) -> (NetBox, Server) {
    let netbox = NetBox::emulated().await;
    netbox.post("extras/tags/", json!({ "name": "Web", "slug": "web" })).await;
    let tags = json!([{ "slug": "web" }]);
    let lease = json!({ "lease_owner": "ACME-LIR" });
    let prefix = json!({ "prefix": "203.0.113.0/24", "custom_fields": lease, "tags": tags });
    netbox.post("ipam/prefixes/", prefix).await;
    netbox.post("ipam/ip-addresses/", json!({ "address": "203.0.113.5/24", "tags": tags })).await;
    // Several, because a server takes requests of a certain size only.
    for name in ["notes_1", "notes_2", "notes_3", "notes_4"] {
        let types = ["ipam.prefix", "ipam.ipaddress"];
        let field = json!({ "name": name, "label": name, "type": "longtext", "object_types": types });
        netbox.post("extras/custom-fields/", field).await;
        let body = json!({ "custom_fields": { name: "x".repeat(bytes / 4) } });
        for path in ["ipam/prefixes/1/", "ipam/ip-addresses/1/"] {
            assert_eq!(netbox.rest("PATCH", path, Some(body.clone())).await.0, 200);
        }
    }
    let server = Server::before(&netbox).await;
    (netbox, server)
}

/// What the five reads answer in a view: for each its prefix, without the address records.
async fn reads(server: &Server, view: v1::RecordView) -> [Result<v1::Prefix, tonic::Status>; 5] {
    use v1::stream_lookup_addresses_response::Outcome;
    let (address, prefix, view) = ("203.0.113.5".to_owned(), "203.0.113.0/24".to_owned(), view.into());
    let mut client = server.prefixes.clone();
    let get = v1::GetPrefixRequest {
        key: Some(v1::get_prefix_request::Key::Prefix(prefix)),
        view,
        ..Default::default()
    };
    let list = v1::ListPrefixesRequest { view, ..Default::default() };
    let lookup = v1::LookupAddressRequest { address: address.clone(), view, ..Default::default() };
    let batch =
        v1::BatchLookupAddressesRequest { addresses: vec![address.clone()], view, ..Default::default() };
    let stream = tokio_stream::iter([v1::StreamLookupAddressesRequest { address, vrf: None, view }]);
    let of_answer = |answer: v1::LookupAddressResponse| {
        assert_eq!(answer.lease.unwrap().owner, "ACME-LIR", "the covering lease is in every view");
        let (record, prefix) = (&answer.records[0], &answer.chain[0]);
        assert_eq!(record.view, prefix.view);
        assert_eq!(record.tags.is_empty(), prefix.tags.is_empty());
        assert_eq!(record.custom_fields.is_some(), prefix.custom_fields.is_some());
        prefix.clone()
    };
    let streamed = client.stream_lookup_addresses(stream).await.unwrap().into_inner().message().await;
    [
        client.get_prefix(get).await.map(|answer| answer.into_inner().prefix.unwrap()),
        client.lookup_address(lookup).await.map(|answer| of_answer(answer.into_inner())),
        match streamed.unwrap().unwrap().outcome.unwrap() {
            Outcome::Result(result) => Ok(of_answer(result)),
            Outcome::Error(error) => Err(tonic::Status::with_details(
                error.code.into(),
                error.message.clone(),
                error.encode_to_vec().into(),
            )),
        },
        client.list_prefixes(list).await.map(|answer| answer.into_inner().prefixes.remove(0)),
        client
            .batch_lookup_addresses(batch)
            .await
            .map(|answer| of_answer(answer.into_inner().results.remove(0))),
    ]
}

#[tokio::test]
async fn single_reads_answer_in_full_and_lists_and_batches_in_the_basic_view_unless_told_otherwise() {
    let (_netbox, server) = with_notes(10).await;
    let (full, basic) = (v1::RecordView::Full, v1::RecordView::Basic);
    for (asked, answered) in [
        (v1::RecordView::Unspecified, [full, full, full, basic, basic]),
        (full, [full; 5]),
        (basic, [basic; 5]),
    ] {
        let prefixes = reads(&server, asked).await.map(Result::unwrap);
        assert_eq!(prefixes.each_ref().map(v1::Prefix::view), answered, "{asked:?}");
        for (nth, prefix) in prefixes.iter().enumerate() {
            let whole = prefix.view() == full;
            assert_eq!((!prefix.tags.is_empty(), prefix.custom_fields.is_some()), (whole, whole));
            // Only in a chain does the basic view leave out the lease.
            let in_chain = ![0, 3].contains(&nth);
            assert_eq!(prefix.lease.is_some(), whole || !in_chain, "{asked:?}, read {nth}");
        }
    }
    let request = v1::ListPrefixesRequest { view: 7, ..Default::default() };
    let refused = server.prefixes.clone().list_prefixes(request).await.unwrap_err();
    assert_eq!(reason(&refused), (Code::InvalidArgument, "INVALID_FIELDS".to_owned()));
}

#[tokio::test]
async fn an_answer_beyond_four_mib_is_refused_and_a_list_shows_its_record_in_the_basic_view() {
    let (_netbox, server) = with_notes(4 << 20).await;
    let (full, basic) = (v1::RecordView::Full, v1::RecordView::Basic);
    let [get, lookup, streamed, list, batch] = reads(&server, full).await;
    for refused in [get, lookup, streamed, batch] {
        let status = refused.unwrap_err();
        assert_eq!(reason(&status), (Code::ResourceExhausted, "ANSWER_TOO_LARGE".to_owned()));
        assert!(status.message().contains("BASIC"), "{status:?}");
    }
    assert_eq!(list.unwrap().view(), basic);
    let all = reads(&server, basic).await.map(Result::unwrap);
    assert!(all.iter().all(|prefix| prefix.view() == basic));
}

#[tokio::test]
async fn a_batch_of_a_thousand_addresses_with_chains_of_five_fits_a_client_at_its_default_limits() {
    let netbox = NetBox::emulated().await;
    for (path, name) in [
        ("tenancy/tenants/", "Example Hosting GmbH"),
        ("ipam/roles/", "Customer network"),
        ("extras/tags/", "Web tier"),
        ("extras/tags/", "Monitored by NOC"),
        ("extras/tags/", "Billing 2026"),
        ("extras/tags/", "Announced by AS64500"),
    ] {
        let slug = name.to_lowercase().replace(' ', "-");
        netbox.post(path, json!({ "name": name, "slug": slug })).await;
    }
    for name in ["contract", "rack", "handover", "contact", "abuse_mailbox", "review"] {
        let types = ["ipam.prefix", "ipam.ipaddress"];
        let field = json!({ "name": name, "label": name, "type": "text", "object_types": types });
        netbox.post("extras/custom-fields/", field).await;
    }
    let tags = json!([{ "slug": "web-tier" }, { "slug": "monitored-by-noc" }, { "slug": "billing-2026" }, { "slug": "announced-by-as64500" }]);
    let ours = json!({
        "contract": "C-2026-004711", "rack": "FRA3 R12", "handover": "Ports 1 to 4, badge at the desk",
        "contact": "noc@customer.example", "abuse_mailbox": "abuse@customer.example",
        "review": "Reviewed in May 2026, next review when the second uplink is in service",
    });
    let record = |key: &str, value: String, lease: bool| {
        let mut fields = ours.clone();
        if lease {
            fields["lease_owner"] = json!("ACME-LIR");
            fields["lease_expiry"] = json!("2099-06-01");
            fields["loa_reference"] = json!("LOA-2026-0042");
        }
        json!({
            key: value, "tenant": { "slug": "example-hosting-gmbh" }, "tags": tags, "custom_fields": fields,
            "description": "Customer 4711: web tier, second uplink, see the contract for the details of it",
        })
    };
    let mut prefixes = Vec::new();
    for network in [
        "10.0.0.0/8",
        "10.1.0.0/16",
        "10.1.0.0/20",
        "10.1.0.0/22",
        "10.1.0.0/24",
        "10.1.1.0/24",
        "10.1.2.0/24",
        "10.1.3.0/24",
    ] {
        let mut prefix = record("prefix", network.to_owned(), true);
        prefix["role"] = json!({ "slug": "customer-network" });
        prefixes.push(prefix);
    }
    let addresses: Vec<String> =
        (0..1000u32).map(|nth| std::net::Ipv4Addr::from(0x0a01_0000 + nth).to_string()).collect();
    let records = addresses.iter().map(|address| {
        let mut body = record("address", format!("{address}/24"), false);
        body["dns_name"] = json!(format!("web-{}.customer.example", address.replace('.', "-")));
        body
    });
    assert_eq!(netbox.rest("POST", "ipam/prefixes/", Some(prefixes.into())).await.0, 201);
    assert_eq!(netbox.rest("POST", "ipam/ip-addresses/", Some(records.collect())).await.0, 201);
    let server = Server::before(&netbox).await;

    let request = v1::BatchLookupAddressesRequest { addresses, ..Default::default() };
    let answer = server.prefixes.clone().batch_lookup_addresses(request.clone()).await.unwrap().into_inner();
    assert_eq!(answer.results.len(), 1000);
    for result in &answer.results {
        assert_eq!((result.chain.len(), result.records.len(), result.lease.is_some()), (5, 1, true));
    }
    let bytes = answer.encoded_len();
    println!("a thousand addresses with chains of five: {bytes} bytes");
    assert!((1_400_000..1_550_000).contains(&bytes), "{bytes} bytes");
    // In full it would not fit, and says so before a client runs into its limit.
    let full = v1::BatchLookupAddressesRequest { view: v1::RecordView::Full.into(), ..request };
    let answered = server.prefixes.clone().batch_lookup_addresses(full).await;
    let refused = answered.map(|answer| answer.get_ref().encoded_len()).unwrap_err();
    assert_eq!(reason(&refused), (Code::ResourceExhausted, "ANSWER_TOO_LARGE".to_owned()));
    assert!(refused.message().contains("fewer addresses"), "{refused:?}");
}

#[tokio::test]
async fn prefixes_are_listed_in_pages_and_by_filter() {
    let (netbox, mut server) = filled().await;
    let mut request = v1::ListPrefixesRequest { page_size: 2, ..v1::ListPrefixesRequest::default() };
    let mut seen = Vec::new();
    loop {
        let page = server.prefixes.list_prefixes(request.clone()).await.unwrap().into_inner();
        seen.extend(page.prefixes.iter().map(|prefix| prefix.prefix.clone()));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["203.0.0.0/16", "203.0.113.0/24", "203.0.113.0/28", "2001:db8::/32", "203.0.113.0/24"]);
    let leased = v1::ListPrefixesRequest {
        leased_only: true,
        within: "203.0.113.0/24".to_owned(),
        ..v1::ListPrefixesRequest::default()
    };
    let page = server.prefixes.list_prefixes(leased).await.unwrap().into_inner();
    assert_eq!(page.prefixes.len(), 1);
    drop(netbox);
}

#[tokio::test]
async fn a_change_in_netbox_is_in_answers_within_three_seconds() {
    let (netbox, server) = filled().await;
    // The median of several changes, so that one pause of a busy machine is not taken for the server's.
    let mut times = Vec::new();
    for _ in 0..3 {
        let body = json!({ "address": "203.0.113.77/24", "description": "by hand" });
        let id = netbox.post("ipam/ip-addresses/", body).await["id"].clone();
        let recorded = time_until("the lookup returns the new address", async || {
            !server.lookup(0, "203.0.113.77").await.records.is_empty()
        });
        times.push(recorded.await);
        netbox.rest("DELETE", &format!("ipam/ip-addresses/{id}/"), None).await;
        let deleted = time_until("the lookup no longer returns the deleted address", async || {
            server.lookup(0, "203.0.113.77").await.records.is_empty()
        });
        times.push(deleted.await);
    }
    times.sort_unstable();
    assert!(times[times.len() / 2] < std::time::Duration::from_secs(3), "{times:?}");
}

#[tokio::test]
async fn an_answer_follows_changes_of_the_lease_the_address_and_the_vrf() {
    let (netbox, server) = filled().await;
    let answer = async || {
        let (outside, inside) =
            (server.lookup(0, "203.0.113.5").await, server.lookup(1, "203.0.113.5").await);
        let lease = outside.lease.unwrap();
        assert_eq!(outside.chain[1].lease.as_ref(), Some(&lease));
        (lease.owner, outside.records[0].dns_name.clone(), inside.chain[0].vrf.clone().unwrap().name)
    };
    let expected = |owner: &str, name: &str, vrf: &str| (owner.to_owned(), name.to_owned(), vrf.to_owned());
    assert_eq!(answer().await, expected("ACME-LIR", "web-01.customer.example", "customers"));
    let lease = json!({ "custom_fields": { "lease_owner": "OTHER-LIR" } });
    netbox.rest("PATCH", "ipam/prefixes/2/", Some(lease)).await;
    netbox.rest("PATCH", "ipam/vrfs/1/", Some(json!({ "name": "tenants" }))).await;
    let name = json!({ "dns_name": "web-02.customer.example" });
    netbox.rest("PATCH", "ipam/ip-addresses/1/", Some(name)).await;
    let wanted = expected("OTHER-LIR", "web-02.customer.example", "tenants");
    eventually("the changes are in the answer", async || answer().await == wanted).await;
}
