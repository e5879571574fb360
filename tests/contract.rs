//! One contract, two NetBoxes: each case states something that Leasehold relies on, and runs against the emulator and against
//! a real NetBox. So the emulator stays true, and a new version of NetBox that behaves differently is noticed here.

use leasehold::model::{Address, AddressId, PrefixId, RequestId, VrfId, VrfScope};
use leasehold::netbox::{AddressChange, AddressDraft, ChangeNote, Error, FieldChange, NewAddress};
use serde_json::{Value, json};

use crate::support::{NetBox, id, on_both};

on_both!(
    available_ips_hands_out_the_lowest_free_addresses,
    available_ips_looks_into_child_prefixes,
    available_ips_skips_populated_ranges,
    a_pool_hands_out_network_and_broadcast,
    available_ips_is_all_or_nothing,
    a_full_prefix_is_a_conflict,
    an_allocation_id_can_be_used_once,
    an_allocation_id_is_not_checked_within_a_list,
    a_list_names_the_entries_it_is_refused_for,
    measuring_the_check_of_allocation_ids_writes_nothing,
    of_twelve_concurrent_requests_with_one_allocation_id_one_succeeds,
    a_duplicate_address_is_refused_where_uniqueness_is_enforced,
    a_duplicate_address_is_accepted_where_uniqueness_is_not_enforced,
    the_language_of_errors_follows_accept_language,
    duplicates_and_missing_fields_are_errors_of_their_own,
    a_request_line_over_4094_bytes_is_refused,
    questions_about_many_records_are_cut_to_fit_the_request_line,
    an_answer_of_several_pages_is_read_to_its_end,
    a_list_of_addresses_is_all_or_nothing,
    a_write_with_an_old_etag_is_refused,
    the_etag_follows_from_last_updated,
    unknown_filters_are_ignored,
    ids_are_found_and_missing_ones_left_out,
    cursor_pages_give_every_record_once,
    the_change_log_records_create_update_and_delete,
    the_change_log_has_records_before_and_after_each_change,
    a_bulk_delete_with_a_missing_id_deletes_nothing,
    each_entry_of_a_list_has_a_note_of_its_own,
    field_errors_name_their_fields,
    an_unknown_custom_field_is_refused,
    a_tag_of_other_object_types_is_refused_with_500_or_400,
    a_refused_tag_is_a_definite_refusal_to_the_client,
    a_record_that_the_token_may_see_but_not_write_is_a_matter_of_rights,
    select_fields_are_given_with_their_label,
    a_patch_of_custom_fields_merges,
    a_tenant_is_named_by_id_slug_or_name_and_cleared_by_null,
    a_list_of_patches_is_all_or_nothing,
    a_wrong_token_is_refused_with_403,
    a_missing_record_is_404_with_a_detail,
    an_unknown_vrf_is_an_invalid_filter_value,
    an_address_is_found_by_its_host,
    prefixes_are_found_within_another,
);

fn ips(answer: &Value) -> Vec<&str> {
    answer.as_array().unwrap().iter().map(|row| row["address"].as_str().unwrap()).collect()
}

async fn available(netbox: &NetBox, prefix: u64, body: Value) -> (u16, Value) {
    let path = format!("ipam/prefixes/{prefix}/available-ips/");
    let (status, answer, _) = netbox.rest("POST", &path, Some(body)).await;
    (status, answer)
}

async fn available_ips_hands_out_the_lowest_free_addresses(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let prefix = netbox.prefix(vrf, "203.0.113.0/29").await;
    netbox.post("ipam/ip-addresses/", json!({ "address": "203.0.113.2/29", "vrf": vrf })).await;
    let (status, answer) = available(netbox, prefix, json!([{}, { "description": "second" }])).await;
    assert_eq!(status, 201);
    assert_eq!(ips(&answer), ["203.0.113.1/29", "203.0.113.3/29"]);
    assert_eq!(answer[1]["description"], "second");
    assert_eq!(answer[0]["status"], json!({ "value": "active", "label": "Active" }));
    // One body instead of a list gives one record instead of a list.
    let (_, answer) = available(netbox, prefix, json!({})).await;
    assert_eq!(answer["address"], "203.0.113.4/29");
}

async fn available_ips_looks_into_child_prefixes(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let parent = netbox.prefix(vrf, "203.0.113.0/24").await;
    netbox.prefix(vrf, "203.0.113.0/28").await;
    let (_, answer) = available(netbox, parent, json!([{}])).await;
    assert_eq!(ips(&answer), ["203.0.113.1/24"]);
}

async fn available_ips_skips_populated_ranges(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let prefix = netbox.prefix(vrf, "203.0.113.0/28").await;
    let range = |from: &str, to: &str, populated: bool| json!({ "start_address": from, "end_address": to, "vrf": vrf, "mark_populated": populated });
    netbox.post("ipam/ip-ranges/", range("203.0.113.1/28", "203.0.113.4/28", true)).await;
    netbox.post("ipam/ip-ranges/", range("203.0.113.6/28", "203.0.113.8/28", false)).await;
    let (_, answer) = available(netbox, prefix, json!([{}, {}])).await;
    assert_eq!(ips(&answer), ["203.0.113.5/28", "203.0.113.6/28"]);
}

async fn a_pool_hands_out_network_and_broadcast(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let pool = netbox
        .post("ipam/prefixes/", json!({ "prefix": "203.0.113.0/30", "vrf": vrf, "is_pool": true }))
        .await;
    let (_, answer) = available(netbox, pool["id"].as_u64().unwrap(), json!([{}, {}, {}, {}])).await;
    assert_eq!(ips(&answer), ["203.0.113.0/30", "203.0.113.1/30", "203.0.113.2/30", "203.0.113.3/30"]);
    let point_to_point = netbox.prefix(vrf, "198.51.100.0/31").await;
    let (_, answer) = available(netbox, point_to_point, json!([{}, {}])).await;
    assert_eq!(ips(&answer), ["198.51.100.0/31", "198.51.100.1/31"]);
    let v6 = netbox.prefix(vrf, "2001:db8::/126").await;
    let (_, answer) = available(netbox, v6, json!([{}])).await;
    assert_eq!(ips(&answer), ["2001:db8::1/126"]);
}

async fn available_ips_is_all_or_nothing(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let prefix = netbox.prefix(vrf, "203.0.113.0/28").await;
    let (status, answer) = available(netbox, prefix, json!([{}, { "status": "nope" }])).await;
    assert_eq!(status, 400);
    assert_eq!(answer, json!([{}, { "status": ["nope is not a valid choice."] }]));
    let (_, page, _) = netbox.rest("GET", &format!("ipam/ip-addresses/?vrf_id={vrf}"), None).await;
    assert_eq!(page["count"], 0);
}

