//! LZW as Go's `compress/lzw` reads it, with a bound on the output.
//!
//! Streams are accepted with and without an initial clear code: old Go releases write none.

use std::fmt;

use thiserror::Error;
use weezl::{BitOrder, LzwStatus, decode::Decoder};

/// Output is grown by at least this much at a time.
const CHUNK: usize = 4_096;
/// And by at most this much, so that little more is held than what comes out.
const LARGEST_CHUNK: usize = 1 << 20;

/// Decompresses one stream after the other with one table of codes, some 28 KiB, which is
/// allocated when it is first needed.
#[derive(Default)]
pub(super) struct LzwDecoder {
    decoder: Option<Decoder>,
    /// Whether everything is refused.
    is_barred: bool,
    /// Bytes that came out, whether or not they were taken.
    decompressed: u64,
}

impl fmt::Debug for LzwDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LzwDecoder").finish_non_exhaustive()
    }
}

impl LzwDecoder {
    pub(super) fn set_may_decompress(&mut self, may: bool) {
        self.is_barred = !may;
    }

    pub(super) fn take_decompressed(&mut self) -> u64 {
        std::mem::take(&mut self.decompressed)
    }

    /// Appends to `out` what the stream expands to, `limit` bytes at most.
    pub(super) fn decompress(
        &mut self,
        compressed: &[u8],
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), DecompressError> {
        if self.is_barred {
            return Err(DecompressError::NoShareLeft);
        }
        let decoder = self.decoder.get_or_insert_with(|| Decoder::new(BitOrder::Lsb, 8));
        decoder.reset();
        let mut input = compressed;
        let start = out.len();
        let mut filled = start;
        loop {
            // One byte beyond the limit tells "exactly at the limit" from "more to come".
            let room =
                (start + limit + 1 - filled).min((filled - start).clamp(CHUNK, LARGEST_CHUNK));
            out.reserve_exact(room);
            out.resize(filled + room, 0);
            let step = decoder.decode_bytes(input, out.get_mut(filled..).unwrap_or_default());
            input = input.get(step.consumed_in..).unwrap_or_default();
            filled += step.consumed_out;
            self.decompressed += u64::try_from(step.consumed_out).unwrap_or(u64::MAX);
            out.truncate(filled);
            if filled - start > limit {
                return Err(DecompressError::TooLarge { limit });
            }
            match step.status {
                Err(weezl::LzwError::InvalidCode) => return Err(DecompressError::InvalidCode),
                Ok(LzwStatus::Done) => return Ok(()),
                Ok(LzwStatus::NoProgress) => return Err(DecompressError::Truncated),
                Ok(LzwStatus::Ok) => {}
            }
        }
    }
}

/// Why compressed bytes are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecompressError {
    /// An algorithm other than LZW.
    #[error("unknown compression algorithm {0}")]
    Algorithm(u8),
    /// A code that the table does not hold yet.
    #[error("invalid LZW code")]
    InvalidCode,
    /// The stream ends before its end code.
    #[error("LZW stream ends before its end code")]
    Truncated,
    /// It expands to more than is allowed here.
    #[error("decompresses to more than {limit} bytes")]
    TooLarge {
        /// The most that is allowed, in bytes.
        limit: usize,
    },
    /// The peer has had as much decompressed lately as it may.
    #[error("the peer has had too much decompressed lately")]
    NoShareLeft,
}
