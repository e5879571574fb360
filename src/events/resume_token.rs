//! Resume tokens: a position in one event log, as text that a client keeps.

use std::fmt;
use std::str::FromStr;

/// A position in one event log. Clients keep its text, `<epoch>-<sequence in hexadecimal>`, without reading it. The form must
/// never change, because the text outlives the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumeToken {
    /// The epoch of the log: 16 hexadecimal digits.
    pub epoch: String,
    /// The sequence of the last event that the client has seen.
    pub sequence: u64,
}

impl fmt::Display for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:x}", self.epoch, self.sequence)
    }
}

/// Why a stream cannot resume from a token. `oldest` is the token from which every event that is kept follows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResumeTokenError {
    #[error("is not a resume token of this server")]
    Malformed,
    /// The token is of another log, or of this one before it was restored from a backup.
    #[error(
        "the token belongs to another event log; start from a snapshot, or from the oldest event with the token {oldest}"
    )]
    Foreign { oldest: ResumeToken },
    /// Compaction has removed events that follow the token.
    #[error(
        "the events after the token are no longer kept; start from a snapshot, or from the oldest event with the token \
         {oldest}"
    )]
    Compacted { oldest: ResumeToken },
}

impl FromStr for ResumeToken {
    type Err = ResumeTokenError;

    fn from_str(text: &str) -> Result<Self, ResumeTokenError> {
        let (epoch, sequence) = text.split_once('-').ok_or(ResumeTokenError::Malformed)?;
        let sequence = u64::from_str_radix(sequence, 16).map_err(|_| ResumeTokenError::Malformed)?;
        if epoch.len() != 16 || !epoch.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ResumeTokenError::Malformed);
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
        fn the_text_of_a_token_parses_to_the_same_token(epoch in "[0-9a-f]{16}", sequence: u64) {
            let token = ResumeToken { epoch, sequence };
            prop_assert_eq!(token.to_string().parse::<ResumeToken>(), Ok(token));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = text.parse::<ResumeToken>();
        }
    }
}
