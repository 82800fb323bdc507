//! The commands on stdin: one a line, carried out in order, each answered by exactly one reply.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::path::PathBuf;
use std::slice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use swim_quic::{
    Cluster, DeliveryReport, Fingerprint, JoinError, JoinFailure, KeysError, MemberName, SecretKey,
    Stats, with_sources,
};

use crate::arguments::parse_key;
use crate::output::{Output, listed, milliseconds};
use crate::{CLOSE_TIMEOUT, LEAVE_TIMEOUT, files, process};

const JOIN_TIMEOUT: Duration = Duration::from_secs(10);
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// The most bytes and messages that `sendn` and `sendrn` make up.
const MAX_SIZE: usize = 20 * 1024 * 1024;
const MAX_COUNT: usize = 10_000_000;

/// A running member and who listens to it.
pub(crate) struct Session {
    cluster: Cluster,
    output: Arc<Output>,
    certificates: PathBuf,
    has_left: bool,
}

type Reply = Result<Value, String>;

impl Session {
    /// `certificates` is the directory that the identity is from.
    pub(crate) fn new(cluster: Cluster, output: Arc<Output>, certificates: PathBuf) -> Self {
        Self { cluster, output, certificates, has_left: false }
    }

    /// Carries out one line. `false`: it was `quit`.
    pub(crate) fn command(&mut self, line: &str) -> bool {
        let (command, rest) = split_word(line);
        let reply = match command {
            "join" => {
                self.join(rest);
                return true;
            }
            "quit" => {
                let left = self.leave_once();
                self.output.reply(command, left.map(|_| json!({})));
                return false;
            }
            "members" => no_arguments(rest).map(|()| {
                let members: Vec<Value> = self.cluster.members().iter().map(listed).collect();
                json!({ "members": members })
            }),
            "meta" => done(self.cluster.set_meta(rest)),
            "state" => done(self.cluster.set_user_state(rest)),
            "advertise" if rest.is_empty() => Err(usage("advertise IP:PORT, NETWORK or INTERFACE")),
            "advertise" => done(self.cluster.set_advertise(rest)),
            "keys" => no_arguments(rest).and_then(|()| self.keys()),
            "key-add" => changed(parse_key(rest), |key| self.cluster.add_key(key)),
            "key-use" => changed(parse_key(rest), |key| self.cluster.use_key(key)),
            "key-remove" => changed(parse_key(rest), |key| self.cluster.remove_key(key)),
            "send" => self.send(rest, false),
            "sendr" => self.send(rest, true),
            "sendn" => self.send_many(rest, false),
            "sendrn" => self.send_many(rest, true),
            "bcast" if rest.is_empty() => Err(usage("bcast TEXT")),
            "bcast" => done(self.cluster.broadcast(rest)),
            "ping" => self.ping(rest),
            "stream" => self.stream(rest),
            "rotate" => no_arguments(rest).and_then(|()| self.rotate()),
            "revoke" => self.revoke(rest),
            "agreement" => no_arguments(rest).and_then(|()| self.agreement()),
            "stats" => no_arguments(rest).and_then(|()| self.stats()),
            "metrics" => no_arguments(rest).and_then(|()| self.metrics()),
            "leave" => no_arguments(rest).and_then(|()| self.leave()),
            "doubt" => self.doubt(rest),
            "explain" => Err("not yet".to_owned()),
            "die" => Err(usage("die")),
            other => Err(format!(
                "unknown command {other:?}: use join, members, meta, state, send, sendr, sendn, \
                 sendrn, bcast, ping, doubt, stream, stats, metrics, agreement, keys, key-add, \
                 key-use, key-remove, rotate, revoke, leave, quit or die"
            )),
        };
        self.output.reply(command, reply);
        true
    }

    /// Leaves, unless that has been done, and closes.
    pub(crate) fn go(mut self) {
        if let Err(error) = self.leave_once() {
            log::warn!("{error}");
        }
        self.cluster.close(CLOSE_TIMEOUT);
    }

    fn join(&self, rest: &str) {
        let addresses: Vec<&str> = rest.split_whitespace().collect();
        match self.cluster.join(&addresses, JOIN_TIMEOUT) {
            Ok(report) => self.output.reply(
                "join",
                Ok(json!({"joined": report.joined, "failed": failed(report.failed.iter())})),
            ),
            Err(error) => {
                let failed = match &error {
                    JoinError::NobodyAnswered(failures) => failed(failures.iter()),
                    JoinError::Address(_) | JoinError::NoAddress | JoinError::Command(_) | _ => {
                        Vec::new()
                    }
                };
                let more = json!({"joined": 0, "failed": failed});
                self.output.failed_reply("join", &with_sources(&error), more);
            }
        }
    }

    /// Takes what is in the files of the identity into use.
    fn rotate(&self) -> Reply {
        let identity = files::identity(&self.certificates, &self.cluster.name().to_string())?;
        done(self.cluster.rotate(&identity, &identity.trust()))
    }

