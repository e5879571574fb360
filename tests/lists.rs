//! Lists of many prefixes: every page is small and quick, whatever the filters, and together they show every match once.

use std::time::{Duration, Instant};

use leasehold::rpc::PrefixHandler;
use leasehold::rpc::proto::v1;
use leasehold::rpc::proto::v1::prefix_service_server::PrefixService as _;
use prost::Message as _;
use tonic::Request;

use crate::support::prefixes::{IN_VRFS, LEASED, service};
use crate::support::vrf;

/// The most prefixes that one call examines.
const EXAMINED: u32 = 20_000;
/// The largest answer that a gRPC client takes by default.
const ANSWER: usize = 4 << 20;

async fn page(handler: &PrefixHandler, request: &v1::ListPrefixesRequest) -> v1::ListPrefixesResponse {
    handler.list_prefixes(Request::new(request.clone())).await.unwrap().into_inner()
}

/// How many rows and pages a list has. No page may exceed what a client takes.
async fn walk(handler: &PrefixHandler, mut request: v1::ListPrefixesRequest) -> (u32, u32) {
    let (mut rows, mut pages, mut last) = (0, 0, None);
    loop {
        let page = page(handler, &request).await;
        assert!(page.encoded_len() < ANSWER, "{} bytes", page.encoded_len());
        for prefix in &page.prefixes {
            let network: ipnet::Ipv4Net = prefix.prefix.parse().unwrap();
            let position = Some((prefix.vrf.as_ref().map_or(0, |vrf| vrf.id), network));
            assert!(last < position, "{last:?} before {position:?}");
            last = position;
        }
        rows += u32::try_from(page.prefixes.len()).unwrap();
        pages += 1;
        if page.next_page_token.is_empty() {
            return (rows, pages);
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn every_list_shows_each_match_once_and_no_page_examines_more_than_its_share() {
    const COUNT: u32 = 110_000;
    let handler = service(COUNT).await;
    let all = || v1::ListPrefixesRequest { page_size: 1000, ..v1::ListPrefixesRequest::default() };
    let nobody = v1::TenantRef { r#ref: Some(v1::tenant_ref::Ref::Slug("nobody".to_owned())) };
    let tenant = v1::TenantRef { r#ref: Some(v1::tenant_ref::Ref::Slug("tenant-7".to_owned())) };
    let lists = [
        ("all", all(), COUNT),
        ("all, in full", v1::ListPrefixesRequest { view: v1::RecordView::Full.into(), ..all() }, COUNT),
        ("leased", v1::ListPrefixesRequest { leased_only: true, ..all() }, COUNT / LEASED),
        ("tenant", v1::ListPrefixesRequest { tenant: Some(tenant), ..all() }, COUNT / 5_000),
        ("no match", v1::ListPrefixesRequest { tenant: Some(nobody), ..all() }, 0),
        ("role", v1::ListPrefixesRequest { role: "role-3".to_owned(), ..all() }, COUNT / 10),
        ("tag", v1::ListPrefixesRequest { tag: "tag-21".to_owned(), ..all() }, COUNT.div_ceil(30)),
        ("status", v1::ListPrefixesRequest { status: "reserved".to_owned(), ..all() }, COUNT.div_ceil(7)),
        ("within", v1::ListPrefixesRequest { within: "10.0.0.0/12".to_owned(), ..all() }, 1 << 16),
        ("global table", v1::ListPrefixesRequest { vrf: global(), ..all() }, COUNT - COUNT / IN_VRFS),
        ("vrf", v1::ListPrefixesRequest { vrf: vrf(1), ..all() }, COUNT / 100),
    ];
    for (name, request, expected) in lists {
        let (rows, pages) = walk(&handler, request).await;
        assert_eq!(rows, expected, "{name}");
        // A page is full, or has examined its share, or is the last one. In full, fewer than 1000 rows fill it.
        let most = expected.div_ceil(1000) + COUNT.div_ceil(EXAMINED) + 1;
        assert!(pages <= most, "{name}: {pages} pages, at most {most}");
        println!("{name}: {rows} rows in {pages} pages");
    }
}

/// The global table, as a list names it.
fn global() -> Option<v1::VrfRef> {
    Some(v1::VrfRef { r#ref: Some(v1::vrf_ref::Ref::Id(0)) })
}

/// The quickest page of a walk that examines every prefix and shows none.
async fn quickest(handler: &PrefixHandler) -> Duration {
    let request = v1::ListPrefixesRequest { tag: "nothing".to_owned(), ..v1::ListPrefixesRequest::default() };
    let mut times = Vec::new();
    for _ in 0..10 {
        let began = Instant::now();
        let page = page(handler, &request).await;
        times.push(began.elapsed());
        assert!(page.prefixes.is_empty());
    }
    times.into_iter().min().unwrap()
}

#[tokio::test]
async fn a_page_takes_as_long_among_many_prefixes_as_among_few() {
    let (few, many) = (service(EXAMINED).await, service(8 * EXAMINED).await);
    let (few, many) = (quickest(&few).await, quickest(&many).await);
    println!("a page that examines {EXAMINED} prefixes: {few:?} of as many, {many:?} of eight times as many");
    assert!(many < few * 3, "{many:?} instead of {few:?}");
}
