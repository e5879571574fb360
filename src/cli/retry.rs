//! The command line that repeats a write.

/// The command line of this process, for a shell, so that it repeats the same request: with its request id, and without the
/// token, which is a secret. `arguments` are those after the name of the program.
pub(crate) fn retry_line(arguments: impl IntoIterator<Item = String>, request_id: &str) -> String {
    let mut words = vec!["leasehold".to_owned()];
    let mut arguments = arguments.into_iter().peekable();
    let (mut has_id, mut end_of_options) = (false, None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--" if end_of_options.is_none() => end_of_options = Some(words.len()),
            "--token" => {
                arguments.next();
                words.extend(["--token".to_owned(), TOKEN.to_owned()]);
                continue;
            }
            other if other.starts_with("--token=") => {
                words.push(format!("--token={TOKEN}"));
                continue;
            }
            other => has_id |= other == "--request-id" || other.starts_with("--request-id="),
        }
        words.push(quoted(&argument));
    }
    if !has_id {
        // What stands behind `--` is no option.
        let at = end_of_options.unwrap_or(words.len());
        words.splice(at..at, ["--request-id".to_owned(), quoted(request_id)]);
    }
    words.join(" ")
}

/// What stands in the place of the token.
const TOKEN: &str = "\"$LEASEHOLD_TOKEN\"";

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:=@,+".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(arguments: &[&str]) -> String {
        retry_line(arguments.iter().map(|word| (*word).to_owned()), "order-1")
    }

    #[test]
    fn the_request_id_is_added_unless_it_is_there() {
        assert_eq!(line(&["release", "203.0.113.1"]), "leasehold release 203.0.113.1 --request-id order-1");
        assert_eq!(line(&["assign", "--request-id", "a"]), "leasehold assign --request-id a");
        assert_eq!(line(&["assign", "--request-id=a"]), "leasehold assign --request-id=a");
        assert_eq!(
            line(&["release", "--", "203.0.113.1"]),
            "leasehold release --request-id order-1 -- 203.0.113.1"
        );
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(
            line(&["assign", "--description", "it's $HOME", "--dns-name", ""]),
            r"leasehold assign --description 'it'\''s $HOME' --dns-name '' --request-id order-1"
        );
    }

    #[test]
    fn the_token_is_not_repeated() {
        for arguments in [["--token", "secret"].as_slice(), &["--token=secret"]] {
            let line = line(&[["assign"].as_slice(), arguments].concat());
            assert!(!line.contains("secret") && line.contains("$LEASEHOLD_TOKEN"), "{line}");
        }
    }
}
