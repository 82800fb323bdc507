use proptest::prelude::*;

use super::*;

fn decompressed(compressed: &[u8]) -> Result<Vec<u8>, DecompressError> {
    let mut out = Vec::new();
    decompress(compressed, 1 << 20, &mut out).map(|()| out)
}

#[test]
fn known_answers_with_and_without_the_initial_clear() {
    let text = b"TOBEORNOTTOBEORTOBEORNOT";
    let today =
        b"\x00\xa9\x3c\x11\x52\xe4\x89\x14\x27\x4f\xa8\x08\x24\x68\x70\x61\xc1\x83\x09\x03\x02";
    let old = b"\x54\x9e\x08\x29\xf2\x44\x8a\x93\x27\x54\x04\x12\x34\xb8\xb0\xe0\xc1\x84\x01\x01";
    assert_eq!(compress(text), today);
    assert_eq!(decompressed(today).unwrap(), text);
    assert_eq!(decompressed(old).unwrap(), text);
    assert_eq!(decompressed(b"\x01\x01").unwrap(), b"");
    assert_eq!(compress(b""), b"\x00\x03\x02");
    assert_eq!(compress(b"testing"), b"\x00\xe9\x94\x99\x43\x27\x8d\x9b\x33\x01\x01");
}

#[test]
fn expansion_stops_at_the_limit_whatever_the_stream_holds() {
    let bomb = compress(&vec![0; 1 << 20]);
    assert!(bomb.len() < 3_000);
    let mut out = vec![1, 2, 3];
    assert_eq!(
        decompress(&bomb, 10_000, &mut out),
        Err(DecompressError::TooLarge { limit: 10_000 })
    );
    assert!(out.len() <= 3 + 10_001 && out.capacity() < 32_768);
    out.truncate(3);
    decompress(&bomb, 1 << 20, &mut out).unwrap();
    assert_eq!(out.len(), 3 + (1 << 20));
}

#[test]
fn only_algorithm_zero_is_known() {
    let compressed = compress(b"x");
    let message = Compress { algo: 1, buf: Some(&compressed) };
    let refused = decompress_message(&message, 10, &mut Vec::new());
    assert_eq!(refused, Err(DecompressError::Algorithm(1)));
    let nothing = Compress { algo: 0, buf: None };
    assert_eq!(decompress_message(&nothing, 10, &mut Vec::new()), Err(DecompressError::Truncated));
}

proptest! {
    #[test]
    fn giving_up_early_changes_nothing(
        bytes in prop::collection::vec(prop_oneof![Just(b'a'), 0..4_u8, any::<u8>()], 0..300)
    ) {
        let whole = compress_message(&bytes);
        let worth = whole.len() < bytes.len() && bytes.len() >= MIN_COMPRESSED;
        let shorter = if worth { whole } else { bytes.clone() };
        let mut buffer = [b"before".as_slice(), &bytes].concat();
        compress_if_shorter(&mut buffer, 6);
        prop_assert_eq!(buffer, [b"before".as_slice(), &shorter].concat());
    }

    #[test]
    fn whatever_is_compressed_comes_back(
        bytes in proptest::collection::vec(any::<u8>(), 0..9_000),
        alphabet in 1..=255u8,
    ) {
        let plain: Vec<u8> = bytes.iter().map(|byte| byte % alphabet).collect();
        prop_assert_eq!(decompressed(&compress(&plain)).unwrap(), plain);
    }

    #[test]
    fn any_bytes_end_in_output_or_refusal(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut out = Vec::new();
        let result = decompress(&bytes, 5_000, &mut out);
        prop_assert!(out.len() <= 5_001);
        prop_assert!(result.is_err() || out.len() <= 5_000);
    }
}
