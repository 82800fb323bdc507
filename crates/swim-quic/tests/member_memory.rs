//! What a member on a shared driver thread holds, alone and for each connection.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "nothing is heard here")]
mod common;
#[path = "common/heap.rs"]
mod heap;

use common::{PATIENCE, Participants, eventually};
use swim_quic::{Cluster, Driver};

/// Of the Rust heap; BoringSSL's is not counted. 14 kB when this was written, without a byte for
/// work that is not there.
const MOST_ALONE: i64 = 24 << 10;
/// For each end of a connection, what the machine keeps of the member included; 24 kB when this was
/// written, most of it quiche's.
const MOST_FOR_AN_END: i64 = 28 << 10;

const FEW: usize = 4;
const MANY: usize = 16;

/// One test, since the heap of the whole process is counted.
#[test]
fn a_member_holds_little_alone_and_a_bound_for_each_connection() {
    let participants = Participants::new();
    let driver = Driver::start().unwrap();
    // What the first member alone sets up for the process is nobody's.
    participants.member("first").driver(&driver).start().unwrap().close(PATIENCE);

    let few = per_member(&participants, &driver, "few", FEW);
    let many = per_member(&participants, &driver, "many", MANY);
    let more = i64::try_from(MANY - FEW).unwrap();
    let end = (many - few) / more;
    assert!(end <= MOST_FOR_AN_END, "{end} bytes for each end of a connection");
}

/// Starts members, looks at what one holds alone, and returns what it holds connected with all.
fn per_member(participants: &Participants, driver: &Driver, group: &str, count: usize) -> i64 {
    let builders: Vec<_> = (0..count)
        .map(|number| participants.member(&format!("{group}-{number:02}")).driver(driver))
        .collect();
    let before = heap::held();
    let each = || (heap::held() - before) / i64::try_from(count).unwrap();
    let members: Vec<Cluster> = builders.into_iter().map(|one| one.start().unwrap()).collect();
    let alone = each();
    assert!(alone <= MOST_ALONE, "{alone} bytes for each of {count} members alone");

    let first = members[0].address().to_string();
    for member in &members[1..] {
        member.set_seeds([&first]).unwrap();
    }
    eventually("all see all", || members.iter().all(|one| one.members().len() == count));
    for (number, one) in members.iter().enumerate() {
        for other in &members[number + 1..] {
            one.connect(other.name(), PATIENCE).unwrap();
        }
    }
    let connections = |one: &Cluster| one.connections().unwrap().len();
    eventually("one connection each", || members.iter().all(|one| connections(one) == count - 1));
    let connected = each();
    members.iter().for_each(|one| one.close(PATIENCE));
    connected
}
