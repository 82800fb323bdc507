//! What a full gossip packet costs the codec: 1,400 bytes of alive messages in one compound.

#![expect(clippy::unwrap_used, reason = "a benchmark of broken code must stop")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use swim_core::wire::schema::{Alive, Message};
use swim_core::wire::{Keyring, PacketDecoder, WireSettings, compound, encode_packet};

/// Go's default packet budget.
const BUDGET: usize = 1_400;

const NONCE: [u8; 12] = [7; 12];

fn codec(criterion: &mut Criterion) {
    let names: Vec<String> = (0..64).map(|n| format!("member-{n:04}")).collect();
    let alives: Vec<Message<'_>> = names.iter().map(|name| Message::Alive(alive(name))).collect();
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for message in &alives {
        let part = message.to_vec();
        let used: usize = parts.iter().map(|part| 2 + part.len()).sum();
        if 2 + used + 2 + part.len() > BUDGET {
            break;
        }
        parts.push(part);
    }
    let message = compound::join(&parts).unwrap().remove(0);

    let plain = WireSettings { compression: false, ..WireSettings::default() };
    let sealed =
        WireSettings { keyring: Keyring::with_primary(&[1; 16]).unwrap(), ..plain.clone() };
    let cases = [
        ("plain", plain, false),
        ("checksum", WireSettings { compression: false, ..WireSettings::default() }, true),
        ("compressed", WireSettings::default(), true),
        ("encrypted", sealed, true),
    ];
    let mut group = criterion.benchmark_group(format!("decode/{} alives", parts.len()));
    group.throughput(Throughput::Elements(u64::try_from(parts.len()).unwrap()));
    for (name, layers, checksum) in &cases {
        let packet = encode_packet(&message, layers, *checksum, NONCE);
        let mut decoder = PacketDecoder::default();
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                let packet = decoder.decode(black_box(&packet), layers).unwrap();
                black_box(packet.messages.len())
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group(format!("encode/{} alives", parts.len()));
    group.throughput(Throughput::Elements(u64::try_from(parts.len()).unwrap()));
    let mut out = Vec::with_capacity(BUDGET);
    group.bench_function("messages", |bencher| {
        bencher.iter(|| {
            out.clear();
            for message in alives.iter().take(parts.len()) {
                black_box(message).encode(&mut out);
            }
            black_box(out.len())
        });
    });
    for (name, layers, checksum) in &cases {
        group.bench_function(format!("seal {name}"), |bencher| {
            bencher
                .iter(|| black_box(encode_packet(black_box(&message), layers, *checksum, NONCE)));
        });
    }
    group.finish();
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
