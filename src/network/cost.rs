//! Parameters and multiply-accumulates, layer by layer, always with the input size they are for.
//!
//! Convention of the published numbers: convolutions only, a bias addition counted as one MAC an output sample. The
//! published figures are for a 96x96 low-resolution input.

use crate::Architecture;

/// Cost of one convolution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerCost {
    /// Name in the published code.
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
    /// Every convolution of the primal network.
    pub layers: Vec<LayerCost>,
    /// Parameters of all dual models; not part of the network's own count.
    pub dual_parameters: u64,
}

impl Cost {
    /// Parameters of the primal network.
    pub fn parameters(&self) -> u64 {
        self.layers.iter().map(|layer| layer.parameters).sum()
    }

    /// Multiply-accumulates of the primal network for [`Cost::input`].
    pub fn macs(&self) -> u64 {
        self.layers.iter().map(|layer| layer.macs).sum()
    }
}

/// Counts `architecture` for a low-resolution input of `width` x `height`.
pub fn count(architecture: &Architecture, width: usize, height: usize) -> Cost {
    let mut counter = Counter { pixels: (width * height) as u64, layers: Vec::new() };
    let (feats, levels, scale) = (architecture.n_feats, architecture.levels(), architecture.scale);
    counter.conv("head", [3, feats, 3], scale, true);
    for p in 0..levels {
        let inner = architecture.down_width(p);
        let magnification = scale >> (p + 1);
        counter.conv(&format!("down.{p}.dual_module.0.0"), [feats << p, inner, 3], magnification, false);
        counter.conv(&format!("down.{p}.dual_module.1"), [inner, feats << (p + 1), 3], magnification, false);
    }
    for level in 0..levels {
        let channels = architecture.level_channels(level);
        let squeezed = Architecture::squeezed(channels);
        let name = format!("up_blocks.{level}");
        for block in 0..architecture.n_blocks[level] {
            let inner = architecture.level_width(level, block);
            counter.conv(&format!("{name}.{block}.body.0"), [channels, inner, 3], 1 << level, true);
            counter.conv(&format!("{name}.{block}.body.2"), [inner, channels, 3], 1 << level, true);
            counter.conv(&format!("{name}.{block}.body.3.conv_du.0"), [channels, squeezed, 1], 0, true);
            counter.conv(&format!("{name}.{block}.body.3.conv_du.2"), [squeezed, channels, 1], 0, true);
        }
        let blocks = architecture.n_blocks[level];
        let inner = architecture.level_width(level, blocks);
        counter.conv(&format!("{name}.{blocks}.0"), [channels, 4 * inner, 3], 1 << level, true);
        counter.conv(&format!("{name}.{}", blocks + 1), [inner, architecture.level_output(level), 1], 2 << level, true);
    }
    for index in 0..=levels {
        let channels = if index == 0 { feats << levels } else { 2 * architecture.level_output(index - 1) };
        counter.conv(&format!("tail.{index}"), [channels, 3, 3], 1 << index, true);
    }
    Cost { input: (width, height), layers: counter.layers, dual_parameters: (levels * 2 * 27 * feats) as u64 }
}

/// Parameters and multiply-accumulates of one channel of unit `index`, for a low-resolution input of `width` x `height`.
/// The cost of a network is linear in the width of each unit.
///
/// # Panics
/// If there is no such unit.
pub fn of_channel(architecture: &Architecture, index: usize, width: usize, height: usize) -> (u64, u64) {
    let mut wider = architecture.clone();
    wider.widths[index] += 1;
    let (narrow, wide) = (count(architecture, width, height), count(&wider, width, height));
    (wide.parameters() - narrow.parameters(), wide.macs() - narrow.macs())
}

struct Counter {
    pixels: u64,
    layers: Vec<LayerCost>,
}

impl Counter {
    /// `magnification` is the output's resolution as a multiple of the input's; 0 stands for a single pixel.
    fn conv(&mut self, name: &str, [inputs, outputs, kernel]: [usize; 3], magnification: usize, bias: bool) {
        let positions = if magnification == 0 { 1 } else { self.pixels * (magnification * magnification) as u64 };
        let weights = (inputs * outputs * kernel * kernel) as u64;
        let parameters = weights + if bias { outputs as u64 } else { 0 };
        self.layers.push(LayerCost { name: name.to_owned(), parameters, macs: parameters * positions });
    }
}