async fn a_full_prefix_is_a_conflict(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let prefix = netbox.prefix(vrf, "203.0.113.0/30").await;
    let (status, answer) = available(netbox, prefix, json!([{}, {}, {}])).await;
    assert_eq!(status, 409);
    assert!(answer["detail"].as_str().unwrap().starts_with("Insufficient resources"), "{answer}");
}

fn identity(key: u64, index: u32) -> Value {
    json!({ "custom_fields": { "allocation_id": format!("vrf-{key}/{index}") } })
}

const NOT_UNIQUE: &str = "Custom field 'allocation_id' must have a unique value.";

async fn an_allocation_id_can_be_used_once(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let key = u64::from(std::process::id()) * 1_000_000 + vrf;
    let prefix = netbox.prefix(vrf, "203.0.113.0/28").await;
    let (status, _) = available(netbox, prefix, json!([identity(key, 0), identity(key, 1)])).await;
    assert_eq!(status, 201);
    let (status, answer) = available(netbox, prefix, json!([identity(key, 2), identity(key, 1)])).await;
    assert_eq!((status, answer), (400, json!([{}, { "__all__": [NOT_UNIQUE] }])));
    let mut named = identity(key, 0);
    named["address"] = json!("203.0.113.9/28");
    named["vrf"] = json!(vrf);
    let (status, answer, _) = netbox.rest("POST", "ipam/ip-addresses/", Some(json!([named]))).await;
    assert_eq!(status, 400);
    assert_eq!(answer["errors"], json!([{ "index": 0, "errors": { "__all__": [NOT_UNIQUE] } }]));
    // The filter is exact: it does not find ids that only begin with the value.
    let (_, page, _) = netbox
        .rest("GET", &format!("ipam/ip-addresses/?cf_allocation_id=vrf-{key}/&vrf_id={vrf}"), None)
        .await;
    assert_eq!(page["count"], 0);
    let query = format!("cf_allocation_id=vrf-{key}/0&cf_allocation_id=vrf-{key}/1");
    let (_, page, _) = netbox.rest("GET", &format!("ipam/ip-addresses/?{query}"), None).await;
    assert_eq!(page["count"], 2);
}

async fn an_allocation_id_is_not_checked_within_a_list(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let prefix = netbox.prefix(vrf, "203.0.113.0/28").await;
    let key = u64::from(std::process::id()) * 2_000_000 + vrf;
    let (status, answer) = available(netbox, prefix, json!([identity(key, 0), identity(key, 0)])).await;
    assert_eq!(status, 201, "{answer}");
    assert_eq!(answer.as_array().unwrap().len(), 2);
}

async fn of_twelve_concurrent_requests_with_one_allocation_id_one_succeeds(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let prefix = netbox.prefix(vrf, "203.0.113.0/24").await;
    let key = u64::from(std::process::id()) * 3_000_000 + vrf;
    let tries = (0..12).map(|_| available(netbox, prefix, json!([identity(key, 0)])));
    let statuses: Vec<u16> =
        futures::future::join_all(tries).await.into_iter().map(|(status, _)| status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 400).count(), 11, "{statuses:?}");
}

async fn a_duplicate_address_is_refused_where_uniqueness_is_enforced(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let body = json!({ "address": "203.0.113.5/24", "vrf": vrf });
    netbox.post("ipam/ip-addresses/", body.clone()).await;
    let (status, answer, _) = netbox.rest("POST", "ipam/ip-addresses/", Some(body)).await;
    assert_eq!(status, 400);
    assert!(
        answer["address"][0].as_str().unwrap().starts_with("Duplicate IP address found in VRF"),
        "{answer}"
    );
    netbox.prefix(vrf, "198.51.100.0/24").await;
    let again = json!({ "prefix": "198.51.100.0/24", "vrf": vrf });
    let (status, answer, _) = netbox.rest("POST", "ipam/prefixes/", Some(again)).await;
    assert_eq!(status, 400);
    assert!(answer["prefix"][0].as_str().unwrap().starts_with("Duplicate prefix found in VRF"), "{answer}");
}

async fn a_duplicate_address_is_accepted_where_uniqueness_is_not_enforced(netbox: &NetBox) {
    let vrf = netbox.vrf(false).await;
    let body = json!({ "address": "203.0.113.5/24", "vrf": vrf });
    netbox.post("ipam/ip-addresses/", body.clone()).await;
    netbox.post("ipam/ip-addresses/", body).await;
    netbox.prefix(vrf, "198.51.100.0/24").await;
    netbox.prefix(vrf, "198.51.100.0/24").await;
}

async fn the_language_of_errors_follows_accept_language(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let body = json!({ "address": "203.0.113.5/24", "vrf": vrf });
    netbox.post("ipam/ip-addresses/", body.clone()).await;
    let refusal = async |language: &str| {
        let scheme = if netbox.token.starts_with("nbt_") { "Bearer" } else { "Token" };
        let request = reqwest::Client::new()
            .post(format!("{}/api/ipam/ip-addresses/", netbox.url))
            .header("authorization", format!("{scheme} {}", netbox.token))
            .header("accept-language", language)
            .json(&body);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["address"][0].as_str().unwrap().to_owned()
    };
    assert!(refusal("en").await.starts_with("Duplicate IP address found in"));
    let german = refusal("de").await;
    assert!(german.starts_with("Doppelte") && !german.to_lowercase().contains("duplicate"), "{german}");
}

/// A duplicate is recognised by its text, so the client must ask for English whatever NetBox's own language is.
#[tokio::test]
async fn a_duplicate_is_recognised_in_a_german_netbox() {
    let netbox = NetBox::german().await;
    duplicates_and_missing_fields_are_errors_of_their_own(&netbox).await;
}

/// A note of a request that nobody else makes.
fn note() -> leasehold::netbox::ChangeNote {
    leasehold::netbox::ChangeNote::new("Test", &leasehold::model::RequestId::random(), "tests")
}

