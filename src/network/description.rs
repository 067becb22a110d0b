//! What a model says of itself.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    Architecture, ErrorCalibration, Pooling, Result,
    families::{dual_chain, dual_single},
    graph::Graph,
    original::{LayerWidth, OriginalWidths, layer_widths},
};

/// Licence of weights of which none is known.
pub const UNKNOWN_LICENCE: &str = "unknown";
/// Version of the file format that is written.
pub(crate) const FORMAT: u32 = 2;
/// Side in low-resolution pixels that attention windows have when a file does not say what it was trained on: the
/// training patch of the published networks is 384 pixels of the high resolution.
const PUBLISHED_PATCH: usize = 384;
/// Channels between the convolutions of the dual model that a network of others is given, as published.
const DUAL_WIDTH: usize = 16;
/// Most pixels on each side that tiles share: farther away a network sees little, and nearly all work would be on borders.
const MAX_HALO: usize = 64;

/// A measured quality, never without its rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// What was measured, such as `psnr_y`.
    pub name: String,
    /// Pictures it was measured on.
    pub set: String,
    /// The value.
    #[serde(serialize_with = "crate::digits::serialize")]
    pub value: f64,
    /// How it was measured.
    pub rule: String,
}

/// A dual model without its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DualSpec {
    /// Scale of the picture it takes, as a multiple of the primal network's input.
    pub from: usize,
    /// Scale of the picture it gives.
    pub to: usize,
    /// The network.
    pub network: Arc<Graph>,
}

/// What a model file says about its model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// Version of the file format.
    pub format: u32,
    /// Name, such as `x4`.
    pub name: String,
    /// One sentence on what it is for.
    #[serde(default)]
    pub purpose: String,
    /// Family of the network, such as `DRN`, or the kind of file it was read from.
    pub family: String,
    /// The primal network.
    pub network: Arc<Graph>,
    /// Its dual models, from the input's scale upwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub duals: Vec<DualSpec>,
    /// Whether the dual models were learned with other networks: they know how pictures are reduced, not this network.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub borrowed_duals: bool,
    /// Widths of the prunable layers before compression; absent for networks that were not compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_widths: Option<OriginalWidths>,
    /// Pixels of the input that tiles share on each side, where it was measured; else derived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halo: Option<usize>,
    /// Largest difference in gray levels between a picture that was run in parts and one run whole, where no border that
    /// parts share removes it: absent where parts give what the whole gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seam: Option<f32>,
    /// What was read from a foreign file or assumed about it: sample range, colour order, luma only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub import: Vec<String>,
    /// Lowest and highest sample value of the picture that goes in.
    pub pixel_range: [f32; 2],
    /// Side of the low-resolution training patch in pixels; decides the window of local pooling.
    pub training_patch: usize,
    /// Training data, settings and commands.
    #[serde(default, serialize_with = "crate::digits::serialize_notes")]
    pub training: serde_json::Value,
    /// Measured quality.
    #[serde(default)]
    pub metrics: Vec<Metric>,
    /// How to expect the error of its results; absent if nobody measured it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_calibration: Option<ErrorCalibration>,
    /// Licence of the weights.
    pub licence: String,
}

impl Description {
    /// A description of a network of which nothing else is known, without dual models.
    pub fn new(name: impl Into<String>, family: impl Into<String>, network: Graph) -> Self {
        Self {
            format: FORMAT,
            name: name.into(),
            purpose: String::new(),
            family: family.into(),
            training_patch: PUBLISHED_PATCH / network.scale().max(1),
            network: Arc::new(network),
            duals: Vec::new(),
            borrowed_duals: false,
            original_widths: None,
            halo: None,
            seam: None,
            import: Vec::new(),
            pixel_range: [0.0, 255.0],
            training: serde_json::Value::Null,
            metrics: Vec::new(),
            error_calibration: None,
            licence: UNKNOWN_LICENCE.into(),
        }
    }

    /// A DRN with its dual models, one a level.
    ///
    /// # Errors
    /// If the numbers describe no network.
    pub fn drn(name: impl Into<String>, architecture: &Architecture) -> Result<Self> {
        let mut description = Self::new(name, "DRN", architecture.graph()?);
        let full = Architecture::with_blocks(architecture.scale, architecture.n_feats, architecture.n_blocks.clone())?;
        description.original_widths = architecture.is_compressed().then_some(OriginalWidths::Ordered(full.widths));
        let duals = dual_chain(&description.pyramid(), architecture.n_feats)?;
        Ok(description.with_duals(duals))
    }

    /// The same with the dual model that networks of others are given: one that jumps the whole scale. None for networks
    /// that do not enlarge, and for scales that no dual model is known for.
    pub fn with_single_dual(mut self) -> Self {
        let scale = self.scale();
        self.duals = match dual_single(scale, DUAL_WIDTH) {
            Ok(graph) => vec![DualSpec { from: scale, to: 1, network: Arc::new(graph) }],
            Err(_) => Vec::new(),
        };
        self
    }

    /// The same with dual models for each step of its pyramid.
    pub(crate) fn with_duals(mut self, duals: Vec<Graph>) -> Self {
        let pyramid = self.pyramid();
        let spec = |(step, graph): (&[usize], Graph)| DualSpec { from: step[1], to: step[0], network: Arc::new(graph) };
        self.duals = pyramid.windows(2).zip(duals).map(spec).collect();
        self
    }

    /// Factor between the sides of input and result.
    pub fn scale(&self) -> usize {
        self.network.scale()
    }

    /// Scales of the pictures that training compares with; see [`Graph::pyramid`].
    pub fn pyramid(&self) -> Vec<usize> {
        self.network.pyramid()
    }

    /// The local pooling that fits the training of this network; global for one that takes no statistics.
    pub fn local_pooling(&self) -> Pooling {
        if self.network.reach().global { Pooling::local(self.training_patch) } else { Pooling::Global }
    }

    /// What sides of tiles have to be a multiple of with a pooling.
    pub fn alignment(&self, pooling: Pooling) -> usize {
        let (a, b) = (self.network.alignment(), pooling.alignment());
        (1..=b).map(|times| a * times).find(|both| both.is_multiple_of(b)).unwrap_or(a * b)
    }

    /// Pixels of the input that tiles share on each side.
    pub fn halo(&self) -> usize {
        self.halo.unwrap_or_else(|| {
            let reach = self.network.reach();
            // Attention over a window sees farther than its convolutions, a little.
            if reach.global { 32 } else { reach.pixels.min(MAX_HALO) }
        })
    }

    /// The layers that may be pruned, as they are and as they were before compression.
    pub fn layer_widths(&self) -> Vec<LayerWidth> {
        layer_widths(&self.network, self.original_widths.as_ref())
    }

    /// Whether compression has made it narrower.
    pub fn is_compressed(&self) -> bool {
        self.layer_widths().iter().any(|layer| layer.now != layer.before)
    }

    /// Parameters of all dual models; not part of the network's own count.
    pub fn dual_parameters(&self) -> u64 {
        self.duals.iter().map(|dual| dual.network.cost(1, 1).parameters()).sum()
    }
}
