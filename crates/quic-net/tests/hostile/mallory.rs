//! A hand-driven QUIC connection, which may break every rule that its owner likes.

use std::net::SocketAddr;

use crate::world::{CLASSIC, PATIENCE, World, authority, identity, limits, now};
use quic_net::Limits;
use quiche::ConnectionId;

pub(crate) const ADA: usize = 0;
const LOCAL: &str = "0.0.0.0:0";

/// Mallory, with a valid certificate and a mind of her own.
pub(crate) struct Mallory {
    pub(crate) quic: quiche::Connection,
    pub(crate) address: SocketAddr,
    ada: SocketAddr,
    pub(crate) config: quiche::Config,
}

impl Mallory {
    pub(crate) fn dial(
        world: &World,
        protocol: &[u8],
        adjust: impl Fn(&mut quiche::Config),
    ) -> Self {
        let mut config = Self::config(protocol);
        adjust(&mut config);
        let ada = world.address(ADA);
        let quic = Self::connect(ada, &mut config);
        Self { quic, address: "10.6.6.6:666".parse().unwrap(), ada, config }
    }

    pub(crate) fn config(protocol: &[u8]) -> quiche::Config {
        let identity = identity(authority(), "mallory");
        let tls = certs::tls_context(&identity, &identity.trust()).unwrap();
        let version = quiche::PROTOCOL_VERSION;
        let mut config = quiche::Config::with_boring_ssl_ctx_builder(version, tls).unwrap();
        config.set_application_protos(&[protocol]).unwrap();
        config.enable_dgram(true, 100, 100);
        config.set_initial_max_data(1 << 20);
        config.set_initial_max_stream_data_bidi_local(1 << 20);
        config.set_initial_max_stream_data_bidi_remote(1 << 20);
        config.set_initial_max_stream_data_uni(1 << 20);
        config.set_initial_max_streams_bidi(100);
        config.set_initial_max_streams_uni(100);
        config
    }

    /// Dials again from another port, with the same certificate; returns the older connection.
    pub(crate) fn dial_again(&mut self, port: u16) -> quiche::Connection {
        self.address.set_port(port);
        std::mem::replace(&mut self.quic, Self::connect(self.ada, &mut self.config))
    }

    fn connect(ada: SocketAddr, config: &mut quiche::Config) -> quiche::Connection {
        let id = ConnectionId::from_ref(b"mallory!");
        quiche::connect(None, &id, LOCAL.parse().unwrap(), ada, config).unwrap()
    }

    /// Carries everything between Mallory and Ada until both are silent, and lets Ada look.
    pub(crate) fn carry(&mut self, world: &mut World) {
        self.exchange(world);
        let ada = &mut world.actors[ADA];
        ada.events.extend(std::iter::from_fn(|| ada.endpoint.poll_event()));
    }

    /// As [`carry`](Self::carry), while Ada's application does not look.
    pub(crate) fn exchange(&mut self, world: &mut World) {
        let mut buffer = vec![0; 16 * 1500];
        for _ in 0..10_000 {
            let mut quiet = true;
            let endpoint = &mut world.actors[ADA].endpoint;
            while let Ok((length, _)) = self.quic.send(&mut buffer) {
                quiet = false;
                endpoint.handle_udp(self.address, None, &mut buffer[..length], now());
            }
            endpoint.handle_timeout(now());
            while let Some(transmit) = endpoint.poll_transmit(&mut buffer, now()) {
                quiet = false;
                if transmit.to != self.address {
                    continue;
                }
                let segment = transmit.segment.unwrap_or(transmit.len);
                for datagram in buffer[..transmit.len].chunks_mut(segment) {
                    let to = LOCAL.parse().unwrap();
                    let info = quiche::RecvInfo { from: self.ada, to };
                    if let Err(error) = self.quic.recv(datagram, info) {
                        assert!(self.quic.local_error().is_some(), "{error:?}");
                    }
                }
            }
            self.quic.on_timeout();
            if quiet {
                return;
            }
        }
        panic!("never silent");
    }

    pub(crate) fn run_until(
        &mut self,
        world: &mut World,
        what: &str,
        mut done: impl FnMut(&mut Self, &World) -> bool,
    ) {
        let end = now() + PATIENCE;
        loop {
            self.carry(world);
            if done(self, world) {
                return;
            }
            assert!(now() < end, "never came: {what}\n{}", world.story());
            let due = [self.quic.timeout_instant(), world.actors[ADA].endpoint.poll_timeout()];
            let due = due.into_iter().flatten().min().unwrap_or(end).min(end);
            world.sleep.wait(Some(due)).unwrap();
        }
    }

    /// Dials Ada on the classic protocol and says hello.
    pub(crate) fn meets(world: &mut World, adjust: impl Fn(&mut quiche::Config)) -> Self {
        let mut mallory = Self::dial(world, CLASSIC, adjust);
        mallory.run_until(world, "the handshake", |mallory, _| mallory.quic.is_established());
        mallory.quic.dgram_send(b"hello").unwrap();
        mallory.run_until(world, "hello", |_, world| world.actors[ADA].packets() == [b"hello"]);
        mallory
    }

    pub(crate) fn close_reason(&self) -> Option<String> {
        let error = self.quic.peer_error()?;
        Some(String::from_utf8_lossy(&error.reason).into_owned())
    }
}

/// Ada alone, with changed limits.
pub(crate) fn world_with(adjust: impl Fn(&mut Limits)) -> World {
    World::with(&["ada"], limits(adjust))
}
