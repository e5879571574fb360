//! The progress bar of commands that wait. It is drawn on standard error, and only on a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar without a length yet. `unit` is what it counts, in the plural.
pub(crate) fn progress_bar(message: &'static str, unit: &str) -> ProgressBar {
    let template =
        format!("{{msg}} [{{wide_bar}}] {{human_pos}}/{{human_len}} {unit}, {{per_sec}}, {{eta}} left");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style).with_message(message)
}
