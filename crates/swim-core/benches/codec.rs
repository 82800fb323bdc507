//! What a full gossip packet costs the codec: 1,400 bytes of alive messages in one compound.

#![expect(clippy::unwrap_used, reason = "a benchmark of broken code must stop")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Bencher, Criterion, Throughput, criterion_group, criterion_main};
use rustix::time::{ClockId, clock_gettime};
use swim_core::wire::schema::{Alive, Message};
use swim_core::wire::{
    Keyring, PacketBuilder, PacketDecoder, WireSettings, compound, encode_packet,
};

/// Go's default packet budget.
const BUDGET: usize = 1_400;

const NONCE: [u8; 12] = [7; 12];

fn codec(criterion: &mut Criterion) {
    let names: Vec<String> = (0..64).map(|n| format!("member-{n:04}")).collect();
    let alives: Vec<Message<'_>> = names.iter().map(|name| Message::Alive(alive(name))).collect();
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for message in &alives {
        let part = message.to_vec();
        let used: usize = parts.iter().map(|part| compound::PART_HEADER + part.len()).sum();
        if compound::FIXED_HEADER + used + compound::PART_HEADER + part.len() > BUDGET {
            break;
        }
        parts.push(part);
    }
    let message = compound::join(&parts).unwrap().remove(0);

    let plain = WireSettings { compression: false, ..WireSettings::default() };
    let encrypted =
        WireSettings { keyring: Keyring::with_primary(&[1; 16]).unwrap(), ..plain.clone() };
    let cases = [
        ("plain", plain.clone(), false),
        ("checksum", plain, true),
        ("compressed", WireSettings::default(), true),
        ("encrypted", encrypted, true),
    ];
    let mut group = criterion.benchmark_group(format!("decode/{} alives", parts.len()));
    group.throughput(Throughput::Elements(u64::try_from(parts.len()).unwrap()));
    for (name, settings, checksum) in &cases {
        let packet = encode_packet(&message, settings, *checksum, NONCE);
        let mut decoder = PacketDecoder::default();
        group.bench_function(*name, |bencher| {
            processor_time(bencher, || {
                let packet = decoder.decode(black_box(&packet), settings).unwrap();
                packet.messages.len()
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group(format!("encode/{} alives", parts.len()));
    group.throughput(Throughput::Elements(u64::try_from(parts.len()).unwrap()));
    let mut out = Vec::with_capacity(BUDGET);
    group.bench_function("messages", |bencher| {
        processor_time(bencher, || {
            out.clear();
            for message in alives.iter().take(parts.len()) {
                black_box(message).encode(&mut out);
            }
            out.len()
        });
    });
    for (name, settings, checksum) in &cases {
        group.bench_function(format!("packet {name}"), |bencher| {
            processor_time(bencher, || {
                let mut packet = PacketBuilder::new(settings, *checksum, BUDGET);
                for part in black_box(&parts) {
                    packet.push_encoded(part).unwrap();
                }
                packet.finish(settings, NONCE).len()
            });
        });
    }
    group.finish();
}

/// Measures the time that this thread has on a processor: a busy machine does not count.
fn processor_time(bencher: &mut Bencher<'_>, mut run: impl FnMut() -> usize) {
    bencher.iter_custom(|iterations| {
        let begin = now();
        for _ in 0..iterations {
            black_box(run());
        }
        now() - begin
    });
}

fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

fn alive(name: &str) -> Alive<'_> {
    Alive {
        incarnation: 3,
        node: name.as_bytes(),
        addr: Some(&[10, 0, 0, 7]),
        port: 7_946,
        meta: None,
        vsn: Some(&[1, 5, 2, 0, 0, 0]),
    }
}

criterion_group!(benches, codec);
criterion_main!(benches);
