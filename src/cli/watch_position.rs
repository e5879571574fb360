//! How far a watcher has come, in memory and, with `--resume-file`, in a file.

use std::io::Write as _;
use std::path::Path;

use super::exit::CliFailure;

/// The resume token of the last message that was printed.
pub(crate) struct WatchPosition<'a> {
    token: String,
    file: Option<&'a Path>,
}

impl<'a> WatchPosition<'a> {
    /// Reads the file, which need not exist yet.
    pub(crate) fn open(file: Option<&'a Path>) -> Result<Self, CliFailure> {
        let token = match file.map(|path| (path, std::fs::read_to_string(path))) {
            Some((_, Ok(text))) => text.trim().to_owned(),
            Some((path, Err(error))) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(CliFailure::new(format!("{}: {error}", path.display())));
            }
            Some((_, Err(_))) | None => String::new(),
        };
        Ok(Self { token, file })
    }

    /// The token; empty at the beginning.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Moves to a token and stores it. An empty token, as messages within a snapshot have, leaves the position where it is.
    pub(crate) fn advance(&mut self, token: String) -> Result<(), CliFailure> {
        if token.is_empty() || token == self.token {
            return Ok(());
        }
        self.token = token;
        if let Some(file) = self.file {
            // The file is replaced as a whole, so that neither a reader nor a crash ever sees half a token.
            let directory =
                file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let mut new = tempfile::NamedTempFile::new_in(directory)?;
            new.write_all(self.token.as_bytes())?;
            new.persist(file)?;
        }
        Ok(())
    }
}
