//! The hosts and ports behind the name of a service (SRV records, RFC 2782).

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rsdns::clients::ClientConfig;
use rsdns::clients::std::Client;
use rsdns::records::Class;
use rsdns::records::data::Srv;

/// The most targets that are looked up: as many as a member keeps seeds.
const MAX_TARGETS: usize = 64;
/// How long one name server may take, with repetitions.
const LIFETIME: Duration = Duration::from_secs(5);
/// Where the system says which name servers to ask (resolv.conf(5)).
const SYSTEM: &str = "/etc/resolv.conf";
const DNS_PORT: u16 = 53;

/// The targets of a service, the ones of the lowest priority number first. Members join all of
/// them, so that weights make no difference.
///
/// # Errors
/// What the last name server answered, or that none did.
pub(crate) fn targets(service: &str) -> io::Result<Vec<(String, u16)>> {
    #[cfg(test)]
    if let Some(server) = tests::made_server(service) {
        return ask(&[server], service);
    }
    ask(&name_servers(&std::fs::read_to_string(SYSTEM).unwrap_or_default()), service)
}

fn ask(servers: &[SocketAddr], service: &str) -> io::Result<Vec<(String, u16)>> {
    let mut last = io::Error::other("no name server is known");
    for server in servers {
        let config = ClientConfig::with_nameserver(*server).set_query_lifetime(LIFETIME);
        let client = Client::new(config);
        match client.and_then(|mut client| client.query_rrset::<Srv>(service, Class::IN)) {
            Ok(found) => {
                let mut found = found.rdata;
                found.sort();
                // The root stands for a service that is not there.
                found.retain(|target| target.target.as_str() != "." && target.port != 0);
                found.truncate(MAX_TARGETS);
                let target = |srv: &Srv| (srv.target.as_str().to_owned(), srv.port);
                return Ok(found.iter().map(target).collect());
            }
            Err(error) => last = io::Error::other(error),
        }
    }
    Err(last)
}

/// The name servers in a resolv.conf; without any, the one on this machine.
fn name_servers(text: &str) -> Vec<SocketAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        let is_server = words.next() == Some("nameserver");
        let address = words.next().filter(|_| is_server)?;
        Some(SocketAddr::new(address.parse::<IpAddr>().ok()?, DNS_PORT))
    };
    let mut servers: Vec<SocketAddr> = text.lines().filter_map(server).collect();
    if servers.is_empty() {
        servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), DNS_PORT));
    }
    servers
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::UdpSocket;
    use std::sync::Mutex;

    use super::*;
    use crate::{Builder, Cluster, Event, Identity};

    const PATIENCE: Duration = Duration::from_secs(30);

    /// The name servers that know one service each.
    static MADE: Mutex<BTreeMap<String, SocketAddr>> = Mutex::new(BTreeMap::new());

    pub(super) fn made_server(service: &str) -> Option<SocketAddr> {
        MADE.lock().unwrap().get(service).copied()
    }

    /// A name server that answers every query with these records: priority, port, target.
    fn name_server(records: &[(u16, u16, &[&str])]) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let count = u8::try_from(records.len()).unwrap();
        let mut answers = Vec::new();
        for (priority, port, target) in records {
            let mut data = Vec::new();
            for number in [*priority, 0, *port] {
                data.extend(number.to_be_bytes());
            }
            for label in *target {
                data.push(u8::try_from(label.len()).unwrap());
                data.extend(label.as_bytes());
            }
            data.push(0);
            answers.extend([0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0]);
            answers.push(u8::try_from(data.len()).unwrap());
            answers.extend(data);
        }
        std::thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((_, from)) = socket.recv_from(&mut query) {
                let labels_end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 1;
                let mut answer = query[..2].to_vec();
                answer.extend([0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0]);
                answer.extend(&query[12..labels_end + 4]);
                answer.extend(&answers);
                socket.send_to(&answer, from).unwrap();
            }
        });
        address
    }

    fn member(name: &str) -> Builder {
        let identity = Identity::development(name).unwrap();
        Cluster::builder(name).bind("127.0.0.1:0").identity(identity).allow_development_identity()
    }

    #[test]
    fn a_service_as_seed_leads_to_a_joined_member() {
        const SERVICE: &str = "_swim._udp.joined.example";
        let ada = member("ada").start().unwrap();
        // The first has no address, so that the second counts; both end in the root.
        let server = name_server(&[
            (10, 7946, &["nobody", "invalid"]),
            (20, ada.address().port(), &["localhost"]),
        ]);
        MADE.lock().unwrap().insert(SERVICE.to_owned(), server);
        let builder = member("bob").seeds([SERVICE]);
        let events = builder.subscribe();
        let bob = builder.start().unwrap();
        let deadline = crate::deadline::deadline_after(PATIENCE);
        loop {
            let event = events.recv_deadline(deadline).expect("bob joins ada");
            if matches!(event, Event::Joined(member) if *member.name() == *ada.name()) {
                break;
            }
        }
        let joined = bob.join([SERVICE], PATIENCE).unwrap();
        assert_eq!((joined.joined, joined.failed.len()), (1, 0));
    }

    #[test]
    fn the_targets_of_a_service_come_in_the_order_of_priority() {
        let server = name_server(&[
            (20, 7947, &["bob", "example", "com"]),
            (10, 7946, &["ada", "example", "com"]),
            (10, 7946, &[]),
        ]);
        let found = ask(&[server], "_swim._udp.example.com").unwrap();
        let expected = [("ada.example.com.", 7946), ("bob.example.com.", 7947)];
        assert_eq!(found, expected.map(|(name, port)| (name.to_owned(), port)));
    }

    #[test]
    fn name_servers_are_those_of_the_system() {
        let text = "# comment\nsearch example.com\nnameserver 192.0.2.53\nnameserver fd00::53\n";
        let expected = ["192.0.2.53:53", "[fd00::53]:53"].map(|text| text.parse().unwrap());
        assert_eq!(name_servers(text), expected);
        assert_eq!(name_servers("nameserver"), ["127.0.0.1:53".parse().unwrap()]);
    }
}
