//! Printing, for commands that others may stop listening to.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write as _};

/// Prints a line. `println!` would panic where the reader has gone (`leasehold status | head`); that is no error.
macro_rules! say {
    ($($words:tt)*) => {
        $crate::cli::speech::line(format_args!($($words)*))
    };
}

pub(crate) fn line(words: Arguments<'_>) {
    if let Err(error) = writeln!(std::io::stdout(), "{words}") {
        if error.kind() == ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        eprintln!("error: cannot print: {error}");
        std::process::exit(1);
    }
}
