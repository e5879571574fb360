//! A cache of a million addresses: the time of a change, and the time of reads during changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use leasehold::cache::{Batch, Cache, Position};
use leasehold::model::{Address, AddressId, Prefix, PrefixId, VrfScope};

const ADDRESSES: u32 = 1_000_000;

fn address(id: u32) -> Address {
    let host = std::net::Ipv4Addr::from(0x0a00_0000 + id);
    Address::bare(AddressId(u64::from(id)), format!("{host}/8").parse().unwrap(), VrfScope::Global)
}

fn percentile(mut times: Vec<Duration>, percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_among_a_million_addresses_takes_less_than_ten_milliseconds() {
    let cache = Arc::new(Cache::in_memory().await.unwrap());
    cache.begin_pass().await;
    let parent = Prefix::bare(PrefixId(1), "10.0.0.0/8".parse().unwrap(), VrfScope::Global);
    cache.add_page(Batch::from(vec![parent])).await.unwrap();
    for page in 0..ADDRESSES / 20_000 {
        let rows: Vec<Address> = (0..20_000).map(|row| address(1 + page * 20_000 + row)).collect();
        cache.add_page(Batch::from(rows)).await.unwrap();
    }
    let start = Position { id: 0, time: None, request: String::new() };
    cache.finish_pass(start, jiff::Timestamp::UNIX_EPOCH).await.unwrap();
    assert_eq!(cache.counts().addresses, u64::from(ADDRESSES));

    let stop = Arc::new(AtomicBool::new(false));
    let reader = {
        let (cache, stop) = (cache.clone(), stop.clone());
        std::thread::spawn(move || {
            let (mut times, mut host) = (Vec::new(), 1u32);
            while !stop.load(Ordering::Relaxed) {
                host = host.wrapping_mul(48_271) % ADDRESSES + 1;
                let began = Instant::now();
                let index = cache.read();
                let found =
                    index.lookup(VrfScope::Global, std::net::Ipv4Addr::from(0x0a00_0000 + host).into());
                assert_eq!(found.chain.len(), 1);
                times.push(began.elapsed());
            }
            times
        })
    };
    let mut changes = Vec::new();
    for nth in 0..100u32 {
        let host = 0x0a00_0000 + ADDRESSES + 1 + nth;
        let began = Instant::now();
        cache.apply(Batch::from(vec![address(ADDRESSES + 1 + nth)])).await.unwrap();
        let seen = cache.read().addresses_at(VrfScope::Global, std::net::Ipv4Addr::from(host).into()).len();
        changes.push(began.elapsed());
        assert_eq!(seen, 1, "readers see the address when the write has returned");
    }
    stop.store(true, Ordering::Relaxed);
    let reads = reader.join().unwrap();
    let (change, read) = (percentile(changes, 50), percentile(reads.clone(), 99));
    println!(
        "a change: {change:?} at the median; a read: {read:?} at the 99th percentile of {}",
        reads.len()
    );
    assert!(change < Duration::from_millis(10), "a change took {change:?} at the median");
    assert!(read < Duration::from_millis(1), "a read took {read:?} at the 99th percentile");
}