async fn duplicates_and_missing_fields_are_errors_of_their_own(netbox: &NetBox) {
    use leasehold::netbox::{AddressDraft, Error, FieldChange, FieldNames, NetBoxSettings, PrefixDraft};
    let vrf = netbox.vrf(true).await;
    let scope = VrfScope::Vrf(VrfId(vrf));
    let client = netbox.client().await;
    let draft = AddressDraft { status: "active".to_owned(), ..AddressDraft::default() };
    let address = [("203.0.113.5/24".parse().unwrap(), draft)];
    client.create_addresses(scope, &address, &note()).await.unwrap();
    let again = client.create_addresses(scope, &address, &note()).await;
    assert!(matches!(again, Err(Error::DuplicateAddress { .. })), "{again:?}");
    let prefix = "203.0.113.0/24".parse().unwrap();
    client.create_prefix(prefix, scope, &PrefixDraft::default(), &note()).await.unwrap();
    let again = client.create_prefix(prefix, scope, &PrefixDraft::default(), &note()).await;
    assert!(matches!(again, Err(Error::DuplicatePrefix { .. })), "{again:?}");

    let draft = PrefixDraft { status: Some("nope".to_owned()), ..PrefixDraft::default() };
    let invalid = client.create_prefix("198.51.100.0/24".parse().unwrap(), scope, &draft, &note()).await;
    assert!(matches!(invalid, Err(Error::Invalid { .. })), "{invalid:?}");

    let fields = FieldNames::from_pairs([("lease_owner", "no_such_field")]).unwrap();
    let other = leasehold::netbox::Client::new(&NetBoxSettings { fields, ..netbox.settings() }).unwrap();
    let owner = FieldChange::LeaseOwner(Some("ACME-LIR".to_owned()));
    let draft = PrefixDraft { fields: vec![owner], ..PrefixDraft::default() };
    let unknown = other.create_prefix("192.0.2.0/24".parse().unwrap(), scope, &draft, &note()).await;
    assert!(matches!(unknown, Err(Error::UnknownCustomField { .. })), "{unknown:?}");
}

async fn a_request_line_over_4094_bytes_is_refused(netbox: &NetBox) {
    // The rest of the line: `GET /api/`, the path, and ` HTTP/1.1`.
    let of_length = |length: usize| {
        let path = "ipam/vrfs/?name=";
        format!("{path}{}", "x".repeat(length - path.len() - "GET /api/ HTTP/1.1".len()))
    };
    let (status, page, _) = netbox.rest("GET", &of_length(4094), None).await;
    assert_eq!((status, &page["count"]), (200, &json!(0)));
    let (status, page, _) = netbox.rest("GET", &of_length(4095), None).await;
    assert_eq!((status, page), (400, Value::Null));
}

async fn questions_about_many_records_are_cut_to_fit_the_request_line(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let scope = VrfScope::Vrf(VrfId(vrf));
    let client = netbox.client().await;
    let hosts: Vec<String> =
        (0..=255).map(|host| format!("2001:db8:1234:5678:9abc:def0:0:{host:x}")).collect();
    for part in hosts.chunks(64) {
        let body = |host: &String| json!({ "address": format!("{host}/64"), "vrf": vrf });
        netbox.post("ipam/ip-addresses/", part.iter().map(body).collect()).await;
    }
    let hosts: Vec<std::net::IpAddr> = hosts.iter().map(|host| host.parse().unwrap()).collect();
    let found = client.addresses_at(scope, &hosts).await.unwrap();
    assert_eq!(found.len(), 256);
    assert!(client.addresses_at(VrfScope::Global, &hosts).await.unwrap().is_empty());
    let mut ids: Vec<u64> = found.iter().map(|address| address.id.0).collect();
    ids.sort_unstable();
    ids.extend(900_000_000_000..900_000_000_400);
    let mut again: Vec<leasehold::model::Address> = client.by_ids(&ids).await.unwrap();
    again.sort_by_key(|address| address.id);
    assert_eq!(again.iter().map(|address| address.id.0).collect::<Vec<_>>(), ids[..256]);
}

async fn an_answer_of_several_pages_is_read_to_its_end(netbox: &NetBox) {
    let vrf = netbox.vrf(false).await;
    let scope = VrfScope::Vrf(VrfId(vrf));
    let twice = |host: u8| json!({ "address": format!("203.0.113.{}/24", host % 4), "vrf": vrf });
    netbox.post("ipam/ip-addresses/", (0..11).map(twice).collect()).await;
    let settings = leasehold::netbox::NetBoxSettings {
        page_size: std::num::NonZeroU32::new(3).unwrap(),
        ..netbox.settings()
    };
    let client = leasehold::netbox::Client::new(&settings).unwrap();
    client.connect().await.unwrap();
    let within = client.addresses_within(scope, "203.0.113.0/24".parse().unwrap()).await.unwrap();
    let mut ids: Vec<u64> = within.iter().map(|address| address.id.0).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 11);
    assert_eq!(client.addresses_at(scope, &["203.0.113.1".parse().unwrap()]).await.unwrap().len(), 3);
}

async fn a_list_of_addresses_is_all_or_nothing(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let body = |host: u8| json!({ "address": format!("203.0.113.{host}/24"), "vrf": vrf });
    netbox.post("ipam/ip-addresses/", body(2)).await;
    let (status, answer, _) =
        netbox.rest("POST", "ipam/ip-addresses/", Some(json!([body(1), body(2)]))).await;
    assert_eq!(status, 400);
    assert_eq!(answer["detail"], "1 of 2 objects could not be created.");
    assert_eq!(answer["errors"][0]["index"], 1);
    let (_, page, _) = netbox.rest("GET", &format!("ipam/ip-addresses/?vrf_id={vrf}"), None).await;
    assert_eq!(page["count"], 1);
}

async fn a_write_with_an_old_etag_is_refused(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let id = netbox.prefix(vrf, "203.0.113.0/24").await;
    let path = format!("ipam/prefixes/{id}/");
    let (_, _, etag) = netbox.rest("GET", &path, None).await;
    let etag = etag.unwrap();
    let change = |words: &str| Some(json!({ "description": words }));
    let (status, _, newer) = netbox.rest_with("PATCH", &path, change("one"), Some(&etag)).await;
    assert_eq!(status, 200);
    assert_ne!(newer.unwrap(), etag);
    let (status, ..) = netbox.rest_with("PATCH", &path, change("two"), Some(&etag)).await;
    assert_eq!(status, 412);
    let (status, ..) = netbox.rest_with("DELETE", &path, None, Some(&etag)).await;
    assert_eq!(status, 412);
    let (_, row, _) = netbox.rest("GET", &path, None).await;
    assert_eq!(row["description"], "one");
}

async fn the_etag_follows_from_last_updated(netbox: &NetBox) {
    use leasehold::netbox::PrefixDraft;
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, "203.0.113.0/24").await;
    let client = netbox.client().await;
    let scope = VrfScope::Vrf(VrfId(vrf));
    let found = client.prefixes_at(scope, "203.0.113.0/24".parse().unwrap()).await.unwrap();
    let draft = PrefixDraft { description: Some("held".to_owned()), ..PrefixDraft::default() };
    let patched = client.patch_prefix(found[0].id, &found[0].revision, &draft, Some(&note())).await.unwrap();
    assert_eq!(patched.description, "held");
    let again = client.patch_prefix(found[0].id, &found[0].revision, &draft, Some(&note())).await;
    assert!(matches!(again, Err(leasehold::netbox::Error::Changed)), "{again:?}");
}

