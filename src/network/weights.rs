//! Named weights in host memory, between files and devices.

use std::collections::BTreeMap;

/// One weight: its shape and its values in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// Values.
    pub values: Vec<f32>,
}

/// Weights by name, in the names of the published code (`head.weight`, `up_blocks.0.3.body.0.bias` …).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights(pub BTreeMap<String, Weight>);

impl Weights {
    /// The weights whose names begin with `prefix`, without it.
    pub fn under(&self, prefix: &str) -> Self {
        Self(
            self.0
                .iter()
                .filter_map(|(name, weight)| Some((name.strip_prefix(prefix)?.to_owned(), weight.clone())))
                .collect(),
        )
    }

    /// Adds all of `other` under `prefix`.
    pub fn extend_under(&mut self, prefix: &str, other: Self) {
        self.0.extend(other.0.into_iter().map(|(name, weight)| (format!("{prefix}{name}"), weight)));
    }
}
