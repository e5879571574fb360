//! The only way to the terminal: lines, facts, tables and JSON.
//!
//! Texts from NetBox (descriptions, names, owners, error messages that quote them) are written by many people and may hold
//! control characters. Printed as they are, those could clear the screen, recolour it, or forge a line of output. So
//! everything printed here is escaped first: control characters (C0, DEL, C1) and the invisible characters that break
//! lines or reorder text become `\n`, `\u{1b}`, `\u{202e}` and so on. Lines are escaped as a whole, tables cell by cell
//! ([`TextCell`] can only be made by escaping).
//!
//! tests/terminal.rs holds that no other file of the room writes to standard output or standard error.
//!
//! JSON is for programs and keeps its text. On a terminal, the characters that JSON would pass through unescaped are
//! written as `\u009b`, which is the same JSON value.

use std::fmt::{self, Display, Write as _};
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};

/// Prints one line on standard output, escaped. Takes the arguments of `println!`.
macro_rules! outln {
    ($($text:tt)*) => {
        $crate::cli::terminal::print_line(format_args!($($text)*))
    };
}

/// Prints one line on standard error, escaped. Takes the arguments of `eprintln!`.
macro_rules! errln {
    ($($text:tt)*) => {
        $crate::cli::terminal::print_error_line(format_args!($($text)*))
    };
}

pub(crate) use {errln, outln};

/// Text without control characters. It can only be made by escaping.
struct EscapedText(String);

impl EscapedText {
    fn new(text: impl Display) -> Self {
        let text = text.to_string();
        if !text.contains(is_unsafe) {
            return Self(text);
        }
        let mut escaped = String::with_capacity(text.len() + 8);
        for character in text.chars() {
            match character {
                '\n' => escaped.push_str("\\n"),
                '\r' => escaped.push_str("\\r"),
                '\t' => escaped.push_str("\\t"),
                other if is_unsafe(other) => escaped.extend(other.escape_unicode()),
                other => escaped.push(other),
            }
        }
        Self(escaped)
    }
}

impl Display for EscapedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a terminal might obey a character instead of showing it: control characters, line and paragraph separators, and
/// the marks, embeddings, overrides and isolates that change the direction of text.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Prints one escaped line on standard output; see [`outln!`].
pub(crate) fn print_line(text: fmt::Arguments<'_>) {
    write_out(&EscapedText::new(text).0);
}

/// Prints one escaped line on standard error; see [`errln!`].
pub(crate) fn print_error_line(text: fmt::Arguments<'_>) {
    // There is nowhere left to report that standard error is closed.
    let _ = writeln!(io::stderr(), "{}", EscapedText::new(text));
}

/// Prints names and values beneath one another, without those whose value is empty.
pub(crate) fn print_facts(rows: &[(&str, String)]) {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        outln!("{name:width$}  {value}");
    }
}

/// Prints JSON, which may have several lines.
pub(crate) fn print_json(json: &str) {
    if io::stdout().is_terminal() {
        write_out(&json_for_terminal(json));
    } else {
        write_out(json);
    }
}

/// Prints a generated script as it is. Nothing in it may come from outside of this program.
pub(crate) fn print_script(script: &str) {
    write_out(script.trim_end());
}

/// The same JSON value with every unsafe character of its strings as a `\u` escape. JSON itself requires that for the
/// characters below U+0020, so the only ones left outside of strings are line breaks.
fn json_for_terminal(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if is_unsafe(character) && character != '\n' {
            // All unsafe characters lie in the basic plane, so four digits are enough.
            let _ = write!(escaped, "\\u{:04x}", u32::from(character));
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// Writes text that is safe to print, and a line break. `println!` would panic where the reader has closed the pipe
/// (`leasehold status | head -1`), which is no error.
fn write_out(text: &str) {
    if let Err(error) = writeln!(io::stdout(), "{text}") {
        if error.kind() == ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        errln!("error: cannot print: {error}");
        std::process::exit(1);
    }
}

/// A table for people.
pub(crate) struct TextTable(Table);

impl TextTable {
    /// An empty table with these column titles.
    pub(crate) fn new(titles: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_preset(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(titles.iter().copied());
        Self(table)
    }

    pub(crate) fn row<C: Into<TextCell>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.0.add_row(cells.into_iter().map(|cell| cell.into().0));
    }

    pub(crate) fn print(&self) {
        write_out(&self.0.to_string());
    }
}

/// A cell of a [`TextTable`]: escaped text, in a colour if the terminal has any.
pub(crate) struct TextCell(Cell);

impl<T: Display> From<T> for TextCell {
    fn from(text: T) -> Self {
        Self(Cell::new(EscapedText::new(text)))
    }
}

impl TextCell {
    pub(crate) fn green(self) -> Self {
        Self(self.0.fg(Color::Green))
    }

    pub(crate) fn yellow(self) -> Self {
        Self(self.0.fg(Color::Yellow))
    }

    pub(crate) fn red(self) -> Self {
        Self(self.0.fg(Color::Red))
    }

    pub(crate) fn bold_red(self) -> Self {
        Self(self.0.fg(Color::Red).add_attribute(Attribute::Bold))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &str) -> String {
        EscapedText::new(text).0
    }

    #[test]
    fn control_and_bidi_characters_are_escaped_and_other_text_is_kept() {
        assert_eq!(escaped("ok\u{1b}[2J\u{1b}]0;title\u{7}"), r"ok\u{1b}[2J\u{1b}]0;title\u{7}");
        assert_eq!(escaped("a\nb\r\tc"), r"a\nb\r\tc");
        assert_eq!(escaped("\u{9b}31m\u{7f}"), r"\u{9b}31m\u{7f}");
        assert_eq!(escaped("\u{202e}evil\u{2069}\u{2028}"), r"\u{202e}evil\u{2069}\u{2028}");
        let ordinary = r"Zürich – 客户 42 🖧 (50 %) C:\new";
        assert_eq!(escaped(ordinary), ordinary);
    }

    #[test]
    fn a_cell_is_one_line_of_safe_text() {
        let mut table = TextTable::new(&["description"]);
        table.row(["x\u{1b}[31m\nforged"]);
        let text = table.0.to_string();
        assert!(text.contains(r"x\u{1b}[31m\nforged"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    proptest! {
        #[test]
        fn escaped_text_holds_nothing_unsafe(text in any::<String>()) {
            prop_assert!(!escaped(&text).contains(is_unsafe));
        }

        #[test]
        fn json_for_a_terminal_is_safe_and_the_same_value(text in any::<String>()) {
            let value = serde_json::json!({ "description": text });
            let json = json_for_terminal(&serde_json::to_string_pretty(&value).unwrap());
            prop_assert!(!json.replace('\n', "").contains(is_unsafe));
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), value);
        }
    }
}
