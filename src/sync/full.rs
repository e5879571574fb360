//! The full pass: every record, in slices by id, several at once, streamed into the next generation.

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};

use super::state::PassProgress;
use super::syncer::Error;
use crate::cache::{Batch, Cache};
use crate::model::{Address, IpRange, Prefix, Vrf};
use crate::netbox::{Client, Extent, Record, Slice};

/// Reads everything into the generation that [`Cache::begin_pass`] has begun.
pub(super) async fn run(client: &Client, cache: &Cache, progress: &PassProgress) -> Result<u64, Error> {
    let (vrfs, prefixes, addresses, ranges) = tokio::try_join!(
        client.extent::<Vrf>(),
        client.extent::<Prefix>(),
        client.extent::<Address>(),
        client.extent::<IpRange>(),
    )?;
    let total = [vrfs, prefixes, addresses, ranges].into_iter().flatten().map(|extent| extent.count).sum();
    progress.start(total);
    let parts = parts::<Vrf>(client, vrfs)
        .chain(parts::<Prefix>(client, prefixes))
        .chain(parts::<Address>(client, addresses))
        .chain(parts::<IpRange>(client, ranges));
    let mut pages = stream::iter(parts).flatten_unordered(client.parallel());
    let mut rows = 0;
    while let Some(page) = pages.next().await {
        let page = page?;
        rows += page.len() as u64;
        progress.add(page.len());
        cache.add_page(page).await?;
    }
    Ok(rows)
}

type Pages<'a> = BoxStream<'a, Result<Batch, crate::netbox::Error>>;

/// A stream of pages for each slice of a kind.
fn parts<'a, R>(client: &'a Client, extent: Option<Extent>) -> Box<dyn Iterator<Item = Pages<'a>> + Send + 'a>
where
    R: Record,
    Batch: From<Vec<R>>,
{
    let slices = extent.map(|extent| client.slices(extent)).unwrap_or_default();
    Box::new(slices.into_iter().map(move |slice| {
        let pages = stream::try_unfold(Some(slice), move |slice: Option<Slice>| async move {
            let Some(slice) = slice else { return Ok(None) };
            let (rows, next) = client.page::<R>(slice).await?;
            Ok(Some((Batch::from(rows), next)))
        });
        pages.boxed()
    }))
}
