//! Who dialed is behind a translator of addresses, which gives it another port.

use std::net::SocketAddr;
use std::time::Duration;

use crate::world::{World, now};

const ADA: usize = 0;
const BOB: usize = 1;

/// Bob, who dialed, has another address from here on. Ada knows the one from which he dialed.
fn rebind(world: &mut World, port: u16) {
    world.actors[BOB].address = SocketAddr::from(([10, 0, 0, 2], port));
}

#[test]
fn a_connection_goes_on_where_the_dialer_is_heard() {
    let mut world = World::new(&["ada", "bob"]);
    let dialed_from = world.address(BOB);
    world.send(BOB, ADA, b"hello");
    world.run_until("the first packet", |world| world.actors[ADA].packets().len() == 1);
    for (round, port) in (1..=3).zip(9_001..) {
        rebind(&mut world, port);
        world.send(BOB, ADA, format!("from {port}").as_bytes());
        let began = now();
        world.run_until("a packet of the dialer", |world| {
            world.actors[ADA].packets().len() == 1 + round
        });
        world.actors[ADA].endpoint.send_packet(dialed_from, None, b"answer", now());
        world.actors[ADA].endpoint.send_packet(dialed_from, None, &[7; 20_000], now());
        world.run_until("the answers", |world| world.actors[BOB].packets().len() == 2 * round);
        assert!(now() - began < Duration::from_secs(1), "{:?}", now() - began);
    }
    for actor in &world.actors {
        let stats = actor.endpoint.stats();
        assert_eq!(stats.connections, 1, "{}", actor.name);
    }
    assert_eq!(world.actors[BOB].endpoint.stats().dials, 1);
    assert_eq!(world.actors[ADA].endpoint.stats().dials, 0);
}

/// A copy of a packet that was heard already moves nobody.
#[test]
fn a_stranger_that_repeats_packets_gets_nothing() {
    let mut world = World::new(&["ada", "bob"]);
    let stranger = SocketAddr::from(([10, 6, 6, 6], 666));
    let heard = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let ear = std::rc::Rc::clone(&heard);
    world.lose = Box::new(move |from, _, bytes| {
        if from == BOB {
            ear.borrow_mut().push(bytes.to_vec());
        }
        false
    });
    world.send(BOB, ADA, b"hello");
    world.run_until("the first packet", |world| world.actors[ADA].packets().len() == 1);
    world.run_for(Duration::from_millis(300));
    for mut copy in heard.borrow().clone() {
        world.actors[ADA].endpoint.handle_udp(stranger, None, &mut copy, now());
    }
    let bob = world.address(BOB);
    world.actors[ADA].endpoint.send_packet(bob, None, b"answer", now());
    world.run_until("the answer", |world| world.actors[BOB].packets().len() == 1);
    let sent: usize = world.undelivered.get(&stranger).copied().unwrap_or_default();
    // Initials of a stranger are answered as those of anybody.
    let copied: usize = heard.borrow().iter().map(Vec::len).sum();
    assert!(sent <= 3 * copied, "{sent} bytes for {copied}");
    assert!(world.actors[ADA].endpoint.stats().moved_peers > 0);
}