async fn unknown_filters_are_ignored(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    netbox.prefix(vrf, "203.0.113.0/24").await;
    let path = format!("ipam/prefixes/?vrf_id={vrf}&no_such_filter=1");
    let (status, page, _) = netbox.rest("GET", &path, None).await;
    assert_eq!((status, &page["count"]), (200, &json!(1)));
}

async fn ids_are_found_and_missing_ones_left_out(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let id = netbox.prefix(vrf, "203.0.113.0/24").await;
    let path = format!("ipam/prefixes/?id={id}&id=999999999&fields=id,prefix");
    let (_, page, _) = netbox.rest("GET", &path, None).await;
    assert_eq!(page["results"], json!([{ "id": id, "prefix": "203.0.113.0/24" }]));
}

async fn cursor_pages_give_every_record_once(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let bodies: Value =
        (1..=7).map(|host| json!({ "address": format!("203.0.113.{host}/24"), "vrf": vrf })).collect();
    let made = netbox.post("ipam/ip-addresses/", bodies).await;
    let mut wanted: Vec<u64> =
        made.as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect();
    wanted.sort_unstable();
    let (mut start, mut seen) = (0, Vec::<u64>::new());
    loop {
        let path = format!("ipam/ip-addresses/?vrf_id={vrf}&start={start}&limit=3&fields=id");
        let (_, page, _) = netbox.rest("GET", &path, None).await;
        assert_eq!(page["count"], Value::Null);
        let ids: Vec<u64> =
            page["results"].as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect();
        seen.extend(&ids);
        assert_eq!(page["next"].is_string(), ids.len() == 3, "{page}");
        if page["next"].is_null() {
            break;
        }
        start = ids.last().unwrap() + 1;
    }
    assert_eq!(seen, wanted);
    let bound = wanted[3];
    let path = format!("ipam/ip-addresses/?vrf_id={vrf}&start={}&id__lt={bound}&fields=id", wanted[1]);
    let (_, page, _) = netbox.rest("GET", &path, None).await;
    assert_eq!(page["results"], json!([{ "id": wanted[1] }, { "id": wanted[2] }]));
}

async fn the_change_log_records_create_update_and_delete(netbox: &NetBox) {
    use leasehold::netbox::{ChangeAction, ObjectKind};
    let client = netbox.client().await;
    let before = client.latest_object_change().await.unwrap().map_or(0, |change| change.id);
    let vrf = netbox.vrf(true).await;
    let id = netbox.prefix(vrf, "203.0.113.0/24").await;
    let path = format!("ipam/prefixes/{id}/");
    netbox.rest("PATCH", &path, Some(json!({ "description": "x" }))).await;
    netbox.rest("DELETE", &path, None).await;
    let changes = client.object_changes_from(before + 1).await.unwrap();
    let actions: Vec<ChangeAction> = changes
        .iter()
        .filter(|change| change.kind == Some(ObjectKind::Prefix) && change.object == id)
        .map(|change| change.action)
        .collect();
    assert_eq!(actions, [ChangeAction::Create, ChangeAction::Update, ChangeAction::Delete]);
    assert!(changes.iter().all(|change| !change.request.is_empty()));
    assert!(changes.windows(2).all(|pair| pair[0].id < pair[1].id));
}

async fn the_change_log_has_records_before_and_after_each_change(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let body = json!({ "address": "203.0.113.5/24", "vrf": vrf, "dns_name": "a.example" });
    let id = netbox.post("ipam/ip-addresses/", body).await["id"].as_u64().unwrap();
    let path = format!("ipam/ip-addresses/{id}/");
    netbox.rest("PATCH", &path, Some(json!({ "dns_name": "b.example" }))).await;
    netbox.rest("DELETE", &path, None).await;
    let entries_with = async |filter: &str| {
        let path = format!(
            "core/object-changes/?changed_object_type=ipam.ipaddress&changed_object_id={id}&ordering=id&{filter}"
        );
        netbox.rest("GET", &path, None).await.1["results"].as_array().unwrap().clone()
    };
    let entries = entries_with("").await;
    let names =
        |state: &str| entries.iter().map(|entry| entry[state]["dns_name"].clone()).collect::<Vec<_>>();
    assert_eq!(names("prechange_data"), [Value::Null, json!("a.example"), json!("b.example")]);
    assert_eq!(names("postchange_data"), [json!("a.example"), json!("b.example"), Value::Null]);
    assert_eq!((&entries[0]["prechange_data"], &entries[2]["postchange_data"]), (&json!({}), &json!({})));
    let created = &entries[0]["postchange_data"];
    // The change log has ids and bare values where the REST API has objects.
    assert_eq!(
        (&created["vrf"], &created["status"], &created["tenant"]),
        (&json!(vrf), &json!("active"), &Value::Null)
    );
    assert_eq!((&created["address"], &created["tags"]), (&json!("203.0.113.5/24"), &json!([])));
    assert!(created["custom_fields"].is_object(), "{created}");

    let last = entries[2]["time"].as_str().unwrap();
    let count = async |filter: &str| entries_with(filter).await.len();
    assert_eq!(count("object_repr=203.0.113.5/24").await, 3);
    assert_eq!(count("object_repr=203.0.113.5").await, 0);
    assert_eq!(count("object_repr__isw=203.0.113.5/").await, 3);
    assert_eq!(count("object_repr__isw=203.0.113.6/").await, 0);
    assert_eq!(count("object_repr__isw=203.0.113.6/&object_repr__isw=203.0.113.5/").await, 3);
    assert_eq!(count("time_after=2001-01-01T00:00:00Z").await, 3);
    // `time_after` includes an entry of exactly that time.
    assert_eq!(count(&format!("time_after={last}")).await, 1);
}

