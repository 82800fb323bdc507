//! What a full gossip packet costs the codec: 1,400 bytes of alive messages in one compound. And
//! what the worst inputs cost that a peer could send.

#![expect(clippy::unwrap_used, reason = "a benchmark of broken code must stop")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Bencher, Criterion, Throughput, criterion_group, criterion_main};
use rustix::time::{ClockId, clock_gettime};
use swim_core::wire::compress::compress_message;
use swim_core::wire::schema::{Alive, Message};
use swim_core::wire::{
    Keyring, PacketBuilder, PacketDecoder, Side, StreamDecoder, WireSettings, compound,
    encode_packet, encode_user,
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

/// The inputs that cost most for their length, as a hostile peer would send them.
fn hostile(criterion: &mut Criterion) {
    let settings = WireSettings::default();
    let mut group = criterion.benchmark_group("hostile");
    group.sample_size(10);

    // Every value is read again with each byte that arrives after it, up to the next one.
    let mut long_values = vec![0, 0xDE, 0, 31];
    for _ in 0..31 {
        long_values.extend([0xA1, b'x', 0xC5, 0x0C, 0]);
        long_values.extend([7; 3_072]);
    }
    let mut states = vec![6, 0x83, 0xA5];
    states.extend(b"Nodes");
    states.extend([0xCD, 0x03, 0xE8, 0xAC]);
    states.extend(b"UserStateLen");
    states.extend([0, 0xA4]);
    states.extend(b"Join");
    states.push(0xC2);
    for _ in 0..1_000 {
        states.extend([0xDE, 0, 31]);
        states.extend([0xA1, b'x', 7].repeat(31));
    }
    for (name, bytes) in [("a map of 31 long values", &long_values), ("1,000 short maps", &states)]
    {
        group.bench_function(format!("{name}, {} bytes, byte by byte", bytes.len()), |bencher| {
            processor_time(bencher, || {
                let mut decoder = StreamDecoder::new(Side::Opener);
                let complete = bytes
                    .chunks(1)
                    .filter_map(|byte| decoder.push(byte, false, &settings).unwrap().map(|_| ()));
                let complete = complete.count();
                assert_eq!(complete, 1);
                complete
            });
        });
    }

    let nil_ping = vec![0, 0xC0];
    for (inner, outer) in [(255, 255), (255, 4)] {
        let pings = compound::join(&vec![nil_ping.clone(); inner]).unwrap().remove(0);
        let all = compound::join(&vec![pings; outer]).unwrap().remove(0);
        let packet = compress_message(&all);
        let mut decoder = PacketDecoder::default();
        let name = format!("{} nil pings, {} bytes", inner * outer, packet.len());
        group.bench_function(name, |bencher| {
            processor_time(bencher, || {
                decoder.decode(black_box(&packet), &settings).map_or(0, |it| it.messages.len())
            });
        });
    }

    let mut message = Vec::new();
    encode_user(&vec![0; 20 << 20], &mut message);
    let twice = [&message[..], &vec![0; (20 << 20) - 64]].concat();
    let stream = compress_message(&twice);
    let mut packets = PacketDecoder::default();
    group.bench_function(format!("40 MiB of {} bytes", stream.len()), |bencher| {
        processor_time(bencher, || {
            let mut decoder = StreamDecoder::new(Side::Opener);
            let decoded = decoder.push_with(black_box(&stream), true, &settings, &mut packets);
            usize::from(decoded.unwrap().is_some())
        });
    });
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

criterion_group!(benches, codec, hostile);
criterion_main!(benches);
