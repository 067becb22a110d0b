//! Families of networks: numbers to graph, and names and shapes in a weight file to numbers.

mod backbone;
mod carn;
mod compact;
mod distillation;
mod drn;
mod dual;
mod edsr;
mod esrgan;
mod maker;
mod plksr;
mod span;

use dualres_kernels::Function;

pub use backbone::{Backbone, BlockKind};
pub use drn::{Architecture, MAX_SCALE, Preset};
pub use dual::{chain as dual_chain, single as dual_single};

use crate::{NetworkError, Result, Weights, graph::Graph};

pub(crate) use drn::recognise as recognise_drn;

/// Slope of the leaky rectifier in down-sampling blocks and dual models.
pub(crate) const LEAKY: Function = Function::LeakyRelu(0.2);

/// A network that was recognised by its weights.
#[derive(Clone, Debug)]
pub struct Found {
    /// Name of its family.
    pub family: &'static str,
    /// The network.
    pub graph: Graph,
    /// Its weights, named as in the graph.
    pub weights: Weights,
    /// Lowest and highest sample value that it takes and gives.
    pub range: [f32; 2],
    /// What the file does not say and was assumed, for people.
    pub assumed: Vec<String>,
}

impl Found {
    fn new(family: &'static str, graph: Graph, weights: Weights, range: [f32; 2]) -> Self {
        Self { family, graph, weights, range, assumed: Vec::new() }
    }
}

/// How many of a row of keys there are, from 0 on.
fn count_keys(weights: &Weights, name: impl Fn(usize) -> String) -> usize {
    (0..).take_while(|&index| weights.0.contains_key(&name(index))).count()
}

/// Outputs of a layer.
fn outputs_of(weights: &Weights, layer: &str) -> Option<usize> {
    weights.0.get(&format!("{layer}.weight")).and_then(|weight| weight.shape.first().copied())
}

/// Name of a prunable layer for people: its place in the network where the family has one, else that of its weights.
pub fn label(layer: &str) -> String {
    drn::label(layer).unwrap_or_else(|| layer.to_owned())
}

/// The network that weights belong to, by their names and shapes. `scale` chooses where a file serves several.
///
/// # Errors
/// If no family knows them, with what they seem to be and the way out.
pub fn recognise(weights: &Weights, scale: Option<usize>) -> Result<Found> {
    type Recogniser = fn(&Weights) -> Result<Option<Found>>;
    let families: [Recogniser; 7] = [
        drn::recognise,
        plksr::recognise,
        span::recognise,
        esrgan::recognise,
        distillation::recognise,
        edsr::recognise,
        compact::recognise,
    ];
    if let Some(found) = carn::recognise(weights, scale)? {
        return Ok(found);
    }
    for family in families {
        if let Some(found) = family(weights)? {
            return Ok(found);
        }
    }
    let seems = unsupported(weights).map_or_else(
        || {
            let names: Vec<&str> = weights.0.keys().take(3).map(String::as_str).collect();
            format!("no network this program knows (its weights are called {} \u{2026})", names.join(", "))
        },
        |name| format!("the weights are those of {name}, which this program does not run"),
    );
    Err(NetworkError::Weights(format!(
        "{seems}; known are DRN, EDSR, ESRGAN, Compact, SPAN, RFDN, RLFN, BSRN, CARN and RealPLKSR. Export the network to ONNX \
         and import that, if it is made of convolutions"
    )))
}

/// Networks that are recognised, but not run.
fn unsupported(weights: &Weights) -> Option<&'static str> {
    let any = |part: &str| weights.0.keys().any(|key| key.contains(part));
    if any("relative_position_index") || any("relative_position_bias_table") {
        let hat = any("overlap_attn") || any("conv_block.cab");
        return Some(if hat { "HAT (window attention)" } else { "SwinIR or another network of window attention" });
    }
    if any("attn.temperature") {
        return Some("Restormer or DAT (attention over channels)");
    }
    if any("channe_mixer") {
        return Some("PLKSR");
    }
    if any("body.0.body.0.body.3.conv_du.0.weight") {
        return Some("RCAN");
    }
    if any("running_mean") && any("fc.weight") {
        return Some("a classifier, which makes no picture");
    }
    None
}
