//! A file with all that was done to the members of a story and all that they said.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::Duration;

use super::Observed;
use super::event::EventKind;
use super::observer::{Deed, Observer};
use crate::Stop;

/// So much of a longer line is kept.
const SHOWN: usize = 300;

/// See the [module](self).
pub(crate) struct Transcript(BufWriter<File>);

impl Transcript {
    /// Writes to the file `transcript` of the folder.
    ///
    /// # Errors
    /// [`Stop::Cannot`].
    pub(crate) fn create(folder: &Path) -> Result<Self, Stop> {
        let file = File::create(folder.join("transcript"));
        let file = file.map_err(|error| Stop::cannot("write a transcript", error))?;
        Ok(Self(BufWriter::new(file)))
    }

    /// A transcript that cannot be written costs nobody the story.
    fn write(&mut self, at: Duration, text: &str) {
        let _ = writeln!(self.0, "{at:?} {text}");
    }
}

impl Observer for Transcript {
    fn did(&mut self, name: &str, deed: Deed<'_>, at: Duration) {
        let text = match deed {
            Deed::Start(spec) => format!("{name} starts: {spec:?}"),
            Deed::Signal(signal) => format!("{name} gets {signal:?}"),
            Deed::Command(command) => format!("{name} > {}", clip(command)),
        };
        self.write(at, &text);
    }

    fn saw(&mut self, name: &str, what: &Observed, at: Duration) {
        let text = match what {
            // Counters are wanted whole.
            Observed::Event(event, line) if is_stats(&event.kind) => format!("{name} < {line}"),
            Observed::Event(_, line) => format!("{name} < {}", clip(line)),
            Observed::Malformed { line, .. } => format!("{name} < {}", clip(line)),
            Observed::Exited(code) => format!("{name} ended: {code:?}"),
        };
        self.write(at, &text);
    }

    fn waits(&mut self, _: &str) {}
}

fn is_stats(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Reply(reply) if reply.cmd == "stats")
}

/// The beginning of a long line.
fn clip(line: &str) -> String {
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}… ({} bytes)", &line[..end], line.len()),
        None => line.to_owned(),
    }
}
