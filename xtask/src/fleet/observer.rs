//! Whoever shows or keeps what happens to the members of a story; a file that keeps it all.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use super::Observed;
use super::event::EventKind;
use crate::Stop;

/// What happens on a stage.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scene<'a> {
    Starts(&'a [&'a str]),
    Signalled(Signal),
    Told(&'a str),
    Does(&'a Observed),
    /// From now on the story waits for this; about no member in particular.
    Waits(&'a str),
}

pub(crate) trait Observer {
    fn note(&mut self, name: &str, scene: Scene<'_>, at: Duration);
}

/// Nobody looks.
impl Observer for () {
    fn note(&mut self, _: &str, _: Scene<'_>, _: Duration) {}
}

/// So much of a longer line is kept.
const SHOWN: usize = 300;

/// Writes the file `transcript` of a folder.
pub(crate) struct Transcript(BufWriter<File>);

impl Transcript {
    pub(crate) fn create(folder: &Path) -> Result<Self, Stop> {
        let file = File::create(folder.join("transcript"));
        let file = file.map_err(|error| Stop::cannot("write a transcript", error))?;
        Ok(Self(BufWriter::new(file)))
    }
}

impl Observer for Transcript {
    fn note(&mut self, name: &str, scene: Scene<'_>, at: Duration) {
        let text = match scene {
            Scene::Starts(flags) => format!("starts: {}", flags.join(" ")),
            Scene::Signalled(signal) => format!("gets {signal:?}"),
            Scene::Told(command) => format!("> {}", clip(command)),
            // Counters are wanted whole.
            Scene::Does(Observed::Event(event, line)) if is_stats(&event.kind) => {
                format!("< {line}")
            }
            Scene::Does(Observed::Event(_, line) | Observed::Malformed { line, .. }) => {
                format!("< {}", clip(line))
            }
            Scene::Does(Observed::Exited(code)) => format!("ended: {code:?}"),
            Scene::Waits(_) => return,
        };
        // A transcript that cannot be written costs nobody the story.
        let _ = writeln!(self.0, "{at:?} {name} {text}");
    }
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