async fn each_entry_of_a_list_has_a_note_of_its_own(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let parent = PrefixId(netbox.prefix(vrf, "203.0.113.0/24").await);
    let (client, scope) = (netbox.client().await, VrfScope::from_number(vrf));
    let [listed, lowest, changed] = ["listed", "lowest", "changed"].map(|name| id(name).parse().unwrap());
    let note = |request: &RequestId, caller: &str| ChangeNote::new("AllocateAddresses", request, caller);
    let draft = AddressDraft { status: "reserved".to_owned(), ..AddressDraft::default() };
    let new = |last: u8, request: &RequestId| NewAddress {
        scope,
        interface: format!("203.0.113.{last}/24").parse().unwrap(),
        draft: &draft,
        note: note(request, &format!("caller-{last}")),
    };
    let mut made = client.create_listed(&[new(1, &listed), new(2, &listed)]).await.unwrap();
    made.extend(client.create_lowest(parent, &[new(3, &lowest), new(4, &lowest)]).await.unwrap());
    // The order of the list is that of the answer, whatever the order of the ids.
    made.reverse();
    let one = |(index, record): (u32, &Address)| Address {
        status: "active".to_owned(),
        description: format!("web-{index}"),
        dns_name: "web.example".to_owned(),
        allocation: Some(changed.allocation(index)),
        ..record.clone()
    };
    let wanted: Vec<Address> = (0..).zip(&made).map(one).collect();
    let change = async |list: &[Address]| {
        let change = |wanted| AddressChange { wanted, note: note(&changed, &format!("id-{}", wanted.id)) };
        client.change_addresses(&list.iter().map(change).collect::<Vec<_>>()).await
    };
    for (record, wanted) in change(&wanted).await.unwrap().iter().zip(&wanted) {
        let revision = record.revision.clone();
        assert!(revision.instant() > wanted.revision.instant());
        assert_eq!(*record, Address { revision, ..wanted.clone() });
    }
    for (request, entries) in [(&listed, 2), (&lowest, 2), (&changed, 4)] {
        let path = format!("core/object-changes/?q=request%3D{request}%20caller&limit=10");
        let (_, page, _) = netbox.rest("GET", &path, None).await;
        let notes = page["results"].as_array().unwrap().iter().map(|row| row["message"].as_str().unwrap());
        assert_eq!(notes.collect::<std::collections::BTreeSet<_>>().len(), entries, "{page}");
    }
    // All or none: one of them has an id that is taken, or is gone.
    let again = Address { description: "again".to_owned(), ..wanted[0].clone() };
    let taken = Address { allocation: wanted[1].allocation.clone(), ..wanted[2].clone() };
    let gone = Address { id: AddressId(999_999_999), ..wanted[2].clone() };
    for other in [taken, gone] {
        let refused = change(&[again.clone(), other]).await.unwrap_err();
        assert!(refused.is_of_records(), "{refused:?}");
    }
    let standing: Vec<Address> = client.by_ids(&[again.id.0]).await.unwrap();
    assert_eq!(standing[0].description, "web-0");
}

async fn a_bulk_delete_with_a_missing_id_deletes_nothing(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let made = netbox.post("ipam/ip-addresses/", json!([{ "address": "203.0.113.5/24", "vrf": vrf }])).await;
    let id = made[0]["id"].as_u64().unwrap();
    let both = Some(json!([{ "id": id }, { "id": 999_999_999 }]));
    let (status, ..) = netbox.rest("DELETE", "ipam/ip-addresses/", both).await;
    assert_eq!(status, 400);
    let (status, ..) = netbox.rest("DELETE", "ipam/ip-addresses/", Some(json!([{ "id": id }]))).await;
    assert_eq!(status, 204);
    // The check of permissions sends this: NetBox checks the permission first and then refuses the body.
    let (status, ..) = netbox.rest("DELETE", "ipam/ip-addresses/", Some(json!({}))).await;
    assert_eq!(status, 400);
}

async fn field_errors_name_their_fields(netbox: &NetBox) {
    let body = json!({ "prefix": "198.51.100.5/24", "status": "odd", "tenant": { "slug": "no-such" } });
    let (status, answer, _) = netbox.rest("POST", "ipam/prefixes/", Some(body)).await;
    assert_eq!(status, 400);
    assert_eq!(answer["status"], json!(["odd is not a valid choice."]));
    let words = "Related object not found using the provided attributes: {'slug': 'no-such'}";
    assert_eq!(answer["tenant"], json!([words]));
    let (_, answer, _) =
        netbox.rest("POST", "ipam/prefixes/", Some(json!({ "prefix": "198.51.100.5/24" }))).await;
    assert_eq!(
        answer["prefix"],
        json!(["198.51.100.5/24 is not a valid prefix. Did you mean 198.51.100.0/24?"])
    );
    let (_, answer, _) = netbox.rest("POST", "ipam/prefixes/", Some(json!({}))).await;
    assert_eq!(answer["prefix"], json!(["This field is required."]));
}

async fn an_unknown_custom_field_is_refused(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let body = json!({ "prefix": "198.51.100.0/24", "vrf": vrf, "custom_fields": { "nope": 1 } });
    let (status, answer, _) = netbox.rest("POST", "ipam/prefixes/", Some(body)).await;
    assert_eq!(status, 400);
    let words = "Custom field 'nope' does not exist for this object type.";
    assert_eq!(answer, json!({ "custom_fields": { "nope": words } }));
}

/// A tag that may only stand on devices; returns its slug.
async fn devices_only(netbox: &NetBox, vrf: u64) -> String {
    let slug = format!("devices-only-{}-{vrf}", std::process::id());
    let tag = json!({ "name": slug, "slug": slug, "object_types": ["dcim.device"] });
    netbox.post("extras/tags/", tag).await;
    slug
}

async fn a_list_names_the_entries_it_is_refused_for(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let parent = leasehold::model::PrefixId(netbox.prefix(vrf, "203.0.113.0/24").await);
    let scope = VrfScope::Vrf(VrfId(vrf));
    let client = netbox.client().await;
    let ids: Vec<RequestId> = (0..3).map(|_| id("listed").parse().unwrap()).collect();
    let draft = |request: &RequestId, status: &str| AddressDraft {
        status: status.to_owned(),
        fields: vec![FieldChange::AllocationId(Some(request.allocation(0)))],
        ..AddressDraft::default()
    };
    let interface = |last: u8| format!("203.0.113.{last}/24").parse().unwrap();
    client.create_addresses(scope, &[(interface(1), draft(&ids[0], "active"))], &note()).await.unwrap();
    let drafts = [
        (interface(2), draft(&ids[1], "active")),
        (interface(1), draft(&ids[2], "active")),
        (interface(3), draft(&ids[0], "active")),
        (interface(4), draft(&id("listed").parse().unwrap(), "no-such-status")),
    ];
    let entries: Vec<NewAddress<'_>> = drafts
        .iter()
        .map(|(interface, draft)| NewAddress { scope, interface: *interface, draft, note: note() })
        .collect();
    let error = client.create_listed(&entries).await.unwrap_err();
    // The first part has the first entry, the second one the others.
    let blamed = client.blamed(&error, &[1, 1, 1, 1]);
    assert_eq!(blamed.keys().copied().collect::<Vec<_>>(), [1, 2, 3], "{error:?}");
    assert!(matches!(blamed[&1], Error::DuplicateAddress { .. }), "{blamed:?}");
    assert!(matches!(blamed[&2], Error::AllocationIdTaken { .. }), "{blamed:?}");
    assert!(matches!(blamed[&3], Error::Invalid { .. }), "{blamed:?}");
    let blamed = client.blamed(&error, &[1, 3]);
    assert_eq!(blamed.keys().copied().collect::<Vec<_>>(), [1]);
    assert_eq!(netbox.recorded(vrf).await.len(), 1, "all or none");
    // NetBox gives the lowest free ones, in the order of the list.
    let made = client.create_lowest(parent, &entries[..1]).await.unwrap();
    assert_eq!((made[0].interface, made[0].allocation.clone()), (interface(2), Some(ids[1].allocation(0))));
    let error = client.create_lowest(parent, &entries[..2]).await.unwrap_err();
    assert_eq!(client.blamed(&error, &[1, 1]).keys().copied().collect::<Vec<_>>(), [0], "{error:?}");
    let tiny = leasehold::model::PrefixId(netbox.prefix(vrf, "203.0.113.252/30").await);
    let many: Vec<NewAddress<'_>> = entries[1..2].iter().cycle().take(3).cloned().collect();
    let error = client.create_lowest(tiny, &many).await.unwrap_err();
    assert!(matches!(error, Error::InsufficientSpace { .. }), "{error:?}");
    assert!(client.blamed(&error, &[3]).is_empty());
}