    fn revoke(&self, fingerprint: &str) -> Reply {
        let fingerprint: Fingerprint =
            fingerprint.parse().map_err(|_| usage("revoke FINGERPRINT (64 hex digits)"))?;
        let closed = self.cluster.revoke(fingerprint).map_err(|error| with_sources(&error))?;
        Ok(json!({ "closed": closed }))
    }

    fn keys(&self) -> Reply {
        let keys = self.cluster.keys().map_err(|error| with_sources(&error))?;
        let in_hex = |key: &SecretKey| -> String {
            key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
        };
        Ok(json!({ "keys": keys.iter().map(in_hex).collect::<Vec<_>>() }))
    }

    fn send(&self, rest: &str, reliable: bool) -> Reply {
        let (name, text) = split_word(rest);
        if name.is_empty() || text.is_empty() {
            return Err(usage("send NAME TEXT, sendr NAME TEXT"));
        }
        let payload = text.as_bytes().to_vec();
        Ok(match self.deliver(name, payload, reliable)? {
            None => json!({ "bytes": text.len() }),
            Some(DeliveryReport::Acknowledged) => {
                json!({ "bytes": text.len(), "delivery": "acknowledged" })
            }
            Some(DeliveryReport::Sent) => json!({ "bytes": text.len(), "delivery": "sent" }),
        })
    }

    /// Sends a message; of a reliable one, says how much is known of its delivery.
    fn deliver(
        &self,
        name: &str,
        payload: Vec<u8>,
        reliable: bool,
    ) -> Result<Option<DeliveryReport>, String> {
        let sent = if reliable {
            self.cluster.send_reliable(name, payload, SEND_TIMEOUT).map(Some)
        } else {
            self.cluster.send(name, payload).map(|()| None)
        };
        sent.map_err(|error| with_sources(&error))
    }

    fn send_many(&self, rest: &str, reliable: bool) -> Reply {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let parsed = match words.as_slice() {
            [name, count, size] => count
                .parse::<usize>()
                .ok()
                .zip(size.parse::<usize>().ok())
                .filter(|(count, size)| *count <= MAX_COUNT && *size <= MAX_SIZE)
                .map(|(count, size)| (*name, count, size)),
            _ => None,
        };
        let Some((name, count, size)) = parsed else {
            return Err(usage("sendn NAME COUNT SIZE, sendrn NAME COUNT SIZE (sizes in bytes)"));
        };
        let started = monotonic_clock();
        let (mut sent, mut failed, mut last_error) = (0_usize, 0_usize, None);
        for _ in 0..count {
            match self.deliver(name, vec![b'x'; size], reliable) {
                Ok(_) => sent += 1,
                Err(error) => {
                    failed += 1;
                    last_error = Some(error);
                }
            }
        }
        let ms = milliseconds(started.elapsed());
        let mut fields = json!({"sent": sent, "failed": failed, "ms": ms});
        match last_error {
            Some(error) if sent == 0 => Err(error),
            Some(error) => {
                if let Some(fields) = fields.as_object_mut() {
                    fields.insert("last_error".into(), error.into());
                }
                Ok(fields)
            }
            None => Ok(fields),
        }
    }

    fn ping(&self, rest: &str) -> Reply {
        let (name, more) = split_word(rest);
        if name.is_empty() || !more.is_empty() {
            return Err(usage("ping NAME"));
        }
        let rtt = self.cluster.ping(name, PING_TIMEOUT).map_err(|error| with_sources(&error))?;
        Ok(json!({ "rtt_us": u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX) }))
    }

    fn doubt(&self, rest: &str) -> Reply {
        let (name, more) = split_word(rest);
        if name.is_empty() || !more.is_empty() {
            return Err(usage("doubt NAME"));
        }
        done(self.cluster.doubt(name))
    }

    /// Opens a stream, says one thing, and waits for the whole answer.
    fn stream(&self, rest: &str) -> Reply {
        let (name, rest) = split_word(rest);
        let (protocol, text) = split_word(rest);
        if name.is_empty() || protocol.is_empty() || text.is_empty() {
            return Err(usage("stream NAME PROTOCOL TEXT"));
        }
        let mut stream = self
            .cluster
            .open_stream(name, protocol, SEND_TIMEOUT)
            .map_err(|error| with_sources(&error))?;
        stream.set_read_timeout(Some(SEND_TIMEOUT));
        let answer = stream.write_all(text.as_bytes()).and_then(|()| {
            stream.shutdown(Shutdown::Write);
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).map(|_| answer)
        });
        let answer = answer.map_err(|error| with_sources(&error))?;
        Ok(json!({ "answer": String::from_utf8_lossy(&answer) }))
    }

    fn leave(&mut self) -> Reply {
        if self.has_left {
            return Err("this node has left already: quit it and start a new one".to_owned());
        }
        self.leave_once()
    }

    /// Leaves unless that has been done.
    fn leave_once(&mut self) -> Reply {
        if std::mem::replace(&mut self.has_left, true) {
            return Ok(json!({}));
        }
        let started = monotonic_clock();
        let report = self.cluster.leave(LEAVE_TIMEOUT).map_err(|error| with_sources(&error))?;
        Ok(json!({
            "told": report.told,
            "wanted": report.wanted,
            "ms": milliseconds(started.elapsed()),
        }))
    }

    /// As the text that Prometheus scrapes.
    fn metrics(&self) -> Reply {
        let metrics = self.cluster.metrics().map_err(|error| error.to_string())?;
        let name = self.cluster.name().to_string();
        Ok(json!({ "text": metrics.text(&[("member", &name)]) }))
    }

    /// Who shares this member's view, as far as it has heard.
    fn agreement(&self) -> Reply {
        let told = self.cluster.agreement().map_err(|error| with_sources(&error))?;
        let names = |names: &[MemberName]| -> Vec<String> {
            names.iter().map(ToString::to_string).collect()
        };
        let differing = told.differing.iter().map(|difference| {
            json!({"node": difference.member.to_string(), "in_members": difference.in_members})
        });
        Ok(json!({
            "agreeing": names(&told.agreeing),
            "behind": names(&told.behind),
            "differing": differing.collect::<Vec<_>>(),
            "unheard": names(&told.unheard),
        }))
    }

    fn stats(&self) -> Reply {
        let stats = self.cluster.stats().map_err(|error| with_sources(&error))?;
        Ok(json!({
            "membership": membership(&stats),
            "transport": transport(&stats),
            "process": process::usage(),
        }))
    }
}

