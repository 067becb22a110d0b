//! Networks for other programs: ONNX, which runtimes on every platform read.
//!
//! Batch, height and width stay free; pictures are [N, 3, H, W] of RGB in `[0, 255]`, neither clamped nor rounded at
//! the end, as everywhere in this program.

mod graph;
mod proto;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;

use dualres_kernels::Activation;
use prost::Message;

use self::{
    graph::{Graph, INPUT, Value, float, int, ints, string},
    proto::{IR_VERSION, ModelProto, OPSET, OperatorSetIdProto, StringStringEntryProto},
};
use crate::{
    Drn, DualModel, Model, NetworkError, Pooling, Result, UnitKind, attention::ChannelAttention, blocks::LEAKY,
    drn::MeanShift, levels::DownBlock,
};

/// What of a model goes into the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The primal network, with this pooling of the channel attention. With local pooling any size of picture is
    /// filled up to whole cells inside the graph, by repeating its border, and the result is cut to size again.
    Primal(Pooling),
    /// All dual models, one after the other, each on a picture clamped to `[0, 255]`: from the result to the size of
    /// the input. Borders are repeated inside the
    /// graph, as the program does: the zeros of a padded convolution would show as a frame.
    WayBack,
}

/// The ONNX file of a part of `model`.
///
/// # Errors
/// If there is no such part: a way back of a model without dual models.
pub fn onnx(model: &Model, part: Part) -> Result<Vec<u8>> {
    let mut graph = Graph::default();
    let description = &model.description;
    let (result, what) = match part {
        Part::Primal(pooling) => {
            let result = Primal { drn: &model.primal, pooling, graph: &mut graph }.write();
            (result, "from low to high resolution")
        }
        Part::WayBack => {
            if model.duals.is_empty() {
                let reason = "the model has no dual models to export".to_owned();
                return Err(NetworkError::Format { name: description.name.clone(), reason });
            }
            let mut x = INPUT.to_owned();
            for (level, dual) in model.duals.iter().enumerate().rev() {
                x = back(&mut graph, &dual.block, &format!("dual.{level}."), &x);
            }
            (x, "the way back, from high to low resolution")
        }
    };
    let about = format!("{}, {what}. RGB in [0, 255], [N, 3, H, W]. {}", description.purpose, description.licence);
    let property = |key: &str, value: String| StringStringEntryProto { key: key.into(), value };
    let file = ModelProto {
        ir_version: IR_VERSION,
        producer_name: "dualres".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        doc_string: about,
        graph: Some(graph.finish(&description.name, &result)),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        metadata_props: vec![
            property("licence", description.licence.clone()),
            property("scale", description.architecture.scale.to_string()),
            property("dualres", serde_json::to_string(description).expect("a description is plain data")),
        ],
    };
    Ok(file.encode_to_vec())
}

fn down(graph: &mut Graph, block: &DownBlock, prefix: &str, x: &str) -> Value {
    // Dual models name their layers alike.
    let [strided, last] = [&block.strided, &block.last].map(|conv| {
        let mut named = conv.clone();
        named.name = format!("{prefix}{}", conv.name);
        named
    });
    let inner = graph.layer(&strided, x, LEAKY);
    graph.layer(&last, &inner, Activation::Identity)
}

/// A dual model as the program runs it: on a picture in [0, 255], between repeated borders.
fn back(graph: &mut Graph, block: &DownBlock, prefix: &str, x: &str) -> Value {
    let (black, white) = (graph.floats("black", &[], &[0.0]), graph.floats("white", &[], &[255.0]));
    let x = &graph.node("Clip", &[x, &black, &white], Vec::new());
    let sides = graph.sides(x);
    let border = DualModel::BORDER as i64;
    let pads = graph.integers("dual_border", &[0, 0, border, border, 0, 0, border, border]);
    let wide = graph.node("Pad", &[x, &pads], vec![string("mode", "edge")]);
    let out = down(graph, block, prefix, &wide);
    // Half of the input, rounded up, after half of the border.
    let (two, more) = (graph.integers("two", &[2]), graph.integers("rounded_up", &[border + 1]));
    let ends = graph.node("Add", &[&sides, &more], Vec::new());
    let ends = graph.node("Div", &[&ends, &two], Vec::new());
    graph.cut(&out, DualModel::BORDER / 2, &ends)
}

struct Primal<'a> {
    drn: &'a Drn,
    pooling: Pooling,
    graph: &'a mut Graph,
}