async fn measuring_the_check_of_allocation_ids_writes_nothing(netbox: &NetBox) {
    let client = netbox.client().await;
    assert_eq!(client.unique_check(), None);
    let measured = client.measure_unique_check().await.unwrap();
    assert_eq!(client.unique_check(), Some(measured));
    let (_, page, _) =
        netbox.rest("GET", "ipam/ip-addresses/?address=192.0.2.0&address=192.0.2.9", None).await;
    assert_eq!(page["count"], 0);
    let (_, page, _) = netbox.rest("GET", "core/object-changes/?q=192.0.2.9/32", None).await;
    assert_eq!(page["count"], 0);
}

async fn a_tag_of_other_object_types_is_refused_with_500_or_400(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let slug = devices_only(netbox, vrf).await;
    let tags = json!([{ "slug": slug }]);
    let prefix = netbox.prefix(vrf, "203.0.113.0/24").await;
    let address = |host: u8| json!({ "address": format!("203.0.113.{host}/24"), "vrf": vrf });
    let tagged = json!({ "address": "203.0.113.7/24", "vrf": vrf, "tags": tags });
    let words = |model: &str| format!("Tag {slug} cannot be assigned to {model} objects.");

    // The views of free space do not turn NetBox's AbortRequest into a 400; all others do.
    let (status, answer) = available(netbox, prefix, json!([{ "tags": tags }])).await;
    assert_eq!((status, &answer["exception"]), (500, &json!("AbortRequest")));
    assert_eq!(answer["error"], words("ipaddress"));
    let path = format!("ipam/prefixes/{prefix}/available-prefixes/");
    let body = json!({ "prefix_length": 28, "tags": tags });
    let (status, answer, _) = netbox.rest("POST", &path, Some(body)).await;
    assert_eq!((status, &answer["exception"]), (500, &json!("AbortRequest")));
    assert_eq!(answer["error"], words("prefix"));

    let errors = json!({ "__all__": [words("ipaddress")] });
    let (status, answer, _) =
        netbox.rest("POST", "ipam/ip-addresses/", Some(json!([address(8), tagged]))).await;
    assert_eq!((status, &answer["errors"]), (400, &json!([{ "index": 1, "errors": errors }])));
    let (status, answer, _) = netbox.rest("POST", "ipam/ip-addresses/", Some(tagged)).await;
    assert_eq!((status, &answer), (400, &json!({ "detail": words("ipaddress") })));
    let path = format!("ipam/prefixes/{prefix}/");
    let (status, answer, _) = netbox.rest("PATCH", &path, Some(json!({ "tags": tags }))).await;
    assert_eq!((status, &answer), (400, &json!({ "detail": words("prefix") })));
    let list = json!([{ "id": prefix, "tags": tags }]);
    let (status, answer, _) = netbox.rest("PATCH", "ipam/prefixes/", Some(list)).await;
    let errors = json!({ "__all__": [words("prefix")] });
    assert_eq!((status, &answer["errors"]), (400, &json!([{ "id": prefix, "errors": errors }])));

    // Nothing of all that was stored.
    let (_, page, _) = netbox.rest("GET", &format!("ipam/ip-addresses/?vrf_id={vrf}"), None).await;
    assert_eq!(page["count"], 0);
    let (_, page, _) = netbox.rest("GET", &format!("ipam/prefixes/?vrf_id={vrf}"), None).await;
    assert_eq!(page["count"], 1);
}

