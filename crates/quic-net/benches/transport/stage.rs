//! What every case needs: identities, configurations with the same limits, clocks, medians.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use certs::{Authority, Identity};
use quic_net::{Endpoint, EndpointConfig, Limits};

/// Loopback, any port.
pub(crate) const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// Rounds whose median counts.
pub(crate) const ROUNDS: usize = 7;
const PROTOCOL: &[u8] = b"bench/1";
const DAY: Duration = Duration::from_secs(86_400);

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) fn identity(name: &str) -> Identity {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    let authority = AUTHORITY.get_or_init(|| Authority::generate("bench", DAY).unwrap());
    let issued = authority.issue(name, &[ANYWHERE.ip()], DAY).unwrap();
    Identity::from_pem(
        authority.certificate_pem().as_bytes(),
        issued.certificate_pem.as_bytes(),
        issued.key_pem.as_bytes(),
    )
    .unwrap()
}

/// The limits of both sides of every comparison.
pub(crate) fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.datagrams = 1_024;
    limits.connections = 2_000;
    limits.max_idle_connections = 2_000;
    limits.per_certificate = 2_000;
    limits.half_open = 2_000;
    limits.handshakes = 2_000;
    limits
}

pub(crate) fn endpoint(name: &str) -> Endpoint {
    let identity = identity(name);
    let mut config = EndpointConfig::new(PROTOCOL, b"classic/1", identity.reset_secret(name, 1));
    config.name = name.as_bytes().to_vec();
    config.limits = limits();
    let tls = certs::tls_context(&identity, &identity.trust()).unwrap();
    Endpoint::new(config, tls, now()).unwrap()
}

/// The same limits for quiche alone.
pub(crate) fn bare_config(name: &str) -> quiche::Config {
    let (identity, limits) = (identity(name), limits());
    let tls = certs::tls_context(&identity, &identity.trust()).unwrap();
    let mut config =
        quiche::Config::with_boring_ssl_ctx_builder(quiche::PROTOCOL_VERSION, tls).unwrap();
    config.set_application_protos(&[PROTOCOL]).unwrap();
    config.set_max_idle_timeout(360_000);
    config.set_initial_rtt(Duration::from_millis(100));
    config.set_max_recv_udp_payload_size(65_527);
    config.set_max_send_udp_payload_size(limits.max_udp_payload);
    config.discover_pmtu(true);
    config.enable_pacing(false);
    config.enable_dgram(true, limits.datagrams, limits.datagrams);
    // Windows as quic-net has them: fixed, an eighth of the connection's for a stream.
    let stream_window = limits.receive_window / 8;
    config.set_initial_max_data(limits.receive_window);
    config.set_initial_max_stream_data_bidi_local(stream_window);
    config.set_initial_max_stream_data_bidi_remote(stream_window);
    config.set_initial_max_stream_data_uni(stream_window);
    config.set_max_connection_window(limits.receive_window);
    config.set_max_stream_window(stream_window);
    config.set_initial_max_streams_bidi(limits.streams);
    config.set_initial_max_streams_uni(limits.streams);
    config.set_active_connection_id_limit(4);
    config.set_disable_active_migration(true);
    config
}

/// Time that this thread has spent on a processor.
pub(crate) fn processor_time() -> Duration {
    let line = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = line.split_whitespace().next().and_then(|number| number.parse().ok());
    Duration::from_nanos(first.unwrap_or(0))
}

/// The value that so many parts of a thousand do not exceed.
pub(crate) fn quantile(values: &mut [Duration], thousandths: usize) -> Duration {
    values.sort_unstable();
    let last = values.len().saturating_sub(1);
    values.get(last * thousandths / 1_000).copied().unwrap_or_default()
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

pub(crate) fn load() -> String {
    let line = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    line.split_whitespace().take(1).collect()
}

pub(crate) fn machine() -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown processor");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, {cores} cores, Linux {}", kernel.trim())
}
