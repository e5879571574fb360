//! The error for a text that is none of a closed set of choices.

/// A text that should name one of a few choices names none of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is none of {choices}")]
pub struct UnknownChoice {
    pub given: String,
    /// The choices that exist, for people, separated by commas.
    pub choices: &'static str,
}
