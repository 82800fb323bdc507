//! What it costs to publish one change among many members, beside a copy of the whole list.

#[expect(dead_code, unused_imports, reason = "only the changes are measured")]
#[path = "../src/member_runs.rs"]
mod member_runs;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use member_runs::MemberRuns;
use swim_core::{Config, LocalMember, Member, MemberName, Membership, RngSeed, Time};

/// Changes of which the median is shown.
const CHANGES: usize = 1_001;

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn main() {
    for count in [100, 1_000, 10_000] {
        let members: Vec<Member> = (0..count).map(member).collect();
        let mut runs = MemberRuns::from_ordered(members.iter().cloned());
        // As `Shared` does: the list before is let go once the next one is there.
        let mut shown = runs.clone();
        let changed = median(|step| {
            runs.set(members[step * 7_919 % count].clone());
            shown = black_box(runs.clone());
        });
        let mut whole: Arc<[Member]> = members.iter().cloned().collect();
        let copied = median(|_| whole = black_box(members.iter().cloned().collect()));
        println!(
            "{count:6} members: {changed:7.1?} to publish a change, {copied:7.1?} to copy all"
        );
        drop((shown, whole));
    }
}

fn member(number: usize) -> Member {
    let name = MemberName::try_from(format!("member-{number:09}").as_str());
    let name = name.expect("the name is short");
    let address = "127.0.0.1:1".parse().expect("an address");
    let me = LocalMember { name, address, meta: Vec::new() };
    let machine = Membership::new(Config::local(), me, RngSeed([0; 32]), Time::ZERO);
    machine.expect("the configuration works").local()
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn median(mut work: impl FnMut(usize)) -> Duration {
    let mut times: Vec<Duration> = (0..CHANGES)
        .map(|step| {
            let began = Instant::now();
            work(step);
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[CHANGES / 2]
}
