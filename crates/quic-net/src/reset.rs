//! Stateless resets: how a restarted endpoint tells its peers that their connections are gone.
//!
//! A reset is sent for a packet with a short header that belongs to no connection, at most
//! [`Limits::resets_per_second`](crate::Limits::resets_per_second). See RFC 9000 section 10.3.

use crate::connection_id::{ResetToken, Secrets};

/// A reset for the connection that `trigger_length` bytes addressed with `id`; `None` if the
/// packet was too short to be answered with a shorter one.
pub(crate) fn build(secrets: &mut Secrets, id: &[u8], trigger_length: usize) -> Option<Vec<u8>> {
    // Always shorter than its trigger, so that two endpoints without state fall silent.
    let longest = trigger_length.checked_sub(1)?.min(LONGEST);
    let spread = longest.checked_sub(SHORTEST)? + 1;
    let noise = secrets.draw();
    let length = SHORTEST + usize::from(noise[31]) % spread;
    let mut packet: Vec<u8> = noise[..30].iter().copied().cycle().take(length - 16).collect();
    packet[0] = 0b0100_0000 | (packet[0] & 0b0011_1111);
    packet.extend_from_slice(&secrets.reset_token(id));
    Some(packet)
}

/// The token that a packet would carry if it were a reset.
pub(crate) fn token_of(packet: &[u8]) -> Option<ResetToken> {
    if packet.len() < SHORTEST {
        return None;
    }
    packet.last_chunk::<16>().copied()
}

/// Five unpredictable bytes and the token: the least that RFC 9000 allows, in bytes.
const SHORTEST: usize = 21;
/// Resets look like packets of a small, varying size, in bytes.
const LONGEST: usize = 42;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reset_is_shorter_than_its_trigger_and_ends_with_the_token() {
        let mut secrets = Secrets::new(&[3; 32]).unwrap();
        for trigger in 0..60 {
            let token = secrets.reset_token(b"12345678");
            match build(&mut secrets, b"12345678", trigger) {
                Some(packet) => {
                    assert!(packet.len() < trigger && packet.len() >= SHORTEST);
                    assert_eq!(packet[0] >> 6, 1);
                    assert_eq!(token_of(&packet), Some(token));
                }
                None => assert!(trigger <= SHORTEST),
            }
        }
    }
}
