//! Cutting a length into tiles that share a border.

/// Fewest positions that a tile gives along an axis: with fewer, nearly all work would be on borders.
const MIN_CORE: usize = 48;

/// One tile along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// First position it gives.
    pub(crate) start: usize,
    /// Positions it gives.
    pub(crate) length: usize,
    /// First position it sees; negative before the picture, where its border is repeated.
    pub(crate) seen_start: isize,
    /// Positions it sees; the same for all tiles of an axis, so that devices tune for one shape.
    pub(crate) seen_length: usize,
}

/// Cuts `total` into tiles that begin at multiples of `align` and see at most about `side` positions, `halo` of them
/// (a multiple of `align`) on each side where there is picture; more than `side` if it leaves next to nothing between
/// the borders. `total` must be a multiple of `align`.
pub(crate) fn cut(total: usize, side: usize, halo: usize, align: usize) -> Vec<Span> {
    debug_assert!(total.is_multiple_of(align) && halo.is_multiple_of(align), "whole cells");
    if total <= side.max(align) {
        return vec![Span { start: 0, length: total, seen_start: 0, seen_length: total }];
    }
    let core = side.saturating_sub(2 * halo).max(MIN_CORE.next_multiple_of(align)) / align * align;
    let count = total.div_ceil(core);
    let core = total.div_ceil(count).next_multiple_of(align);
    let seen_length = (core + 2 * halo).min(total);
    (0..total)
        .step_by(core)
        .map(|start| Span {
            start,
            length: core.min(total - start),
            seen_start: start.saturating_sub(halo).min(total - seen_length) as isize,
            seen_length,
        })
        .collect()
}

/// Cuts `total` into tiles of at most `side` positions that see `halo` more on both sides, beyond the border as well.
pub(crate) fn cut_beyond(total: usize, side: usize, halo: usize) -> Vec<Span> {
    (0..total)
        .step_by(side)
        .map(|start| {
            let length = side.min(total - start);
            Span { start, length, seen_start: start as isize - halo as isize, seen_length: length + 2 * halo }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn tiles_cover_without_gap_and_see_their_border(cells in 1..300_usize, side in 1..600_usize, halo in 0..6_usize) {
            let (align, halo) = (8, halo * 8);
            let total = cells * align;
            let spans = cut(total, side, halo, align);
            let mut next = 0;
            for span in &spans {
                prop_assert_eq!(span.start, next);
                prop_assert!(span.length > 0);
                next += span.length;
                prop_assert_eq!(span.seen_length, spans[0].seen_length);
                let seen_start = usize::try_from(span.seen_start).unwrap();
                prop_assert!(seen_start.is_multiple_of(align));
                prop_assert!(seen_start + halo <= span.start || seen_start == 0);
                let end = seen_start + span.seen_length;
                prop_assert!(end >= span.start + span.length + halo || end == total);
                prop_assert!(end <= total);
            }
            prop_assert_eq!(next, total);
        }
    }
}
