//! Networks for other programs: ONNX, which runtimes on every platform read.
//!
//! Batch, height and width stay free; pictures are [N, 3, H, W] of RGB in `[0, 255]`, neither clamped nor rounded at
//! the end, as everywhere in this program. Written from the passes that are really run, so that convolutions around a
//! pixel shuffle are joined there too.

mod graph;
pub(crate) mod proto;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
mod write;

use prost::Message;

use self::{
    graph::{Graph, INPUT, Value, string},
    proto::{IR_VERSION, ModelProto, OPSET, OperatorSetIdProto, StringStringEntryProto},
    write::Writer,
};
use crate::{DualModel, Model, NetworkError, Pooling, Result};

/// What of a model goes into the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exported {
    /// The primal network, with this pooling of its statistics. With local pooling any size of picture is
    /// filled up to whole cells inside the graph, by repeating its border, and the result is cut to size again.
    Primal(Pooling),
    /// All dual models, one after the other, each on a picture clamped to `[0, 255]`: from the result to the size of
    /// the input. Borders are repeated inside the
    /// graph, as the program does: the zeros of a padded convolution would show as a frame.
    Reconstruction,
}

/// The ONNX file of a part of `model`.
///
/// # Errors
/// If there is no such part (a dual reconstruction of a model without dual models), or an operator of it cannot be written.
pub fn onnx(model: &Model, part: Exported) -> Result<Vec<u8>> {
    let mut graph = Graph::default();
    let description = &model.description;
    let refused = |reason: String| NetworkError::Format { name: description.name.clone(), reason };
    let (result, what) = match part {
        Exported::Primal(pooling) => {
            let alignment = description.alignment(pooling);
            let whole = whole_cells(&mut graph, alignment);
            let picture = Writer::new(&model.primal, "", pooling, &mut graph).write(&whole).map_err(refused)?;
            let picture = cut(&mut graph, &picture, alignment, description.scale());
            (picture, "from low to high resolution")
        }
        Exported::Reconstruction => {
            if model.duals.is_empty() {
                return Err(refused("the model has no dual models to export".into()));
            }
            let mut x = INPUT.to_owned();
            for (level, dual) in model.duals.iter().enumerate().rev() {
                x = back(&mut graph, dual, &format!("dual.{level}."), &x).map_err(refused)?;
            }
            (x, "the dual models, from high to low resolution")
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
            property("scale", description.scale().to_string()),
            property("dualres", serde_json::to_string(description).expect("a description is plain data")),
        ],
    };
    Ok(file.encode_to_vec())
}

/// A dual model as the program runs it: on a picture in [0, 255], between repeated borders.
fn back(graph: &mut Graph, dual: &DualModel, prefix: &str, x: &str) -> std::result::Result<Value, String> {
    let (black, white) = (graph.floats("black", &[], &[0.0]), graph.floats("white", &[], &[255.0]));
    let x = &graph.node("Clip", &[x, &black, &white], Vec::new());
    let sides = graph.sides(x);
    let (border, factor) = (dual.border() as i64, dual.factor() as i64);
    let name = format!("dual_border.{border}");
    let pads = graph.integers(&name, &[0, 0, border, border, 0, 0, border, border]);
    let wide = graph.node("Pad", &[x, &pads], vec![string("mode", "edge")]);
    let out = Writer::new(&dual.network, prefix, Pooling::Global, graph).write(&wide)?;
    // A part of the input, rounded up, after the same part of the border.
    let (by, more) = (
        graph.integers(&format!("factor.{factor}"), &[factor]),
        graph.integers(&format!("rounded_up.{factor}.{border}"), &[border + factor - 1]),
    );
    let ends = graph.node("Add", &[&sides, &more], Vec::new());
    let ends = graph.node("Div", &[&ends, &by], Vec::new());
    Ok(graph.cut(&out, (border / factor) as usize, &ends))
}

/// The input filled up to sides of whole multiples.
fn whole_cells(graph: &mut Graph, alignment: usize) -> Value {
    if alignment == 1 {
        return INPUT.to_owned();
    }
    let sides = graph.sides(INPUT);
    let cell = graph.integers("cell", &[alignment as i64]);
    let over = graph.node("Mod", &[&sides, &cell], Vec::new());
    let missing = graph.node("Sub", &[&cell, &over], Vec::new());
    let missing = graph.node("Mod", &[&missing, &cell], Vec::new());
    let before = graph.integers("nothing_before", &[0; 6]);
    let pads = graph.node("Concat", &[&before, &missing], vec![graph::int("axis", 0)]);
    graph.node("Pad", &[INPUT, &pads], vec![string("mode", "edge")])
}

/// The result of the input's part of whole cells.
fn cut(graph: &mut Graph, picture: &str, alignment: usize, scale: usize) -> Value {
    if alignment == 1 {
        return picture.to_owned();
    }
    let sides = graph.sides(INPUT);
    let factor = graph.integers("factor", &[scale as i64]);
    let ends = graph.node("Mul", &[&sides, &factor], Vec::new());
    graph.cut(picture, 0, &ends)
}
