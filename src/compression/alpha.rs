//! What a search has come to think of the candidate widths.

/// How likely candidate widths are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alpha {
    /// Candidate widths of each prunable layer, ascending.
    pub candidates: Vec<Vec<usize>>,
    /// Their probabilities, each prunable layer's summing to one.
    pub probabilities: Vec<Vec<f64>>,
}
