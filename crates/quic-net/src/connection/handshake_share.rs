//! How much a peer may send for its handshake.
//!
//! quiche keeps what arrives of a handshake, and each byte may cost thirty where it is told in
//! pieces with gaps between. Nobody has proved anything yet, so that one handshake has a bound, and
//! all that peers have begun have one together.

use crate::endpoint_context::EndpointContext;
use crate::limits::Limits;

/// What the peer has sent of one handshake.
#[derive(Debug, Default)]
pub(crate) struct HandshakeShare {
    /// Bytes of UDP payload.
    sent: usize,
    /// Of these, what the endpoint's total counts.
    counted: usize,
    is_exceeded: bool,
}

impl HandshakeShare {
    /// The peer has sent so much more, in a handshake that we began (`dialed`) or that it began,
    /// from an address that `is_validated` or may be forged. Whether that may be taken.
    pub(crate) fn admit(
        &mut self,
        context: &mut EndpointContext,
        bytes: usize,
        dialed: bool,
        is_validated: bool,
    ) -> bool {
        let sent = self.sent.saturating_add(bytes);
        let most = if is_validated { LONGEST } else { LONGEST_UNVALIDATED };
        let is_crowded = !dialed
            && sent > CERTAIN
            && context.handshake_bytes() + bytes > most_of_all(context.limits());
        if self.is_exceeded || sent > most || is_crowded {
            context.count().handshakes_too_long += u64::from(!self.is_exceeded);
            self.is_exceeded = true;
            return false;
        }
        self.sent = sent;
        if !dialed {
            self.counted += bytes;
            context.count_handshake(bytes);
        }
        true
    }

    /// Whether the peer has sent more than it may. Its handshake must end.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.is_exceeded
    }

    /// The handshake is over.
    pub(crate) fn release(&mut self, context: &mut EndpointContext) {
        context.release_handshake(std::mem::take(&mut self.counted));
    }
}

/// What all handshakes that peers began may bring together, in bytes, beside what is certain.
fn most_of_all(limits: &Limits) -> usize {
    limits.half_open.saturating_mul(CERTAIN)
}

/// The most bytes that a peer may send for its handshake. A chain of certificates takes some 4 KiB,
/// and is sent a few times on a bad path.
const LONGEST: usize = 32 << 10;
/// The same until its address is validated: the first flight takes 1,200 to 2,400 bytes.
const LONGEST_UNVALIDATED: usize = 16 << 10;
/// What a handshake may bring however much the others bring: a first flight, sent twice, and a
/// chain of certificates.
const CERTAIN: usize = 8 << 10;
