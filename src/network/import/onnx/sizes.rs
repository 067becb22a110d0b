//! Operators that change sides: windows, slices, splits and enlargement.

use onnx_ir::{
    Argument, Node,
    padding::{AutoPad, PaddingConfig2d},
    resize::{CoordinateTransformMode, NearestMode, ResizeMode, ResizeScales, ResizeSizes},
    slice::SliceInput,
    split::SplitSizesInput,
};

use super::super::{
    assembler::{Assembler, Value, refuse},
    ncnn::ratio,
};
use crate::{
    Result,
    graph::{Enlargement, NodeId, Op, PoolOp, ResizeOp, ResizeTo},
};

pub(super) fn padding(
    given: &PaddingConfig2d,
    auto: &AutoPad,
    [kernel, stride, dilation]: [[usize; 2]; 3],
) -> Result<[usize; 4]> {
    let around = |axis: usize| dilation[axis].saturating_mul(kernel[axis].saturating_sub(1));
    let (down, across) = (around(0), around(1));
    if matches!(auto, AutoPad::SameUpper | AutoPad::SameLower) && stride != [1, 1] {
        // How much it pads depends on the picture's sides.
        return Err(refuse("padding to the same size in steps of more than one"));
    }
    match auto {
        AutoPad::NotSet => {}
        AutoPad::Valid => return Ok([0; 4]),
        AutoPad::SameUpper => return Ok([across / 2, across - across / 2, down / 2, down - down / 2]),
        AutoPad::SameLower => return Ok([across - across / 2, across / 2, down - down / 2, down / 2]),
    }
    Ok(match given {
        PaddingConfig2d::Valid => [0; 4],
        PaddingConfig2d::Explicit(top, left, bottom, right) => [*left, *right, *top, *bottom],
        #[allow(unreachable_patterns, reason = "the reader may learn other kinds")]
        _ => return Err(refuse("padding of an unknown kind")),
    })
}

pub(super) fn pooled(
    net: &mut Assembler,
    x: NodeId,
    max: bool,
    [kernel, stride, dilation]: [[usize; 2]; 3],
    given: &PaddingConfig2d,
    count_padding: bool,
    (auto, ceiling): (&AutoPad, bool),
) -> Result<NodeId> {
    let [left, right, top, bottom] = padding(given, auto, [kernel, stride, dilation])?;
    if dilation != [1, 1] || left != right || top != bottom || ceiling {
        return Err(refuse("pooling over windows that are not the same everywhere"));
    }
    let pool = PoolOp { max, kernel, stride, padding: [top, left], count_padding };
    Ok(net.keep(Op::Pool(pool), &[x]))
}

pub(super) fn slice_of(net: &mut Assembler, x: NodeId, config: &onnx_ir::slice::SliceConfig) -> Result<NodeId> {
    let numbers = |input: &SliceInput| match input {
        SliceInput::Static(values) => Some(values.clone()),
        SliceInput::Runtime(_) => None,
    };
    let (Some(starts), Some(ends)) = (numbers(&config.starts), numbers(&config.ends)) else {
        return Err(refuse("a slice between computed positions"));
    };
    let axes = config.axes.as_ref().and_then(numbers).unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = config.steps.as_ref().and_then(numbers).unwrap_or_else(|| vec![1; starts.len()]);
    let mut node = x;
    for (index, &axis) in axes.iter().enumerate() {
        let (start, end) = (starts.get(index).copied().unwrap_or(0), ends.get(index).copied().unwrap_or(i64::MAX));
        if steps.get(index) != Some(&1) {
            return Err(refuse("a slice that leaves some out"));
        }
        match axis.rem_euclid(4) {
            1 => {
                let all = net.channels(node) as i64;
                let place = |at: i64| if at < 0 { (at + all).max(0) } else { at.min(all) } as usize;
                let (start, end) = (place(start), place(end));
                let length = end.saturating_sub(start);
                node = net.add("", Op::Slice { start, length }, &[node], length);
            }
            // From the border inwards; what an end beyond any side means is "to the border".
            axis @ (2 | 3) if start >= 0 && !(0..=1 << 24).contains(&end) => {
                let (before, after) = (start as usize, if end < 0 { end.unsigned_abs() as usize } else { 0 });
                let sides = if axis == 2 { [0, 0, before, after] } else { [before, after, 0, 0] };
                node = net.keep(Op::Crop(sides), &[node]);
            }
            _ => return Err(refuse("a slice of fixed size")),
        }
    }
    Ok(node)
}

