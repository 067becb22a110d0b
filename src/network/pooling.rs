//! What statistics of a picture are taken over.

/// What channel attention and other statistics average over.
///
/// The published networks average over their whole input. A picture cut into tiles then sees other statistics in each
/// tile, which no overlap repairs, and a large picture other statistics than the training patches had. Averaging over
/// a window of the size of the training patch makes both agree ("Revisiting Global Information Aggregation for Image
/// Restoration", ECCV 2022).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Over the whole input: the published networks.
    Global,
    /// Over a window of `window_cells` x `window_cells` cells of `cell` x `cell` input pixels, the window moving by
    /// whole cells and the attention interpolated between their centres. Inputs must be whole cells in size, and tiles
    /// must begin at whole cells for their results to agree.
    Local {
        /// Side of a cell in pixels of the low-resolution input.
        cell: usize,
        /// Side of the window in cells, odd.
        window_cells: usize,
    },
}

impl Pooling {
    /// Cell side of [`Pooling::local`], in pixels of the low-resolution input.
    pub const CELL: usize = 8;

    /// Local pooling with the odd number of cells nearest to the training patch (side in low-resolution pixels).
    pub fn local(training_patch: usize) -> Self {
        let cells = training_patch / Self::CELL;
        Self::Local { cell: Self::CELL, window_cells: (cells + 1 - cells % 2).max(3) }
    }

    /// What input sides must be a multiple of.
    pub fn alignment(self) -> usize {
        match self {
            Self::Global => 1,
            Self::Local { cell, .. } => cell,
        }
    }
}