impl Primal<'_> {
    fn write(mut self) -> Value {
        let architecture = self.drn.architecture();
        let (scale, levels) = (architecture.scale, architecture.levels());
        let whole = self.whole_cells();
        let shifted = self.shift(&self.drn.sub_mean, &whole);
        let bicubic = vec![float("cubic_coeff_a", -0.75), int("exclude_outside", 0)];
        let enlarged = self.graph.resize(&shifted, scale, "cubic", bicubic);
        let mut x = self.graph.layer(&self.drn.head, &enlarged, Activation::Identity);
        let mut copies = Vec::new();
        for unit in 0..architecture.widths.len() {
            match architecture.unit_kind(unit) {
                UnitKind::Down { index } => {
                    copies.push(x.clone());
                    x = down(self.graph, &self.drn.down[index], "", &x);
                }
                UnitKind::Block { level, block } => {
                    let block = &self.drn.levels[level].blocks[block];
                    let inner = self.graph.layer(&block.first, &x, Activation::Relu);
                    let features = self.graph.layer(&block.second, &inner, Activation::Identity);
                    let scaled = self.attention(&block.attention, &features, 1 << level);
                    x = self.graph.node("Add", &[&scaled, &x], Vec::new());
                }
                UnitKind::Up { level } => {
                    let risen = self.rise(level, &x);
                    let copy = copies.pop().expect("one copy a level");
                    x = self.graph.node("Concat", &[&risen, &copy], vec![int("axis", 1)]);
                }
            }
        }
        let picture = self.graph.layer(&self.drn.tails[levels], &x, Activation::Identity);
        let picture = self.shift(&self.drn.add_mean, &picture);
        self.cut(&picture, scale)
    }

    /// The doubling of a level, in one convolution where that has fewer multiply-accumulates.
    fn rise(&mut self, level: usize, x: &str) -> Value {
        let shuffle = || vec![int("blocksize", 2), string("mode", "CRD")];
        let level = &self.drn.levels[level];
        if level.joining_pays() {
            let (weight, bias) = level.join();
            let name = format!("{}+{}", level.up.name, level.reduce.name);
            let out = self.graph.convolution(&name, x, &weight, bias.as_ref(), 1, Activation::Identity);
            return self.graph.node("DepthToSpace", &[&out], shuffle());
        }
        let out = self.graph.layer(&level.up, x, Activation::Identity);
        let out = self.graph.node("DepthToSpace", &[&out], shuffle());
        self.graph.layer(&level.reduce, &out, Activation::Identity)
    }

    fn attention(&mut self, attention: &ChannelAttention, x: &str, magnification: usize) -> Value {
        let means = match self.pooling {
            Pooling::Global => self.graph.node("GlobalAveragePool", &[x], Vec::new()),
            Pooling::Local { cell, window_cells } => {
                let side = cell * magnification;
                let cells = vec![ints("kernel_shape", &[side; 2]), ints("strides", &[side; 2])];
                let cells = self.graph.node("AveragePool", &[x], cells);
                let window = vec![
                    ints("kernel_shape", &[window_cells; 2]),
                    ints("strides", &[1; 2]),
                    ints("pads", &[window_cells / 2; 4]),
                    int("count_include_pad", 0),
                ];
                self.graph.node("AveragePool", &[&cells], window)
            }
        };
        let hidden = self.graph.layer(&attention.squeeze, &means, Activation::Relu);
        let scale = self.graph.layer(&attention.excite, &hidden, Activation::Identity);
        let mut scale = self.graph.node("Sigmoid", &[&scale], Vec::new());
        if let Pooling::Local { cell, .. } = self.pooling {
            scale = self.graph.resize(&scale, cell * magnification, "linear", Vec::new());
        }
        self.graph.node("Mul", &[x, &scale], Vec::new())
    }

    /// Subtraction or addition of the mean colour.
    fn shift(&mut self, shift: &MeanShift, x: &str) -> Value {
        if let Some((matrix, bias)) = &shift.trained {
            return self.graph.convolution(shift.name, x, matrix, Some(bias), 1, Activation::Identity);
        }
        let offset = self.graph.tensor(&format!("{}.offset", shift.name), &shift.offset);
        self.graph.node("Add", &[x, &offset], Vec::new())
    }

    /// The input filled up to whole cells of local pooling.
    fn whole_cells(&mut self) -> Value {
        let alignment = self.pooling.alignment();
        if alignment == 1 {
            return INPUT.to_owned();
        }
        let sides = self.graph.sides(INPUT);
        let cell = self.graph.integers("cell", &[alignment as i64]);
        let over = self.graph.node("Mod", &[&sides, &cell], Vec::new());
        let missing = self.graph.node("Sub", &[&cell, &over], Vec::new());
        let missing = self.graph.node("Mod", &[&missing, &cell], Vec::new());
        let before = self.graph.integers("nothing_before", &[0; 6]);
        let pads = self.graph.node("Concat", &[&before, &missing], vec![int("axis", 0)]);
        self.graph.node("Pad", &[INPUT, &pads], vec![string("mode", "edge")])
    }

    /// The result of the input's part of whole cells.
    fn cut(&mut self, picture: &str, scale: usize) -> Value {
        if self.pooling.alignment() == 1 {
            return picture.to_owned();
        }
        let sides = self.graph.sides(INPUT);
        let factor = self.graph.integers("factor", &[scale as i64]);
        let ends = self.graph.node("Mul", &[&sides, &factor], Vec::new());
        self.graph.cut(picture, 0, &ends)
    }
}
