//! Secrets in settings: written as text, or in a file of their own.

use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::Problems;

/// A secret as written in the settings. Printed settings show `(set)` in its place.
#[derive(Clone, Debug, Default)]
pub(super) struct SecretText(Option<SecretString>);

impl SecretText {
    /// The secret; `None` if it is not set or empty.
    pub(super) fn value(&self) -> Option<&SecretString> {
        self.0.as_ref()
    }

    /// Forgets the secret, so that a file can take its place.
    pub(super) fn clear(&mut self) {
        self.0 = None;
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The deserializer's own message would quote the value.
        let text = String::deserialize(deserializer).map_err(|_| D::Error::custom("expected a string"))?;
        Ok(Self((!text.is_empty()).then(|| SecretString::from(text))))
    }
}

/// A list of secrets. Its errors quote none of them.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct SecretList(Vec<SecretText>);

impl std::ops::Deref for SecretList {
    type Target = [SecretText];

    fn deref(&self) -> &[SecretText] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for SecretList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The deserializer's own message would quote a value that is no list.
        let list =
            Vec::deserialize(deserializer).map_err(|_| D::Error::custom("expected a list of strings"))?;
        Ok(Self(list))
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.0.is_some() { "(set)" } else { "" })
    }
}

/// The problem is already in the list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported;

/// Takes a secret from its file if one is named, otherwise from the settings. `None` if neither is set.
pub(super) fn optional(
    key: &str,
    text: &SecretText,
    file: Option<&Path>,
    problems: &mut Problems,
) -> Result<Option<SecretString>, Reported> {
    let Some(path) = file else { return Ok(text.value().cloned()) };
    let file_key = format!("{key}_file");
    match std::fs::read_to_string(path) {
        Ok(content) if content.trim().is_empty() => {
            problems.add(file_key, format!("{} is empty", path.display()));
            Err(Reported)
        }
        Ok(content) => Ok(Some(SecretString::from(content.trim().to_owned()))),
        Err(error) => {
            problems.add(file_key, format!("{} cannot be read: {error}", path.display()));
            Err(Reported)
        }
    }
}

/// The same for a secret that must be set.
pub(super) fn required(
    key: &str,
    text: &SecretText,
    file: Option<&Path>,
    problems: &mut Problems,
) -> Result<SecretString, Reported> {
    optional(key, text, file, problems)?.ok_or_else(|| {
        problems
            .add(key, format!("is required: set {key}, or {key}_file to the path of a file that holds it"));
        Reported
    })
}

/// Several secrets: those in the settings, then one for each line of the file.
pub(super) fn list(
    key: &str,
    texts: &[SecretText],
    file: Option<&Path>,
    problems: &mut Problems,
) -> Result<Vec<SecretString>, Reported> {
    let mut secrets = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match text.value() {
            Some(secret) => secrets.push(secret.clone()),
            // Left out without a word, an empty secret would turn signing off.
            None => problems.add(format!("{key}[{index}]"), "is empty"),
        }
    }
    if let Some(content) = optional(key, &SecretText::default(), file, problems)? {
        let lines = content.expose_secret().lines().map(str::trim).filter(|line| !line.is_empty());
        secrets.extend(lines.map(|line| SecretString::from(line.to_owned())));
    }
    Ok(secrets)
}
