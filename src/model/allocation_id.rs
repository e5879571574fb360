//! Request ids, and the allocation id by which a record in NetBox names the request that created it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The id that a caller gives to a write, so that a retry is recognised as a retry (AIP-155): 1 to 64 characters of
/// `A-Z a-z 0-9 . _ -`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RequestId(String);

/// The reason why a text is not a request id, or not an allocation id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestIdError {
    #[error("a request id has 1 to 64 characters, this one has {0}")]
    Length(usize),
    #[error("a request id is made of A-Z a-z 0-9 . _ - only, not {0:?}")]
    Character(char),
    /// The text has no slash, or no number after it.
    #[error("{0:?} is not an allocation id (request_id/index)")]
    Index(String),
}

/// How the ids of pools begin. It is stored in NetBox and must not change.
const POOL: &str = "leasehold-pool-";

impl RequestId {
    /// A new id, unique because it is a random UUID.
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string())
    }

    /// The id of the fill number `nth` of the pools of a process, whose name no other process has. Callers must not use such ids.
    pub fn of_pool(process: &str, nth: u64) -> Self {
        let name: String = process.chars().filter(char::is_ascii_alphanumeric).take(28).collect();
        Self(format!("{POOL}{name}-{nth:x}"))
    }

    /// Whether a pool has made the id.
    pub fn is_of_pool(&self) -> bool {
        self.0.starts_with(POOL)
    }

    /// The id as the caller wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The allocation id of the record number `index` (from 0) that this request allocates.
    pub fn allocation(&self, index: u32) -> AllocationId {
        AllocationId { request: self.clone(), index }
    }
}

impl FromStr for RequestId {
    type Err = RequestIdError;

    fn from_str(text: &str) -> Result<Self, RequestIdError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if let Some(other) = text.chars().find(|c| !allowed(*c)) {
            return Err(RequestIdError::Character(other));
        }
        if text.is_empty() || text.len() > 64 {
            return Err(RequestIdError::Length(text.len()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for RequestId {
    type Error = RequestIdError;

    fn try_from(text: String) -> Result<Self, RequestIdError> {
        text.parse()
    }
}

impl From<RequestId> for String {
    fn from(id: RequestId) -> String {
        id.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The value of the custom field `allocation_id`, written as `request_id/index`. NetBox enforces that it is unique.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AllocationId {
    pub request: RequestId,
    /// The position of the record among those that the request allocated, from 0.
    pub index: u32,
}

impl FromStr for AllocationId {
    type Err = RequestIdError;

    fn from_str(text: &str) -> Result<Self, RequestIdError> {
        let bad = || RequestIdError::Index(text.to_owned());
        let (request, index) = text.rsplit_once('/').ok_or_else(bad)?;
        Ok(Self { request: request.parse()?, index: index.parse().map_err(|_| bad())? })
    }
}

impl TryFrom<String> for AllocationId {
    type Error = RequestIdError;

    fn try_from(text: String) -> Result<Self, RequestIdError> {
        text.parse()
    }
}

impl From<AllocationId> for String {
    fn from(id: AllocationId) -> String {
        id.to_string()
    }
}

impl fmt::Display for AllocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.request, self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_allocation_id_reads_back_as_written(request in "[A-Za-z0-9._-]{1,64}", index in any::<u32>()) {
            let id = AllocationId { request: request.parse().unwrap(), index };
            prop_assert_eq!(id.to_string().parse::<AllocationId>().unwrap(), id);
        }

        #[test]
        fn the_id_of_a_pool_is_a_request_id(process in ".{0,80}", nth in any::<u64>()) {
            let id = RequestId::of_pool(&process, nth);
            prop_assert!(id.is_of_pool());
            prop_assert_eq!(id.as_str().parse::<RequestId>(), Ok(id.clone()));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = text.parse::<AllocationId>();
            let _ = text.parse::<RequestId>();
        }
    }

    #[test]
    fn a_request_id_with_a_slash_or_without_letters_is_refused() {
        assert_eq!("a/b".parse::<RequestId>(), Err(RequestIdError::Character('/')));
        assert_eq!("".parse::<RequestId>(), Err(RequestIdError::Length(0)));
        assert_eq!("x".repeat(65).parse::<RequestId>(), Err(RequestIdError::Length(65)));
    }
}
