//! Resume tokens: which log and how far.

use std::fmt;
use std::str::FromStr;

/// A place in one event log. Opaque to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Which log.
    pub epoch: String,
    /// The last event that its holder has seen.
    pub sequence: u64,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:x}", self.epoch, self.sequence)
    }
}

/// Why a token cannot be resumed from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is none.
    #[error("is not a resume token of this server")]
    Garbage,
    /// It is of another log: the ledger was replaced or restored. The oldest token of this one is given.
    #[error(
        "the token belongs to another event log; start from a snapshot, or from the oldest event with {oldest}"
    )]
    Foreign {
        /// Before the oldest event.
        oldest: Token,
    },
    /// What follows it has been removed by retention.
    #[error(
        "what follows the token is no longer kept; start from a snapshot, or from the oldest event with {oldest}"
    )]
    Compacted {
        /// Before the oldest event.
        oldest: Token,
    },
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let (epoch, sequence) = text.split_once('-').ok_or(TokenError::Garbage)?;
        let sequence = u64::from_str_radix(sequence, 16).map_err(|_| TokenError::Garbage)?;
        if epoch.len() != 16 || !epoch.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(TokenError::Garbage);
        }
        Ok(Self { epoch: epoch.to_owned(), sequence })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_token_reads_back(epoch in "[0-9a-f]{16}", sequence: u64) {
            let token = Token { epoch, sequence };
            prop_assert_eq!(token.to_string().parse::<Token>(), Ok(token));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = text.parse::<Token>();
        }
    }
}