async fn a_refused_tag_is_a_definite_refusal_to_the_client(netbox: &NetBox) {
    use leasehold::netbox::{AddressDraft, Certainty, Error};
    let vrf = netbox.vrf(true).await;
    let slug = devices_only(netbox, vrf).await;
    let draft = AddressDraft { status: "active".to_owned(), tags: vec![slug], ..AddressDraft::default() };
    let address = [("203.0.113.5/24".parse().unwrap(), draft)];
    let refused = netbox.client().await.create_addresses(VrfScope::Vrf(VrfId(vrf)), &address, &note()).await;
    let Err(error @ Error::Invalid { .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(error.certainty(), Certainty::NotDone);
    assert!(error.to_string().contains("cannot be assigned to ipaddress objects."), "{error}");
}

/// The same NetBox for a token that sees all, and may change and delete only records that are reserved.
async fn constrained(netbox: &NetBox, vrf: u64) -> (leasehold::netbox::NetBoxSettings, Vec<String>) {
    let mut settings = netbox.settings();
    if let Some(emulator) = &netbox.emulator {
        emulator.constrain_writes("reserved");
        return (settings, Vec::new());
    }
    let name = format!("constrained-{}-{vrf}", std::process::id());
    let of = |made: &Value| made["id"].as_u64().unwrap();
    let password = uuid::Uuid::new_v4().to_string() + "-Aa1";
    let user = of(&netbox.post("users/users/", json!({ "username": name, "password": password })).await);
    let mut undo = Vec::new();
    for (actions, constraints) in
        [(json!(["view"]), Value::Null), (json!(["change", "delete"]), json!({ "status": "reserved" }))]
    {
        let permission = json!({
            "name": format!("{name} {actions}"), "object_types": ["ipam.prefix", "ipam.ipaddress"],
            "actions": actions, "constraints": constraints, "users": [user],
        });
        let made = netbox.post("users/permissions/", permission).await;
        undo.push(format!("users/permissions/{}/", of(&made)));
    }
    let token = netbox.post("users/tokens/", json!({ "user": user, "version": 2 })).await;
    let (key, secret) = (token["key"].as_str().unwrap(), token["token"].as_str().unwrap());
    settings.token = format!("nbt_{key}.{secret}").into();
    undo.push(format!("users/users/{user}/"));
    (settings, undo)
}

async fn a_record_that_the_token_may_see_but_not_write_is_a_matter_of_rights(netbox: &NetBox) {
    use leasehold::model::{AddressId, PrefixId};
    use leasehold::netbox::{Client, Error, PrefixDraft};
    let vrf = netbox.vrf(true).await;
    let prefix = netbox.prefix(vrf, "203.0.113.0/24").await;
    let body = json!([
        { "address": "203.0.113.7/24", "vrf": vrf, "status": "active" },
        { "address": "203.0.113.8/24", "vrf": vrf, "status": "reserved" },
    ]);
    let made = netbox.post("ipam/ip-addresses/", body).await;
    let ids = [0, 1].map(|index| AddressId(made[index]["id"].as_u64().unwrap()));
    let (settings, undo) = constrained(netbox, vrf).await;
    let client = Client::new(&settings).unwrap();
    client.connect().await.unwrap();
    let read = client.by_ids::<leasehold::model::Prefix>(&[prefix]).await.unwrap().remove(0).revision;
    let (id, draft) = (PrefixId(prefix), PrefixDraft::default());
    let answers = [
        client.patch_prefix(id, &read, &draft, None).await.map(drop),
        client.delete_prefix(id, &read, &note()).await,
        client.delete_addresses(&ids, &note()).await,
    ];
    let gone = client.delete_addresses(&[AddressId(999_999_999)], &note()).await;
    let left = client.by_ids::<leasehold::model::Address>(&ids.map(|id| id.0)).await.unwrap().len();
    let allowed = client.delete_addresses(&ids[1..], &note()).await;
    for path in undo {
        netbox.rest("DELETE", &path, None).await;
    }
    for answer in answers {
        let Err(Error::Forbidden { detail, .. }) = &answer else { panic!("{answer:?}") };
        assert!(detail.starts_with("NetBox shows record "), "{detail}");
    }
    assert!(matches!(gone, Err(Error::Invalid { .. })), "{gone:?}");
    assert_eq!(left, 2, "all or none");
    allowed.unwrap();
}

/// Only the emulator: the real one would refuse the writes of all other tests.
#[tokio::test]
async fn maintenance_mode_refuses_writes_and_answers_reads() {
    use leasehold::emulator::Faults;
    use leasehold::netbox::{AddressDraft, Error};
    let netbox = NetBox::emulated().await;
    let vrf = netbox.vrf(true).await;
    let client = netbox.client().await;
    netbox.emulator.as_ref().unwrap().set_faults(Faults { maintenance: 100, ..Faults::default() });
    let draft = AddressDraft { status: "active".to_owned(), ..AddressDraft::default() };
    let address = [("203.0.113.5/24".parse().unwrap(), draft)];
    let refused = client.create_addresses(VrfScope::Vrf(VrfId(vrf)), &address, &note()).await;
    assert!(matches!(refused, Err(Error::Maintenance { .. })), "{refused:?}");
    let (status, page, _) = netbox.rest("GET", &format!("ipam/ip-addresses/?vrf_id={vrf}"), None).await;
    assert_eq!((status, &page["count"]), (200, &json!(0)));
}

async fn select_fields_are_given_with_their_label(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let fields = json!({ "roa_status": "valid", "lease_owner": "ACME-LIR" });
    let body = json!({ "prefix": "203.0.113.0/24", "vrf": vrf, "custom_fields": fields });
    let made = netbox.post("ipam/prefixes/", body).await;
    assert_eq!(made["custom_fields"]["roa_status"], json!({ "value": "valid", "label": "valid" }));
    assert_eq!(made["custom_fields"]["lease_owner"], "ACME-LIR");
    assert_eq!(made["custom_fields"]["lease_expiry"], Value::Null);
    let body =
        json!({ "prefix": "198.51.100.0/24", "vrf": vrf, "custom_fields": { "lease_expiry": "soon" } });
    let (status, answer, _) = netbox.rest("POST", "ipam/prefixes/", Some(body)).await;
    assert_eq!(status, 400);
    let words = answer["__all__"][0].as_str().unwrap();
    assert!(words.starts_with("Invalid value for custom field 'lease_expiry':"), "{words}");
}

async fn a_patch_of_custom_fields_merges(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let fields = json!({ "lease_owner": "ACME-LIR", "lease_expiry": "2027-06-01" });
    let body = json!({ "prefix": "203.0.113.0/24", "vrf": vrf, "custom_fields": fields });
    let id = netbox.post("ipam/prefixes/", body).await["id"].as_u64().unwrap();
    let change = json!({ "custom_fields": { "lease_expiry": "2028-06-01" } });
    let (_, row, _) = netbox.rest("PATCH", &format!("ipam/prefixes/{id}/"), Some(change)).await;
    assert_eq!(row["custom_fields"]["lease_owner"], "ACME-LIR");
    assert_eq!(row["custom_fields"]["lease_expiry"], "2028-06-01");
}

async fn a_list_of_patches_is_all_or_nothing(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    let (first, second) =
        (netbox.prefix(vrf, "203.0.113.0/25").await, netbox.prefix(vrf, "203.0.113.128/25").await);
    let owner = |id: u64, owner: &str| json!({ "id": id, "custom_fields": { "lease_owner": owner } });
    let both = json!([owner(first, "A-LIR"), owner(second, "B-LIR")]);
    let (status, rows, _) = netbox.rest("PATCH", "ipam/prefixes/", Some(both)).await;
    assert_eq!(status, 200, "{rows}");
    let owners = |rows: &Value| -> Vec<(u64, String)> {
        let row = |row: &Value| {
            (row["id"].as_u64().unwrap(), row["custom_fields"]["lease_owner"].as_str().unwrap().to_owned())
        };
        rows.as_array().unwrap().iter().map(row).collect()
    };
    assert_eq!(owners(&rows), [(first, "A-LIR".to_owned()), (second, "B-LIR".to_owned())]);
    let bad = json!([owner(first, "C-LIR"), { "id": second, "custom_fields": { "roa_status": "nonsense" } }]);
    let (status, answer, _) = netbox.rest("PATCH", "ipam/prefixes/", Some(bad)).await;
    assert_eq!(status, 400, "{answer}");
    let missing = json!([owner(first, "C-LIR"), owner(999_999_999, "D-LIR")]);
    let (status, answer, _) = netbox.rest("PATCH", "ipam/prefixes/", Some(missing)).await;
    assert_eq!(status, 400, "{answer}");
    let blamed =
        json!([{ "id": 999_999_999, "errors": { "id": ["Object with ID 999999999 does not exist"] } }]);
    assert_eq!(answer["errors"], blamed);
    let (_, row, _) = netbox.rest("GET", &format!("ipam/prefixes/{first}/"), None).await;
    assert_eq!(row["custom_fields"]["lease_owner"], "A-LIR", "a refused list changes nothing");
    // `patch_fields` skips prefixes that changed since they were read.
    let client = netbox.client().await;
    let read: Vec<leasehold::model::Prefix> = client.by_ids(&[first, second]).await.unwrap();
    netbox
        .rest("PATCH", &format!("ipam/prefixes/{second}/"), Some(json!({ "description": "by hand" })))
        .await;
    let change = |prefix: &leasehold::model::Prefix| {
        let fields = vec![leasehold::netbox::FieldChange::IrrRegistered(Some(true))];
        (prefix.id, prefix.revision.clone(), fields)
    };
    let written = client.patch_fields(&read.iter().map(change).collect::<Vec<_>>()).await.unwrap();
    let ids: Vec<u64> = written.iter().map(|prefix| prefix.id.0).collect();
    assert_eq!(ids, [first]);
    assert_eq!(written[0].lease.as_ref().unwrap().irr_registered, Some(true));
    assert_eq!(client.patch_fields(&[change(&read[1])]).await.unwrap(), [], "a single prefix too");
}

async fn a_tenant_is_named_by_id_slug_or_name_and_cleared_by_null(netbox: &NetBox) {
    use leasehold::model::TenantKey;
    use leasehold::netbox::{AddressDraft, Error, PrefixDraft, ValueChange};
    let vrf = netbox.vrf(true).await;
    let scope = VrfScope::Vrf(VrfId(vrf));
    let (name, slug) = (format!("Example contract {vrf}"), format!("contract-{vrf}"));
    let id =
        netbox.post("tenancy/tenants/", json!({ "name": name, "slug": slug })).await["id"].as_u64().unwrap();
    let client = netbox.client().await;
    let network = "203.0.113.0/24".parse().unwrap();
    let mut prefix = client.create_prefix(network, scope, &PrefixDraft::default(), &note()).await.unwrap();
    let keys = [TenantKey::Id(id), TenantKey::Slug(slug), TenantKey::Name(name)];
    for (host, key) in (1..).zip(keys) {
        let change = async |prefix: &leasehold::model::Prefix, tenant| {
            let draft = PrefixDraft { tenant, ..PrefixDraft::default() };
            client.patch_prefix(prefix.id, &prefix.revision, &draft, Some(&note())).await.unwrap()
        };
        prefix = change(&prefix, ValueChange::Set(key.clone())).await;
        assert_eq!(prefix.tenant.as_ref().map(|tenant| tenant.id), Some(id), "{key}");
        let draft = PrefixDraft { description: Some(key.to_string()), ..PrefixDraft::default() };
        prefix = client.patch_prefix(prefix.id, &prefix.revision, &draft, Some(&note())).await.unwrap();
        assert_eq!(
            prefix.tenant.as_ref().map(|tenant| tenant.id),
            Some(id),
            "a tenant that is not named stays"
        );
        prefix = change(&prefix, ValueChange::Clear).await;
        assert_eq!(prefix.tenant, None, "{key}");
        let draft = AddressDraft {
            status: "active".to_owned(),
            tenant: Some(key.clone()),
            ..AddressDraft::default()
        };
        let address = (format!("203.0.113.{host}/24").parse().unwrap(), draft);
        let made = client.create_addresses(scope, &[address], &note()).await.unwrap();
        assert_eq!(made[0].tenant.as_ref().map(|tenant| tenant.id), Some(id), "{key}");
    }
    for key in
        [TenantKey::Id(999_999_999), TenantKey::Slug("nobody".into()), TenantKey::Name("Nobody".into())]
    {
        let draft = PrefixDraft { tenant: ValueChange::Set(key), ..PrefixDraft::default() };
        let refused = client.patch_prefix(prefix.id, &prefix.revision, &draft, Some(&note())).await;
        let Err(Error::Invalid { problems }) = refused else { panic!("{refused:?}") };
        assert_eq!(problems[0].field, "tenant");
    }
}

async fn a_wrong_token_is_refused_with_403(netbox: &NetBox) {
    let answer = reqwest::Client::new()
        .get(format!("{}/api/ipam/prefixes/", netbox.url))
        .header("authorization", "Token 0000000000000000000000000000000000000000")
        .header("accept-language", "en")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 403);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["detail"], "Invalid v1 token");
}

