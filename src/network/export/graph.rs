//! An ONNX graph under construction: nodes in the order they run, and constants.

use burn::tensor::Tensor;

use super::proto::{
    ATTRIBUTE_FLOAT, ATTRIBUTE_INT, ATTRIBUTE_INTS, ATTRIBUTE_STRING, AttributeProto, DimensionProto, FLOAT,
    GraphProto, INT64, NodeProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
    plain_name,
};

/// Name of the input picture.
pub(super) const INPUT: &str = "input";
/// Name of the output picture.
pub(super) const OUTPUT: &str = "output";

/// A value by its name.
pub(super) type Value = String;

#[derive(Default)]
pub(super) struct Graph {
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    count: usize,
}

pub(super) fn int(name: &str, value: usize) -> AttributeProto {
    AttributeProto { name: name.into(), i: Some(value as i64), r#type: ATTRIBUTE_INT, ..Default::default() }
}

pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { name: name.into(), f: Some(value), r#type: ATTRIBUTE_FLOAT, ..Default::default() }
}

pub(super) fn string(name: &str, value: &str) -> AttributeProto {
    AttributeProto { name: name.into(), s: Some(value.into()), r#type: ATTRIBUTE_STRING, ..Default::default() }
}

pub(super) fn ints(name: &str, values: &[usize]) -> AttributeProto {
    let ints = values.iter().map(|&value| value as i64).collect();
    AttributeProto { name: name.into(), ints, r#type: ATTRIBUTE_INTS, ..Default::default() }
}

impl Graph {
    /// Adds a node; its name is made of the operator's.
    pub(super) fn node(&mut self, operator: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> Value {
        self.count += 1;
        let name = format!("{}_{}", operator.to_lowercase(), self.count);
        self.named(name.clone(), operator, inputs, attributes);
        name
    }

    /// Adds a node with the name of its value.
    pub(super) fn named(&mut self, name: Value, operator: &str, inputs: &[&str], attributes: Vec<AttributeProto>) {
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![name.clone()],
            name,
            op_type: operator.into(),
            attribute: attributes,
        });
    }

    fn constant(&mut self, name: &str, data_type: i32, dims: &[usize], raw_data: Vec<u8>) -> Value {
        // Names that differ in punctuation alone are one name to some readers.
        let plain = plain_name(name);
        let known = self.constants.iter().find(|constant| plain_name(&constant.name) == plain);
        let alike = known.is_some_and(|known| known.name != name);
        let numbered = format!("{name}.{}", self.constants.len());
        let name = if alike { numbered.as_str() } else { name };
        if !self.constants.iter().any(|constant| constant.name == name) {
            let dims = dims.iter().map(|&side| side as i64).collect();
            self.constants.push(TensorProto { dims, data_type, name: name.into(), raw_data });
        }
        name.to_owned()
    }

    /// A constant of floats; the same name gives the same constant.
    pub(super) fn floats(&mut self, name: &str, dims: &[usize], values: &[f32]) -> Value {
        self.constant(name, FLOAT, dims, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// A constant list of integers; the same name gives the same constant.
    pub(super) fn integers(&mut self, name: &str, values: &[i64]) -> Value {
        self.constant(name, INT64, &[values.len()], values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// A constant with the values of a tensor.
    pub(super) fn tensor<const D: usize>(&mut self, name: &str, tensor: &Tensor<D>) -> Value {
        let values = tensor.to_data().convert::<f32>().try_into_vec::<f32>().expect("converted to f32");
        self.floats(name, &tensor.dims(), &values)
    }

    /// Resizing by a whole factor, corners not aligned.
    pub(super) fn resize(&mut self, x: &str, factor: usize, mode: &str, more: Vec<AttributeProto>) -> Value {
        let scales = self.floats(&format!("scales.{factor}"), &[4], &[1.0, 1.0, factor as f32, factor as f32]);
        let mut attributes = vec![string("mode", mode), string("coordinate_transformation_mode", "half_pixel")];
        attributes.extend(more);
        self.node("Resize", &[x, "", &scales], attributes)
    }

    /// Height and width of `x`.
    pub(super) fn sides(&mut self, x: &str) -> Value {
        self.node("Shape", &[x], vec![int("start", 2), int("end", 4)])
    }

    /// Rows and columns of `x` from `start` to before `ends`, a list of two.
    pub(super) fn cut(&mut self, x: &str, start: usize, ends: &str) -> Value {
        let starts = self.integers(&format!("corner.{start}"), &[start as i64; 2]);
        let axes = self.integers("height_and_width", &[2, 3]);
        self.node("Slice", &[x, &starts, ends, &axes], Vec::new())
    }

    /// The graph from the picture [`INPUT`] to `result`, which is renamed [`OUTPUT`].
    pub(super) fn finish(mut self, name: &str, result: &str) -> GraphProto {
        self.named(OUTPUT.into(), "Identity", &[result], Vec::new());
        GraphProto {
            node: self.nodes,
            name: name.into(),
            initializer: self.constants,
            input: vec![picture(INPUT, ["height", "width"])],
            output: vec![picture(OUTPUT, ["out_height", "out_width"])],
        }
    }
}

/// A value of [batch, 3, height, width] floats whose batch and sides are free.
fn picture(name: &str, sides: [&str; 2]) -> ValueInfoProto {
    let named = |name: &str| DimensionProto { dim_param: Some(name.into()), ..Default::default() };
    let colours = DimensionProto { dim_value: Some(3), ..Default::default() };
    let shape = TensorShapeProto { dim: vec![named("batch"), colours, named(sides[0]), named(sides[1])] };
    let tensor_type = Some(TensorTypeProto { elem_type: FLOAT, shape: Some(shape) });
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type }) }
}