fn failed(failures: slice::Iter<'_, JoinFailure>) -> Vec<Value> {
    failures
        .map(|JoinFailure { address, reason, .. }| {
            json!({"addr": address, "error": with_sources(reason)})
        })
        .collect()
}

fn membership(stats: &Stats) -> Value {
    let membership = &stats.membership;
    let counters: Map<String, Value> =
        membership.counters.entries().map(|(name, count)| (name.into(), count.into())).collect();
    json!({
        "members": {
            "alive": membership.alive,
            "suspect": membership.suspect,
            "dead": membership.dead,
            "left": membership.left,
        },
        "suspicions": membership.counters.suspicions,
        "refutes": membership.counters.refutes,
        "health": membership.health,
        "queue": membership.queued_updates,
        "user_queue": membership.queued_broadcasts,
        "streams": membership.streams,
        "counters": counters,
    })
}

fn transport(stats: &Stats) -> Value {
    let transport = &stats.transport;
    let refusals: Map<String, Value> = transport
        .refusals
        .iter()
        .map(|(refusal, count)| (refusal.name().into(), (*count).into()))
        .collect();
    json!({
        "connections": {
            "held": transport.connections,
            "handshaking": transport.handshakes,
        },
        "handshakes": {
            "dialed": transport.dials,
            "failed": transport.dials_failed,
            "accepted": transport.accepted,
            "confirmed": transport.confirmed,
        },
        "bytes": {"in": transport.bytes_received, "out": transport.bytes_sent},
        "udp": {"in": transport.udp_received, "out": transport.udp_sent},
        "packets": {
            "in": transport.packets_received,
            "in_by_stream": transport.packets_received_by_stream,
            "out": transport.packets_sent,
            "out_by_stream": transport.packets_sent_by_stream,
        },
        "refusals": refusals,
        "drops": {
            "dial_queue": transport.dial_queue_drops,
            "send_queue": transport.send_queue_drops,
            "endpoint_buffer": transport.endpoint_buffer_drops,
            "bad_packet_streams": transport.bad_packet_streams,
            "reserved_first_bytes": transport.reserved_first_bytes,
            "bad_retry_tokens": transport.bad_retry_tokens,
        },
        "streams": {"open": stats.membership.streams},
        "stray": transport.stray_datagrams,
        "resets": {"sent": transport.resets_sent, "received": transport.resets_received},
    })
}

#[expect(clippy::disallowed_methods, reason = "replies say how long a command took")]
fn monotonic_clock() -> Instant {
    Instant::now()
}

fn done<E: std::error::Error + 'static>(result: Result<(), E>) -> Reply {
    result.map(|()| json!({})).map_err(|error| with_sources(&error))
}

fn changed(
    key: Result<SecretKey, String>,
    change: impl FnOnce(&SecretKey) -> Result<(), KeysError>,
) -> Reply {
    done(change(&key?))
}

fn no_arguments(rest: &str) -> Result<(), String> {
    if rest.is_empty() { Ok(()) } else { Err(format!("{rest:?} is too much: no arguments here")) }
}

fn usage(form: &str) -> String {
    format!("malformed command: write {form}")
}

fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    text.split_once(char::is_whitespace)
        .map_or((text, ""), |(word, rest)| (word, rest.trim_start()))
}
