use super::*;
use crate::wire::schema::{Ack, Alive, NodeState, Ping, PushPullHeader, UserHeader};
use crate::wire::wire_limits::MAX_VALUE_NESTING;

/// Our own short form of a map with one unknown key holding `value`, and a known one after it.
fn with_unknown(value: &[u8]) -> Vec<u8> {
    [b"\x82\xa1X", value, b"\xa5SeqNo\x2a"].concat()
}

fn seq_no(bytes: &[u8]) -> Result<u32, DecodeErrorKind> {
    let mut scratch = Vec::new();
    Ping::decode(bytes, &mut scratch).map(|(ping, _)| ping.seq_no).map_err(|error| error.kind)
}

#[test]
fn unknown_values_of_every_kind_are_passed_over() {
    let values: [&[u8]; 24] = [
        b"\xc0",
        b"\xc2",
        b"\xc3",
        b"\x7f",
        b"\xe0",
        b"\xcc\xff",
        b"\xcd\xff\xff",
        b"\xce\xff\xff\xff\xff",
        b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xd0\x80",
        b"\xd1\x80\x00",
        b"\xd2\x80\x00\x00\x00",
        b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00",
        b"\xca\x3f\x80\x00\x00",
        b"\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00",
        b"\xc4\x02ab",
        b"\xd9\x02ab",
        b"\xdb\x00\x00\x00\x02ab",
        b"\x93\x01\x92\x02\x03\xa0",
        b"\x82\xa1a\x90\xa1b\x80",
        b"\xdc\x00\x01\xdd\x00\x00\x00\x01\xde\x00\x01\x01\xdf\x00\x00\x00\x00",
        b"\xd4\x01a",
        b"\xc7\x03\x05abc",
        b"\xd6\xff\x00\x00\x00\x01",
    ];
    for value in values {
        assert_eq!(seq_no(&with_unknown(value)), Ok(42), "{value:02x?}");
    }
}

#[test]
fn values_that_go_refuses_are_refused() {
    let refused = |value: &[u8]| seq_no(&with_unknown(value)).unwrap_err();
    assert!(matches!(refused(b"\xc1"), DecodeErrorKind::WrongType { found: 0xc1, .. }));
    assert_eq!(refused(b"\xc7\x03\xffabc"), DecodeErrorKind::TimestampLength);
    assert!(matches!(seq_no(b"\x81\xa5SeqNo\xc3"), Err(DecodeErrorKind::WrongType { .. })));
    assert_eq!(
        seq_no(b"\x81\xa5SeqNo\xd3\xff\xff\xff\xff\xff\xff\xff\xff"),
        Err(DecodeErrorKind::Negative)
    );
    assert_eq!(seq_no(b"\xa0"), Err(DecodeErrorKind::NotAStruct));
    assert_eq!(seq_no(b"\x81\xa0\x01"), Err(DecodeErrorKind::EmptyKey));
    assert_eq!(seq_no(b"\x81\xc0\x01"), Err(DecodeErrorKind::EmptyKey));
    assert_eq!(seq_no(b"\x81\x91\xcc\xff\x01"), Ok(0));
    assert_eq!(seq_no(b"\x81\xa4Node\x80"), Err(wrong_type(6, "a string", 0x80).kind));
}

#[test]
fn nesting_is_followed_to_a_bound_without_recursion() {
    let nested = |levels: usize| with_unknown(&[vec![0x91; levels], vec![0xc0]].concat());
    assert_eq!(seq_no(&nested(MAX_VALUE_NESTING - 1)), Ok(42));
    assert_eq!(seq_no(&nested(MAX_VALUE_NESTING)), Err(DecodeErrorKind::TooDeep));
    assert_eq!(seq_no(&nested(1_000_000)), Err(DecodeErrorKind::TooDeep));
}

#[test]
fn one_message_holds_a_bounded_number_of_values() {
    let array = |count: u32| {
        let head = [&[0xdd], count.to_be_bytes().as_slice()].concat();
        with_unknown(&[head, vec![0; usize::try_from(count).unwrap()]].concat())
    };
    // Beside them there are the array itself, the map, and the rest of what it holds.
    let most = (0..100).take_while(|count| seq_no(&array(*count)) == Ok(42)).count();
    assert!((MAX_VALUES - 8..MAX_VALUES).contains(&most), "{most}");
    assert_eq!(seq_no(&array(100)), Err(DecodeErrorKind::TooManyValues));
    assert_eq!(seq_no(&array(70_000)), Err(DecodeErrorKind::TooManyValues));
}

#[test]
fn announced_lengths_allocate_nothing() {
    let cases: [&[u8]; 5] = [
        b"\xdf\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\x81\xa4Node\xdb\xff\xff\xff\xff",
        b"\x81\xa4Node\xdd\xff\xff\xff\xff",
        b"\x81\xaaSourceAddr\xdf\xff\xff\xff\xff",
    ];
    for case in cases {
        assert!(matches!(seq_no(case), Err(DecodeErrorKind::Truncated { .. })), "{case:02x?}");
    }
}

