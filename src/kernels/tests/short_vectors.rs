//! The code for processors with shorter vectors than this one, or none. In a program of its own: the limit holds for all
//! threads.

mod common;

use common::{cases, check};
use dualres_kernels::slices;
use proptest::prelude::*;

#[test]
fn agrees_with_burn() {
    for (lanes, names) in [(8, &["AVX2", "NEON", "portable"][..]), (1, &["portable"])] {
        slices::limit_lanes(lanes);
        assert!(names.contains(&slices::instruction_set()), "{}", slices::instruction_set());
        let config = ProptestConfig { cases: 100, ..ProptestConfig::default() };
        proptest!(config, |(case in cases())| check(&case));
    }
}
