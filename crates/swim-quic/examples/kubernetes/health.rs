//! The three pages that an orchestrator and a monitoring system ask for, over HTTP/1.1.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use swim_quic::Cluster;

/// How long a client may take for a request.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Most bytes of a request's first line that are looked at.
const MAX_LINE: u64 = 1_024;

/// What the readiness probe is told.
#[derive(Clone, Default)]
pub(crate) struct Ready(Arc<AtomicBool>);

impl Ready {
    /// From now on, the member is ready: also when all others die, since it still serves what it
    /// has, and no probe should take all members of a partition out of service.
    pub(crate) fn found_others(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Serves the pages on a thread of their own.
pub(crate) fn serve(address: &str, cluster: Cluster) -> io::Result<Ready> {
    let listener = TcpListener::bind(address)?;
    println!("health at {}", listener.local_addr()?);
    let ready = Ready::default();
    let shown = ready.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that went away before its answer is nobody's concern.
            let _ = answer(stream, &cluster, &shown);
        }
    });
    Ok(ready)
}

fn answer(mut stream: TcpStream, cluster: &Cluster, ready: &Ready) -> io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut request = String::new();
    BufReader::new((&stream).take(MAX_LINE)).read_line(&mut request)?;
    let (status, body) = page(&request, cluster, ready);
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}

fn page(request: &str, cluster: &Cluster, ready: &Ready) -> (&'static str, String) {
    let found = ready.0.load(Ordering::Relaxed);
    match request.split(' ').nth(1) {
        // Asks the driver thread, and fails where that stands still.
        Some("/live") => match cluster.stats() {
            Ok(_) => ("200 OK", "alive\n".into()),
            Err(error) => ("503 Service Unavailable", format!("{error}\n")),
        },
        Some("/ready") if found => {
            let members = cluster.members();
            let live = members.iter().filter(|member| member.state().is_live()).count();
            ("200 OK", format!("{live} members\n"))
        }
        Some("/ready") => ("503 Service Unavailable", "no other member was found yet\n".into()),
        Some("/metrics") => match cluster.metrics() {
            Ok(metrics) => ("200 OK", metrics.to_string()),
            Err(error) => ("503 Service Unavailable", format!("{error}\n")),
        },
        _ => ("404 Not Found", "pages: /live, /ready, /metrics\n".into()),
    }
}
