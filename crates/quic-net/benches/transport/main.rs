//! What the transport costs, each figure beside a bare quiche loop or plain UDP in the same run.
//!
//! Prints one line a case: both figures and their ratio, the median of several rounds that take
//! turns, so that a busy machine disturbs both alike. Names on the command line choose cases.

#![expect(clippy::print_stdout, reason = "a benchmark reports on stdout")]
#![expect(clippy::unwrap_used, reason = "a benchmark of broken code must stop")]
#![expect(clippy::wildcard_enum_match_arm, reason = "each loop looks at one kind of event")]

mod bare;
mod bulk;
mod counting;
mod datagrams;
mod driver;
mod handshakes;
mod memory;
mod ping;
mod plain;
mod stage;

const CASES: [(&str, fn()); 5] = [
    ("datagrams", datagrams::run),
    ("ping", ping::run),
    ("bulk", bulk::run),
    ("handshakes", handshakes::run),
    ("memory", memory::run),
];

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|name| name != "--bench").collect();
    if let Some(unknown) = asked.iter().find(|name| CASES.iter().all(|(case, _)| case != name)) {
        let known: Vec<&str> = CASES.iter().map(|(name, _)| *name).collect();
        println!("no case is called {unknown}; the cases are {}", known.join(", "));
        std::process::exit(2);
    }
    println!("machine: {}", stage::machine());
    for (name, run) in CASES {
        if asked.is_empty() || asked.iter().any(|case| case == name) {
            println!("\n{name} (load {})", stage::load());
            run();
        }
    }
    println!("\nload at the end: {}", stage::load());
}
