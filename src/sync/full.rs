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
    let mut parts = parts::<Vrf>(client, vrfs);
    parts.extend(self::parts::<Prefix>(client, prefixes));
    parts.extend(self::parts::<Address>(client, addresses));
    parts.extend(self::parts::<IpRange>(client, ranges));
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

type Pages = BoxStream<'static, Result<Batch, crate::netbox::Error>>;

/// A stream of pages for each slice of a kind.
fn parts<R>(client: &Client, extent: Option<Extent>) -> Vec<Pages>
where
    R: Record,
    Batch: From<Vec<R>>,
{
    let slices = extent.map(|extent| client.slices(extent)).unwrap_or_default();
    slices.into_iter().map(|slice| pages::<R>(client.clone(), slice)).collect()
}

fn pages<R>(client: Client, slice: Slice) -> Pages
where
    R: Record,
    Batch: From<Vec<R>>,
{
    stream::try_unfold((client, Some(slice)), async |(client, slice)| {
        let Some(slice) = slice else { return Ok(None) };
        let (rows, next) = client.page::<R>(slice).await?;
        Ok(Some((Batch::from(rows), (client, next))))
    })
    .boxed()
}
