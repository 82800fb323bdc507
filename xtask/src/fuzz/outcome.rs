//! What libFuzzer says at the end of a run, as far as it matters.
//!
//! Reads its log; runs nothing. What is missing from the log (a fuzzer that was killed prints no
//! numbers) counts as 0.

/// One run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    executions: u64,
    per_second: u64,
    edges: u64,
    inputs: u64,
    /// The file that holds the input of a finding.
    pub(super) input: Option<String>,
    /// The lines that say what was found.
    pub(super) cause: Vec<String>,
}

/// Lines of a finding that are shown; the log has them all.
const MOST_LINES: usize = 8;

impl Report {
    pub(super) fn read(log: &str) -> Self {
        let mut report = Self::default();
        let mut lines = log.lines().peekable();
        while let Some(line) = lines.next() {
            report.read_line(line);
            // The message of a panic is on the line after its place.
            if line.contains("panicked at")
                && let Some(message) = lines.peek()
            {
                report.cause.push((*message).to_owned());
            }
        }
        report.cause.truncate(MOST_LINES);
        report
    }

    fn read_line(&mut self, line: &str) {
        if let Some((_, count)) = line.split_once("stat::number_of_executed_units:") {
            self.executions = number(count);
        } else if let Some((_, rate)) = line.split_once("stat::average_exec_per_sec:") {
            self.per_second = number(rate);
        } else if let Some((_, path)) = line.split_once("Test unit written to ") {
            self.input = Some(path.to_owned());
        } else if line.contains("panicked at")
            || line.contains("ERROR: ")
            || line.starts_with("SUMMARY: ")
        {
            self.cause.push(line.trim().to_owned());
        } else if line.starts_with('#') {
            self.read_progress(line);
        }
    }

    /// As in `#4096 pulse  cov: 51 ft: 70 corp: 12/80b ...`.
    fn read_progress(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        while let Some(word) = words.next() {
            match word {
                "cov:" => self.edges = words.next().map_or(0, number),
                "corp:" => {
                    let files = words.next().and_then(|corpus| corpus.split('/').next());
                    self.inputs = files.map_or(0, number);
                }
                count => {
                    if let Some(count) = count.strip_prefix('#') {
                        self.executions = self.executions.max(number(count));
                    }
                }
            }
        }
    }

    /// One line of a table.
    pub(super) fn line(&self, target: &str, verdict: &str) -> String {
        let Self { executions, per_second, edges, inputs, .. } = self;
        format!(
            "{target:<12}{executions:10} executions {per_second:7}/s {edges:6} edges {inputs:6} \
             inputs  {verdict}"
        )
    }
}

fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_run_is_read() {
        let log = "INFO: Seed: 1\n#2\tINITED cov: 5 ft: 6 corp: 1/1b exec/s: 0 rss: 30Mb\n\
                   #90\tDONE   cov: 812 ft: 2300 corp: 200/10Kb lim: 70 exec/s: 45 rss: 41Mb\n\
                   stat::number_of_executed_units: 91\nstat::average_exec_per_sec:     45\n";
        let report = Report::read(log);
        let expected =
            Report { executions: 91, per_second: 45, edges: 812, inputs: 200, ..Report::default() };
        assert_eq!(report, expected);
        assert!(report.line("packet", "nothing found").ends_with("nothing found"));
    }

    #[test]
    fn a_finding_names_its_cause_and_its_input() {
        let log = "#77\tNEW    cov: 3 ft: 3 corp: 2/2b\n\
                   thread '<unnamed>' (7) panicked at src/a.rs:1:2:\nno such thing\nstack\n\
                   ==7== ERROR: libFuzzer: deadly signal\nSUMMARY: libFuzzer: deadly signal\n\
                   artifact_prefix='x/'; Test unit written to x/crash-1\n";
        let report = Report::read(log);
        assert_eq!((report.executions, report.input.as_deref()), (77, Some("x/crash-1")));
        assert_eq!(report.cause[1], "no such thing");
        assert_eq!(report.cause.len(), 4);
    }

    #[test]
    fn a_fuzzer_that_never_began_has_done_nothing() {
        assert_eq!(Report::read("cannot execute\n"), Report::default());
    }
}
