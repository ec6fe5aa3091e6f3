//! How far something is, on standard error and only where a person looks at it.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of that form, whose end may be known later.
pub(super) fn bar(form: &str, length: Option<u64>) -> ProgressBar {
    let bar = length.map_or_else(ProgressBar::no_length, ProgressBar::new);
    match ProgressStyle::with_template(form) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