#[test]
fn missing_bytes_are_counted_as_far_as_they_are_known() {
    let whole = b"\x82\xa4Node\xa3bob\xa5SeqNo\xce\x00\x00\x00\x07";
    for end in 0..whole.len() {
        match seq_no(&whole[..end]) {
            Err(DecodeErrorKind::Truncated { missing }) => {
                assert!(missing >= 1 && missing <= whole.len() - end, "at {end}: {missing}");
            }
            other => panic!("at {end}: {other:?}"),
        }
    }
}

#[test]
fn bytes_may_be_arrays_or_maps_of_numbers() {
    let small = b"\x81\xa4Addr\x94\x0a\x00\x00\x07";
    let large = b"\x81\xa4Addr\x94\xcc\xc0\xcd\x00\xa8\x00\x07";
    let pairs = b"\x81\xa4Addr\x82\x0a\x00\xcc\xff\xc0";
    let empty = b"\x81\xa4Addr\x90";
    let cases: [(&[u8], &[u8]); 4] = [
        (small, &[10, 0, 0, 7]),
        (large, &[192, 168, 0, 7]),
        (pairs, &[10, 0, 255, 0]),
        (empty, &[]),
    ];
    for (bytes, expected) in cases {
        let mut scratch = Vec::new();
        let (alive, consumed) = Alive::decode(bytes, &mut scratch).unwrap();
        assert_eq!(alive.addr, Some(expected));
        assert_eq!(consumed, bytes.len());
    }
    let too_large = b"\x81\xa4Addr\x91\xcd\x01\x00";
    let refused = Alive::decode(too_large, &mut Vec::new()).unwrap_err();
    assert_eq!(refused, DecodeError { offset: 7, kind: DecodeErrorKind::OutOfRange });
}

#[test]
fn scattered_fields_leave_their_neighbours_alone() {
    let bytes =
        b"\x84\xa4Node\x92\xcc\xff\x61\xa1X\x92\xcc\xff\x91\x00\xa4Meta\x91\xcc\x80\xa4Port\x07!";
    let mut scratch = Vec::new();
    let (alive, consumed) = Alive::decode(bytes, &mut scratch).unwrap();
    assert_eq!(alive.node, [0xff, b'a']);
    assert_eq!(alive.meta, Some([0x80].as_slice()));
    assert_eq!(alive.port, 7);
    assert_eq!(consumed, bytes.len() - 1);
}

#[test]
fn positional_form_is_in_go_order_and_may_be_short_or_long() {
    let mut scratch = Vec::new();
    let state = b"\x97\xa3bob\xa4\x0a\x00\x00\x02\x09\xc0\x05\x03\xa6\x01\x05\x02\x00\x00\x00";
    let (node, _) = NodeState::decode(state, &mut scratch).unwrap();
    assert_eq!((node.name, node.port, node.meta), (b"bob".as_slice(), 9, None));
    assert_eq!((node.incarnation, node.state), (5, 3));
    assert_eq!(seq_no(b"\x91\x2a"), Ok(42));
    assert_eq!(seq_no(b"\x97\x2a\xa0\xc0\x00\xa0\x91\x01\x80"), Ok(42));
    assert_eq!(seq_no(b"\x90"), Ok(0));
}

#[test]
fn go_ints_take_the_signed_family_and_may_be_negative() {
    let cases: [(i64, &[u8]); 7] = [
        (0, b"\x00"),
        (127, b"\x7f"),
        (128, b"\xd1\x00\x80"),
        (32_768, b"\xd2\x00\x00\x80\x00"),
        (1 << 31, b"\xd3\x00\x00\x00\x00\x80\x00\x00\x00"),
        (-1, b"\xff"),
        (-33, b"\xd0\xdf"),
    ];
    for (user_msg_len, expected) in cases {
        let mut out = Vec::new();
        UserHeader { user_msg_len }.encode(&mut out);
        assert_eq!(out.strip_prefix(b"\x81\xaaUserMsgLen"), Some(expected));
        assert_eq!(UserHeader::decode(&out).unwrap().0.user_msg_len, user_msg_len);
    }
    let unsigned = b"\x81\xa5Nodes\xcf\xff\xff\xff\xff\xff\xff\xff\xff";
    assert_eq!(PushPullHeader::decode(unsigned).unwrap().0.nodes, -1);
}

#[test]
fn raw_heads_grow_as_in_go() {
    for (length, head) in [
        (31, b"\xbf".as_slice()),
        (32, b"\xda\x00\x20"),
        (256, b"\xda\x01\x00"),
        (65_535, b"\xda\xff\xff"),
        (65_536, b"\xdb\x00\x01\x00\x00"),
    ] {
        let payload = vec![7; length];
        let mut out = Vec::new();
        Ack { seq_no: 1, payload: Some(&payload), ..Ack::default() }.encode(&mut out);
        assert!(out.strip_prefix(b"\x02\x82\xa7Payload").unwrap().starts_with(head));
        let mut scratch = Vec::new();
        assert_eq!(
            Ack::decode(&out[1..], &mut scratch).unwrap().0.payload,
            Some(payload.as_slice())
        );
    }
}
