//! Lists that the server answers a page at a time.

use tonic::{Response, Status};

use super::connect::refusal;
use super::exit::CliFailure;

/// Reads the pages of a list one after another. `read` takes the token of a page; `join` takes in the page and gives the
/// token of the next one, which is empty at the end, or where no more is wanted.
pub(crate) async fn read_pages<P>(
    mut read: impl AsyncFnMut(String) -> Result<Response<P>, Status>,
    mut join: impl FnMut(P) -> String,
) -> Result<(), CliFailure> {
    let mut token = String::new();
    loop {
        let page = read(token).await.map_err(|status| refusal(&status))?;
        token = join(page.into_inner());
        if token.is_empty() {
            return Ok(());
        }
    }
}

/// The most entries that a list command prints.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit(usize);

/// The largest page that the server gives.
const MAX_PAGE_SIZE: usize = 1000;

impl Limit {
    /// At most `count` entries, or all of them.
    pub(crate) fn new(count: Option<u32>) -> Self {
        Self(count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX))
    }

    /// The size of the pages in which to read them.
    pub(crate) fn page_size(self) -> i32 {
        i32::try_from(self.0.min(MAX_PAGE_SIZE)).unwrap_or(i32::MAX)
    }

    /// Appends the entries of a page, and cuts what is too many. Gives the token of the next page, and nothing where no more
    /// is wanted.
    pub(crate) fn join<T>(self, all: &mut Vec<T>, page: Vec<T>, next_page_token: String) -> String {
        all.extend(page);
        let more = all.len() > self.0 || !next_page_token.is_empty();
        if all.len() < self.0 {
            return next_page_token;
        }
        if more {
            super::terminal::errln!("note: there are more; --limit says how many are listed");
        }
        all.truncate(self.0);
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn numbers(limit: Limit) -> (Vec<u32>, Vec<String>) {
        let (mut all, mut asked) = (Vec::new(), Vec::new());
        let pages = [("", vec![1, 2], "b"), ("b", vec![], "c"), ("c", vec![3, 4], "")];
        read_pages(
            async |token| {
                let (_, rows, next) = pages.iter().find(|(name, ..)| *name == token).cloned().unwrap();
                asked.push(token);
                Ok(Response::new((rows, next.to_owned())))
            },
            |(rows, next)| limit.join(&mut all, rows, next),
        )
        .await
        .unwrap();
        (all, asked)
    }

    #[tokio::test]
    async fn an_empty_page_is_not_the_end_of_a_list() {
        assert_eq!(
            numbers(Limit::new(None)).await,
            (vec![1, 2, 3, 4], vec![String::new(), "b".to_owned(), "c".to_owned()])
        );
    }

    #[tokio::test]
    async fn no_page_is_read_beyond_the_limit() {
        assert_eq!(numbers(Limit::new(Some(2))).await, (vec![1, 2], vec![String::new()]));
        assert_eq!(numbers(Limit::new(Some(3))).await.0, [1, 2, 3]);
    }
}
