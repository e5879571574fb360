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

use unicode_width::UnicodeWidthStr as _;

use crate::config::{Environment, ProcessEnvironment};

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

/// What stands in a cell that has no text. Without it, the cells after it would seem to be in its column.
pub(crate) const EMPTY_CELL: &str = "<none>";

/// The blanks between two columns.
const GAP: usize = 3;

/// A table: columns side by side, each as wide as its widest cell, and nothing else. No line is cut.
pub(crate) struct TextTable {
    titles: Vec<&'static str>,
    rows: Vec<Vec<TextCell>>,
}

impl TextTable {
    /// An empty table with these column titles, which are in upper case.
    pub(crate) fn new(titles: &[&'static str]) -> Self {
        Self { titles: titles.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row<C: Into<TextCell>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Prints the rows, with a line of titles above them if `headers` is set. Prints nothing if there are no rows.
    pub(crate) fn print(&self, headers: bool) {
        if !self.rows.is_empty() {
            let colours = colours_are_shown(io::stdout().is_terminal(), &ProcessEnvironment);
            write_out(&self.lines(headers, colours).join("\n"));
        }
    }

    fn lines(&self, headers: bool, colours: bool) -> Vec<String> {
        let titles: Vec<TextCell> = self.titles.iter().map(TextCell::from).collect();
        let printed: Vec<&Vec<TextCell>> = headers.then_some(&titles).into_iter().chain(&self.rows).collect();
        let columns = printed.iter().map(|row| row.len()).max().unwrap_or(0);
        let width = |column| printed.iter().filter_map(|row| row.get(column)).map(TextCell::width).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        printed.iter().map(|row| line(row, &widths, colours)).collect()
    }
}

/// The cells of a row, all but the last one padded to the width of their column.
fn line(row: &[TextCell], widths: &[usize], colours: bool) -> String {
    let mut line = String::new();
    for (nth, (cell, width)) in row.iter().zip(widths).enumerate() {
        match cell.colour.filter(|_| colours) {
            Some(colour) => line.push_str(&format!("\u{1b}[{}m{}\u{1b}[0m", colour.code(), cell.text.0)),
            None => line.push_str(&cell.text.0),
        }
        if nth + 1 < row.len() {
            line.push_str(&" ".repeat(width.saturating_sub(cell.width()) + GAP));
        }
    }
    line
}

/// Whether standard output shows colours: on a terminal that has them, unless NO_COLOR asks for none (https://no-color.org).
fn colours_are_shown(terminal: bool, environment: &impl Environment) -> bool {
    let is_set = |name| environment.variable(name).is_some_and(|value| !value.is_empty());
    terminal && !is_set("NO_COLOR") && environment.variable("TERM").as_deref() != Some("dumb")
}

/// A cell of a [`TextTable`]: escaped text, in a colour where colours are shown.
pub(crate) struct TextCell {
    text: EscapedText,
    colour: Option<Colour>,
}

#[derive(Clone, Copy)]
enum Colour {
    Green,
    Yellow,
    Red,
    BoldRed,
}

impl Colour {
    /// The parameters of the terminal's colour sequence (SGR).
    fn code(self) -> &'static str {
        match self {
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Red => "31",
            Self::BoldRed => "1;31",
        }
    }
}

impl<T: Display> From<T> for TextCell {
    fn from(text: T) -> Self {
        let text = EscapedText::new(text);
        let text = if text.0.is_empty() { EscapedText::new(EMPTY_CELL) } else { text };
        Self { text, colour: None }
    }
}

impl TextCell {
    /// The columns of the terminal that the text takes up.
    fn width(&self) -> usize {
        self.text.0.width()
    }

    fn coloured(self, colour: Colour) -> Self {
        Self { colour: Some(colour), ..self }
    }

    pub(crate) fn green(self) -> Self {
        self.coloured(Colour::Green)
    }

    pub(crate) fn yellow(self) -> Self {
        self.coloured(Colour::Yellow)
    }

    pub(crate) fn red(self) -> Self {
        self.coloured(Colour::Red)
    }

    pub(crate) fn bold_red(self) -> Self {
        self.coloured(Colour::BoldRed)
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
        let mut table = TextTable::new(&["DESCRIPTION"]);
        table.row(["x\u{1b}[31m\nforged"]);
        assert_eq!(table.lines(true, false), ["DESCRIPTION", r"x\u{1b}[31m\nforged"]);
    }

    fn leases() -> TextTable {
        let mut table = TextTable::new(&["PREFIX", "OWNER", "DAYS-LEFT"]);
        table.row([
            TextCell::from("203.0.113.0/24"),
            TextCell::from("Zürich 客户"),
            TextCell::from(-3).bold_red(),
        ]);
        table.row([TextCell::from("192.0.2.0/24"), TextCell::from(""), TextCell::from(40)]);
        table
    }

    #[test]
    fn columns_are_padded_to_their_widest_cell_and_an_empty_cell_says_none() {
        let expected = [
            "PREFIX           OWNER         DAYS-LEFT",
            "203.0.113.0/24   Zürich 客户   -3",
            "192.0.2.0/24     <none>        40",
        ];
        assert_eq!(leases().lines(true, false), expected);
        assert_eq!(leases().lines(false, false), &expected[1..]);
    }

    #[test]
    fn a_colour_does_not_move_the_columns() {
        let lines = leases().lines(true, true);
        assert_eq!(lines[1], "203.0.113.0/24   Zürich 客户   \u{1b}[1;31m-3\u{1b}[0m");
        assert_eq!(lines[2], leases().lines(true, false)[2]);
    }

    struct Variables(&'static [(&'static str, &'static str)]);

    impl Environment for Variables {
        fn variables(&self) -> Vec<(String, String)> {
            self.0.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        }
    }

    #[test]
    fn colours_are_for_terminals_that_have_them_and_people_who_want_them() {
        assert!(colours_are_shown(true, &Variables(&[("TERM", "xterm-256color")])));
        assert!(colours_are_shown(true, &Variables(&[("TERM", "xterm"), ("NO_COLOR", "")])));
        assert!(!colours_are_shown(true, &Variables(&[("TERM", "xterm"), ("NO_COLOR", "1")])));
        assert!(!colours_are_shown(true, &Variables(&[("TERM", "dumb")])));
        assert!(!colours_are_shown(false, &Variables(&[("TERM", "xterm")])));
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
