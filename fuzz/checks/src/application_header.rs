//! The header of an application's stream or datagram, as it arrives in pieces.

use swim_quic::fuzzing::{ApplicationHeader, read_application_header, write_application_header};

/// However much of it has arrived, it means the same: not yet, then the same name, or never.
pub fn check(input: &[u8]) -> bool {
    let whole = read_application_header(input);
    let mut former = ApplicationHeader::Cut;
    for length in 0..=input.len().min(300) {
        let piece = &input[..length];
        let reading = read_application_header(piece);
        match (former, reading) {
            (ApplicationHeader::Cut, _) => {}
            (ApplicationHeader::Refused, reading) => {
                assert_eq!(reading, ApplicationHeader::Refused, "{length} bytes");
            }
            (ApplicationHeader::Whole(name, _), ApplicationHeader::Whole(now, rest)) => {
                assert_eq!(name, now, "{length} bytes");
                assert!(piece.ends_with(rest), "{length} bytes");
            }
            (ApplicationHeader::Whole(..), reading) => panic!("{reading:?} at {length} bytes"),
        }
        former = reading;
    }
    let ApplicationHeader::Whole(name, rest) = whole else {
        return false;
    };
    let written = write_application_header(name).expect("it has a name that can be written");
    assert_eq!([&written, rest].concat(), input);
    true
}