/// Refuses slices to computed ends that do more than take away rows and columns at the end.
pub(super) fn cuts_the_end(config: &onnx_ir::slice::SliceConfig) -> Result<()> {
    let is = |input: Option<&SliceInput>, fits: &dyn Fn(i64) -> bool| {
        input.is_none_or(|input| matches!(input, SliceInput::Static(values) if values.iter().all(|&value| fits(value))))
    };
    let axes = config.axes.is_some() && is(config.axes.as_ref(), &|axis| matches!(axis.rem_euclid(4), 2 | 3));
    if axes && is(Some(&config.starts), &|start| start == 0) && is(config.steps.as_ref(), &|step| step == 1) {
        return Ok(());
    }
    Err(refuse("a slice between computed positions"))
}

pub(super) fn split_of(
    net: &mut Assembler,
    node: &Node,
    x: NodeId,
    config: &onnx_ir::split::SplitConfig,
) -> Result<()> {
    if config.axis != 1 {
        return Err(refuse("rows or columns are split"));
    }
    let outputs = node.outputs();
    let all = net.channels(x);
    let lengths = match (&config.split_sizes, config.split_size) {
        (Some(SplitSizesInput::Static(lengths)), _) => lengths.clone(),
        (Some(SplitSizesInput::Runtime(_)), _) => return Err(refuse("a split at computed positions")),
        (None, Some(length)) => vec![length; outputs.len()],
        (None, None) => vec![all / outputs.len().max(1); outputs.len()],
    };
    let mut start = 0;
    for (output, length) in outputs.iter().zip(lengths) {
        let length = length.min(all.saturating_sub(start));
        let part = net.add("", Op::Slice { start, length }, &[x], length);
        net.set(&output.name, Value::Node(part));
        start += length;
    }
    Ok(())
}

pub(super) fn resized(
    net: &mut Assembler,
    x: NodeId,
    inputs: &[Argument],
    config: &onnx_ir::resize::ResizeConfig,
) -> Result<NodeId> {
    let half = matches!(
        config.coordinate_transformation_mode,
        CoordinateTransformMode::HalfPixel | CoordinateTransformMode::PytorchHalfPixel
    );
    let asymmetric = config.coordinate_transformation_mode == CoordinateTransformMode::Asymmetric;
    let mode = match config.mode {
        // For whole factors these agree with repeating each pixel: places lie nearer to it than to others.
        ResizeMode::Nearest
            if (asymmetric && config.nearest_mode == NearestMode::Floor)
                || (half
                    && matches!(config.nearest_mode, NearestMode::RoundPreferFloor | NearestMode::RoundPreferCeil)) =>
        {
            Enlargement::Nearest
        }
        ResizeMode::Linear if half => Enlargement::Bilinear,
        ResizeMode::Linear if config.coordinate_transformation_mode == CoordinateTransformMode::AlignCorners => {
            Enlargement::BilinearAligned
        }
        ResizeMode::Cubic if half && config.cubic_coeff_a == -0.75 && config.exclude_outside == 0 => {
            Enlargement::Bicubic
        }
        _ => return Err(refuse("enlargement by other rules than PyTorch's")),
    };
    if config.antialias != 0 {
        return Err(refuse("antialiased enlargement"));
    }
    let scales = match &config.scales {
        Some(ResizeScales::Static(scales)) => Some(scales.clone()),
        // Converters to half precision bring constants through casts.
        _ => inputs.iter().skip(1).find_map(|argument| match net.value(&argument.name) {
            Ok(Value::Constant(scales)) if scales.values.len() == 4 => Some(scales.values.clone()),
            _ => None,
        }),
    };
    // The reader may leave out batch and channels.
    let sides = scales.as_deref().and_then(|scales| match scales {
        [1.0, 1.0, down, across] | [down, across] => Some((down, across)),
        _ => None,
    });
    if let Some((down, across)) = sides {
        if down != across {
            return Err(refuse("enlargement that stretches"));
        }
        let to = ratio(f64::from(*down), "resize")?;
        return Ok(if to == ResizeTo::Times(1) { x } else { net.keep(Op::Resize(ResizeOp { mode, to }), &[x]) });
    }
    if matches!(config.sizes, Some(ResizeSizes::Static(_))) {
        return Err(refuse("enlargement to a fixed size; export with free height and width"));
    }
    let like = inputs.iter().skip(1).find_map(|argument| match net.value(&argument.name) {
        Ok(Value::Sides(node)) => Some(*node),
        _ => None,
    });
    let like = like.ok_or_else(|| refuse("enlargement to a computed size"))?;
    Ok(net.keep(Op::Resize(ResizeOp { mode, to: ResizeTo::Like }), &[x, like]))
}
