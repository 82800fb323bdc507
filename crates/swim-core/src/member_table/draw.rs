//! Drawing members at random.

use crate::member_index::MemberIndex;
use crate::rng::Rng;

/// At most `count` distinct ones of all that pass, drawn at random as Go does: small clusters are
/// shuffled whole, large ones drawn from up to three times their size.
pub(super) fn draw(
    all: &[MemberIndex],
    count: usize,
    rng: &mut Rng,
    passes: impl Fn(MemberIndex) -> bool,
) -> Vec<MemberIndex> {
    let mut drawn = Vec::with_capacity(count.min(all.len()));
    if all.len() < 3 * count {
        let mut order = all.to_vec();
        rng.shuffle(&mut order);
        drawn.extend(order.into_iter().filter(|index| passes(*index)));
        drawn.truncate(count);
        return drawn;
    }
    for _ in 0..3 * all.len() {
        if drawn.len() >= count {
            break;
        }
        let index = all[rng.below(all.len())];
        if !drawn.contains(&index) && passes(index) {
            drawn.push(index);
        }
    }
    drawn
}