async fn a_missing_record_is_404_with_a_detail(netbox: &NetBox) {
    let (status, answer, _) = netbox.rest("GET", "ipam/prefixes/999999999/", None).await;
    assert_eq!((status, answer), (404, json!({ "detail": "No Prefix matches the given query." })));
    let (status, ..) = available(netbox, 999_999_999, json!([{}])).await;
    assert_eq!(status, 404);
}

async fn an_unknown_vrf_is_an_invalid_filter_value(netbox: &NetBox) {
    let (status, answer, _) = netbox.rest("GET", "ipam/prefixes/?vrf_id=999999999", None).await;
    assert_eq!(status, 400);
    let words = "Select a valid choice. 999999999 is not one of the available choices.";
    assert_eq!(answer["vrf_id"], json!([words]));
}

async fn an_address_is_found_by_its_host(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    netbox.post("ipam/ip-addresses/", json!({ "address": "203.0.113.5/28", "vrf": vrf })).await;
    let count = async |filter: &str| {
        let path = format!("ipam/ip-addresses/?vrf_id={vrf}&{filter}");
        netbox.rest("GET", &path, None).await.1["count"].clone()
    };
    assert_eq!(count("address=203.0.113.5").await, 1);
    assert_eq!(count("address=203.0.113.6&address=203.0.113.5").await, 1);
    assert_eq!(count("address=203.0.113.5/24").await, 0);
    assert_eq!(count("parent=203.0.113.0/29").await, 1);
    assert_eq!(count("parent=203.0.113.8/29").await, 0);
}

async fn prefixes_are_found_within_another(netbox: &NetBox) {
    let vrf = netbox.vrf(true).await;
    for prefix in ["203.0.113.0/24", "203.0.113.0/25", "203.0.113.128/26"] {
        netbox.prefix(vrf, prefix).await;
    }
    let count = async |filter: &str| {
        let path = format!("ipam/prefixes/?vrf_id={vrf}&{filter}");
        netbox.rest("GET", &path, None).await.1["count"].clone()
    };
    assert_eq!(count("within=203.0.113.0/24").await, 2);
    assert_eq!(count("within_include=203.0.113.0/24").await, 3);
    assert_eq!(count("prefix=203.0.113.128/26").await, 1);
    assert_eq!(count("contains=203.0.113.130").await, 2);
}
