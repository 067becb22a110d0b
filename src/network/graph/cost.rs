//! Parameters and multiply-accumulates, layer by layer, always with the input size they are for.
//!
//! Convention of the published numbers: convolutions only, a bias addition counted as one MAC an output sample. The
//! published figures are for a 96x96 low-resolution input.

use super::{Graph, Op};

/// Cost of one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerCost {
    /// Name in model files.
    pub name: String,
    /// Weights and biases.
    pub parameters: u64,
    /// Multiply-accumulates, bias additions included.
    pub macs: u64,
}

/// Cost of a network for one input size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Width and height of the low-resolution input that `macs` are for.
    pub input: (usize, usize),
    /// Every layer of the primal network that has weights.
    pub layers: Vec<LayerCost>,
}

impl Cost {
    /// Parameters of the network.
    pub fn parameters(&self) -> u64 {
        self.layers.iter().map(|layer| layer.parameters).sum()
    }

    /// Multiply-accumulates of the network for [`Cost::input`].
    pub fn macs(&self) -> u64 {
        self.layers.iter().map(|layer| layer.macs).sum()
    }
}

/// Sides that costs are counted at before they are brought to the size asked for: any size would do, but networks that
/// unshuffle or stride need one they divide.
const SIDE: usize = 96;

impl Graph {
    /// Counts the network for a low-resolution input of `width` x `height`. Layers on statistics of the whole picture
    /// cost the same for every size; all others are in proportion to its pixels.
    pub fn cost(&self, width: usize, height: usize) -> Cost {
        let shapes = self.shapes([SIDE, SIDE]).expect("checked when the graph was made");
        let pixels = (width * height) as u128;
        let mut layers = Vec::new();
        for (id, node) in self.nodes().iter().enumerate() {
            let channels = node.inputs.first().map_or(0, |&input| shapes[input].channels);
            let parameters: u64 =
                node.op.parameters(channels).map(|(_, shape)| shape.iter().product::<usize>() as u64).sum();
            if parameters == 0 {
                continue;
            }
            let positions = match node.op {
                Op::Conv(_) => shapes[id].height * shapes[id].width,
                // One kernel at each position of the input.
                Op::Deconv(_) => shapes[node.inputs[0]].height * shapes[node.inputs[0]].width,
                _ => 0,
            };
            let macs = if shapes[id].is_statistic() && positions == 1 {
                parameters
            } else {
                (u128::from(parameters) * positions as u128 * pixels / (SIDE * SIDE) as u128) as u64
            };
            layers.push(LayerCost { name: node.name.clone(), parameters, macs });
        }
        Cost { input: (width, height), layers }
    }
}
