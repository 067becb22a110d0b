//! What a search has come to think of the candidate widths.

/// How likely candidate widths are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alpha {
    /// Candidate widths of each unit, ascending.
    pub candidates: Vec<Vec<usize>>,
    /// Their probabilities, each unit's summing to one.
    pub probabilities: Vec<Vec<f64>>,
}
