//! Rights that NetBox hides as absence.
//!
//! A record that the token may see, but by the constraints of its permissions not change or delete, is answered as if it did
//! not exist. Only a second look tells the two apart.

use super::answer::missing_ids;
use super::client::Client;
use super::error::Error;
use super::records::NetBoxRecord;
use crate::model::Prefix;

impl Client {
    /// What an error about the change or deletion of a prefix means: [`Error::Forbidden`] if NetBox calls a prefix missing
    /// that it shows.
    pub(super) async fn look_for_prefix(&self, method: &str, id: u64, error: Error) -> Error {
        match error {
            Error::NotFound { .. } => self.look::<Prefix>(method, &[id], error).await,
            other => other,
        }
    }

    /// The same for a list of deletions.
    pub(super) async fn look_for_listed<R: NetBoxRecord>(&self, error: Error) -> Error {
        match missing_ids(&error) {
            ids if ids.is_empty() => error,
            ids => self.look::<R>("DELETE", &ids, error).await,
        }
    }

    /// If the look itself fails, the error stays what it was.
    async fn look<R: NetBoxRecord>(&self, method: &str, ids: &[u64], error: Error) -> Error {
        let visible = self.by_ids::<R>(ids).await.unwrap_or_default();
        if visible.is_empty() {
            return error;
        }
        let ids: Vec<String> = visible.iter().map(|record| record.id().to_string()).collect();
        let detail = format!(
            "NetBox shows record {}, but denies that it exists when it is written; the permissions of the token have constraints",
            ids.join(", ")
        );
        Error::Forbidden { attempt: format!("{method} {}", R::PATH), detail }
    }
}
