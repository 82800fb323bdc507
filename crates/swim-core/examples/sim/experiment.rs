//! Named experiments: a table, and what to hold it against.

use std::ops::ControlFlow;

use serde_json::json;
use swim_core::sim::scenario::{self, Size, Table};

use crate::{clock, parallel};

/// Runs an experiment; true when every run ended as it must.
pub(crate) fn run(name: &str, size: Size, json: bool) -> bool {
    let Some(scenario) = scenario::named(name, size) else {
        return false;
    };
    let began = clock::now();
    let work = |n: usize| scenario.jobs.get(n).map(scenario::Job::run).unwrap_or_default();
    let measures = parallel::map("runs", scenario.jobs.len(), work, |measure| {
        if let Some(failure) = &measure.failure {
            eprintln!("sim: {}: {failure}", measure.row);
        }
        ControlFlow::Continue(())
    });
    let table = scenario.summarize(&measures);
    let seconds = (clock::now() - began).as_secs_f64();
    if json {
        println!("{}", as_json(name, scenario.anchor, &table, seconds));
    } else {
        println!("{name}: {}\n", scenario.about);
        println!("{table}");
        println!("anchor: {}", scenario.anchor);
        println!("{} runs in {seconds:.0} s", measures.len());
    }
    table.failures.is_empty()
}

fn as_json(name: &str, anchor: &str, table: &Table, seconds: f64) -> serde_json::Value {
    let rows: Vec<_> =
        table.rows.iter().map(|(row, values)| json!({ "name": row, "values": values })).collect();
    json!({
        "scenario": name,
        "anchor": anchor,
        "seconds": seconds,
        "columns": table.columns,
        "rows": rows,
        "failures": table.failures,
    })
}
