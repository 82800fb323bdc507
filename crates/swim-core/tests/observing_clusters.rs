//! Clusters in the simulator, in which few members watch each one.

use std::time::Duration;

use swim_core::MemberState::{Alive, Dead};
use swim_core::sim::{Fault, HostId, Setup, Simulation, Watch};
use swim_core::{Config, Evidence, MembershipEvent, Time};

const MEMBERS: usize = 96;
/// As by the transport of a cluster with ten observers.
const IDLE: Duration = Duration::from_secs(30);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Members that have known each other for minutes.
fn settled(seed: u64) -> (Simulation, Vec<HostId>) {
    settled_with(seed, Evidence::Hint)
}

fn settled_with(seed: u64, evidence: Evidence) -> (Simulation, Vec<HostId>) {
    let mut config = Config::lan();
    config.observers = 10;
    config.evidence = evidence;
    let watch = Watch::Every(Duration::from_millis(100));
    let mut sim = Simulation::new(seed, Setup { watch, keep_events: true, ..Setup::new(config) });
    let hosts: Vec<HostId> =
        (0..MEMBERS).map(|number| sim.add(&format!("member-{number:02}"))).collect();
    for host in &hosts {
        sim.set_seeds(*host, &hosts[..1]);
        sim.start(*host);
        sim.run_for(Duration::from_millis(20));
    }
    pass(&mut sim, seconds(120));
    assert!(sim.agreement().is_ok(), "seed {seed}: {:?}", sim.agreement());
    (sim, hosts)
}

fn pass(sim: &mut Simulation, span: Duration) {
    let end = sim.now() + span;
    while sim.now() < end {
        sim.run_for(seconds(1));
        sim.close_idle(IDLE);
    }
    assert!(sim.violation().is_none(), "{:?}", sim.violation());
}

/// When somebody first suspected a member since then.
fn first_suspected(sim: &Simulation, subject: HostId, since: Time) -> Option<Time> {
    let suspected = sim.events().iter().find(|(at, _, event)| {
        *at >= since
            && matches!(event, MembershipEvent::Suspected { member, .. }
                if member.name() == sim.name(subject))
    });
    suspected.map(|(at, _, _)| *at)
}

fn false_deaths(sim: &Simulation, crashed: &[HostId]) -> usize {
    let is_wrong = |event: &MembershipEvent| {
        matches!(event, MembershipEvent::Failed { member, .. }
            if crashed.iter().all(|host| sim.name(*host) != member.name()))
    };
    sim.events().iter().filter(|(_, _, event)| is_wrong(event)).count()
}

/// The first probe that fails begins within a period: a suspicion follows one period later.
#[test]
fn a_crash_is_noticed_within_about_a_period_and_everybody_learns_of_it() {
    let (mut sim, hosts) = settled(1);
    let mut waits: Vec<Duration> = Vec::new();
    let victims: Vec<HostId> = hosts[1..].iter().step_by(8).copied().collect();
    for (number, victim) in victims.iter().enumerate() {
        pass(&mut sim, seconds(4));
        sim.run_for(Duration::from_millis(137 * number as u64));
        sim.crash(*victim);
        let began = sim.now();
        let up: Vec<HostId> = hosts.iter().copied().filter(|host| sim.is_up(*host)).collect();
        let known = sim.run_until(seconds(20), |sim| {
            up.iter().all(|viewer| sim.state(*viewer, *victim) == Some(Dead))
        });
        assert!(known, "{victim:?} is not known to be dead");
        waits.push(first_suspected(&sim, *victim, began).unwrap() - began);
    }
    waits.sort();
    let mean = waits.iter().sum::<Duration>() / u32::try_from(waits.len()).unwrap();
    println!("suspected after {waits:?}, {mean:?} in the mean");
    assert!(mean <= Duration::from_millis(1_700), "{mean:?}");
    assert!(waits[waits.len() - 1] <= Duration::from_millis(2_100), "{waits:?}");
    assert_eq!(false_deaths(&sim, &victims), 0);
    // And nobody is remembered for longer than the dead are told.
    pass(&mut sim, seconds(35));
    let remembered = victims.iter().filter(|it| sim.member(hosts[0], **it).is_some()).count();
    assert_eq!(remembered, 0);
}

#[test]
fn connections_are_few() {
    let (mut sim, hosts) = settled(2);
    pass(&mut sim, seconds(60));
    let held: Vec<u64> = hosts.iter().map(|host| sim.connections(*host)).collect();
    let mean = held.iter().sum::<u64>() / held.len() as u64;
    assert!(mean <= 24, "{mean} in the mean: {held:?}");
    assert!(held.iter().all(|held| *held <= 45), "{held:?}");
}

/// A rack of a third of the members is gone at once, observers and observed among them.
#[test]
fn many_that_crash_together_are_all_found_dead() {
    let (mut sim, hosts) = settled(3);
    let crashed: Vec<HostId> = hosts[1..].iter().step_by(3).copied().collect();
    for host in &crashed {
        sim.crash(*host);
    }
    let up: Vec<HostId> = hosts.iter().copied().filter(|host| sim.is_up(*host)).collect();
    let began = sim.now();
    let known = sim.run_until(seconds(60), |sim| {
        crashed.iter().all(|it| up.iter().all(|viewer| sim.state(*viewer, *it) != Some(Alive)))
    });
    assert!(known, "not known within a minute");
    println!("known after {:?}", sim.now() - began);
    assert_eq!(false_deaths(&sim, &crashed), 0);
}

/// Three of all members are cut off together: most of those that they watch are gone for them, and
/// they find out about the others, too, as they sweep.
#[test]
fn a_minority_that_is_cut_off_finds_out_and_comes_back() {
    let (mut sim, hosts) = settled(4);
    let few = &hosts[..3];
    let groups = hosts.iter().map(|host| u8::from(few.contains(host))).collect();
    let cut = sim.begin_fault(Fault::Partition { groups });
    let found = sim.run_until(seconds(400), |sim| {
        let alive = sim.membership(few[0]).map_or(0, |it| it.stats().alive);
        alive <= 3
    });
    assert!(found, "still {:?}", sim.membership(few[0]).map(|it| it.stats().alive));
    sim.end_fault(cut);
    let healed = sim.run_until(seconds(300), |sim| sim.agreement().is_ok());
    assert!(healed, "{:?}", sim.agreement());
}

/// The host of a process that has died refuses packets: where that is a verdict, all know of a
/// crash as soon as one of those that watch the member has probed it, and two others have.
#[test]
fn where_refusals_are_a_verdict_a_crash_is_known_to_all_within_two_seconds() {
    let (mut sim, hosts) = settled_with(5, Evidence::Verdict);
    let victims: Vec<HostId> = hosts[1..].iter().step_by(12).copied().collect();
    for (number, victim) in victims.iter().enumerate() {
        pass(&mut sim, seconds(4));
        sim.run_for(Duration::from_millis(137 * number as u64));
        sim.let_refuse(*victim);
        sim.crash(*victim);
        let up: Vec<HostId> = hosts.iter().copied().filter(|host| sim.is_up(*host)).collect();
        let known = sim.run_until(seconds(2), |sim| {
            up.iter().all(|viewer| sim.state(*viewer, *victim) == Some(Dead))
        });
        assert!(known, "{victim:?} is not known to be dead");
    }
    assert_eq!(false_deaths(&sim, &victims), 0);
}
