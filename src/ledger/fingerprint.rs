//! The fingerprint of a request body, which tells a retry from another request under the same id.

use sha2::{Digest as _, Sha256};

use super::error::Error;

/// The digest of a request body, and the version of the form in which the body was written down for it.
///
/// Fingerprints of the same version are equal exactly if the bodies were. Those of different versions cannot be compared: the
/// body has to be written down again in the version that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    version: u32,
    digest: String,
}

impl Fingerprint {
    /// The fingerprint of a body that was written down in version 1: its SHA-256.
    pub fn version_1(body: &[u8]) -> Self {
        Self { version: 1, digest: hex::encode(Sha256::digest(body)) }
    }

    /// The version of the form in which the body was written down.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The text that the ledger stores: the digest alone for version 1, `v<version>:<digest>` for any later version.
    pub fn stored(&self) -> String {
        match self.version {
            1 => self.digest.clone(),
            version => format!("v{version}:{}", self.digest),
        }
    }

    /// Parses a stored text. A version that this program does not know is kept, so that such an intent can still be settled.
    pub(super) fn from_stored(text: &str) -> Result<Self, Error> {
        let unreadable = || Error::Unreadable(format!("fingerprint {text:?}"));
        let (version, digest) = match text.strip_prefix('v') {
            None => (1, text),
            Some(rest) => {
                let (version, digest) = rest.split_once(':').ok_or_else(unreadable)?;
                (version.parse().map_err(|_| unreadable())?, digest)
            }
        };
        Ok(Self { version, digest: digest.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_stored_and_read_with_its_version() {
        let first = Fingerprint::version_1(b"{}");
        assert_eq!(first.stored(), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
        assert_eq!(Fingerprint::from_stored(&first.stored()).unwrap(), first);
        let later = Fingerprint::from_stored("v2:44136f").unwrap();
        assert_eq!((later.version(), later.stored()), (2, "v2:44136f".to_owned()));
        assert_ne!(later, first);
        assert!(Fingerprint::from_stored("v:44136f").is_err());
        assert!(Fingerprint::from_stored("v2").is_err());
    }
}
