//! What a model costs against another one.

/// A compressed model beside the one it was made from, on a part of a picture.
#[derive(Clone, Debug)]
pub(super) struct ModelComparison {
    /// The model it was made from, and itself.
    pub(super) models: [String; 2],
    pub(super) seconds: [f64; 2],
    /// In dB.
    pub(super) loop_psnr: [f64; 2],
}
