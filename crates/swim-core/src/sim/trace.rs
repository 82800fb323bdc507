//! What happened, line by line: for reading a failed run.
//!
//! Keeps the last lines, or all when asked to; no check depends on it.

use std::collections::VecDeque;
use std::fmt;

/// How many lines [`Trace::Last`] keeps.
pub(crate) const LAST_LINES: usize = 20;

/// Where trace lines go.
pub(crate) enum Trace {
    /// Nowhere; none is made.
    Off,
    /// The last ones are kept.
    Last(VecDeque<String>),
    /// To the caller.
    To(Box<dyn FnMut(&str)>),
}

impl Trace {
    pub(crate) fn is_on(&self) -> bool {
        !matches!(self, Self::Off)
    }

    pub(crate) fn line(&mut self, line: fmt::Arguments<'_>) {
        match self {
            Self::Off => {}
            Self::Last(lines) => {
                if lines.len() == LAST_LINES {
                    lines.pop_front();
                }
                lines.push_back(line.to_string());
            }
            Self::To(sink) => sink(&line.to_string()),
        }
    }

    /// The lines kept.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            Self::Last(lines) => lines.iter().cloned().collect(),
            Self::Off | Self::To(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept() {
        let mut trace = Trace::Last(VecDeque::new());
        for n in 0..30 {
            trace.line(format_args!("line {n}"));
        }
        assert_eq!(trace.lines().len(), LAST_LINES);
        assert_eq!(trace.lines()[0], "line 10");
    }
}
