//! The models inside the program, and which of them is for what.

use std::sync::OnceLock;

use dualres_network::{Device, Model};

use crate::batch::choice::Kind;

/// Models that are part of the program, so that it works anywhere and offline.
/// The first of a scale is the one that is taken where only the scale is asked for. Static, because what a constant refers to is in the
/// program once for each part of it that is compiled apart.
pub(crate) static EMBEDDED: [(&str, &[u8]); 12] = [
    ("x2", include_bytes!("../../models/x2.safetensors")),
    ("x3", include_bytes!("../../models/x3.safetensors")),
    ("x4", include_bytes!("../../models/x4.safetensors")),
    ("x2-fast", include_bytes!("../../models/x2-fast.safetensors")),
    ("x2-30", include_bytes!("../../models/x2-30.safetensors")),
    ("x2-50", include_bytes!("../../models/x2-50.safetensors")),
    ("x2-70", include_bytes!("../../models/x2-70.safetensors")),
    ("x4-30", include_bytes!("../../models/x4-30.safetensors")),
    ("x4-50", include_bytes!("../../models/x4-50.safetensors")),
    ("x4-70", include_bytes!("../../models/x4-70.safetensors")),
    ("photo-x2", include_bytes!("../../models/photo-x2.safetensors")),
    ("photo-x4", include_bytes!("../../models/photo-x4.safetensors")),
];

/// The name of the built-in model of a kind and scale, if there is one.
pub fn of(kind: Kind, scale: usize) -> Option<&'static str> {
    let is_it = |name: &str, its: Option<usize>| Kind::of_model(name) == kind && its == Some(scale);
    EMBEDDED.iter().zip(scales()).find(|((name, _), its)| is_it(name, **its)).map(|((name, _), _)| *name)
}

/// Enlargements of the models inside the program, in their order. They are asked for in every frame of the window, and reading a model's
/// description takes longer than drawing one.
fn scales() -> &'static [Option<usize>] {
    static SCALES: OnceLock<Vec<Option<usize>>> = OnceLock::new();
    SCALES.get_or_init(|| {
        let scale = |(name, bytes): &(&str, &[u8])| Model::describe(bytes, name).ok().map(|found| found.scale());
        EMBEDDED.iter().map(scale).collect()
    })
}

/// The name of the built-in model of a kind and scale with half of its work taken out, if there is one.
pub fn fast(kind: Kind, scale: usize) -> Option<&'static str> {
    let small = format!("{}-50", of(kind, scale)?);
    EMBEDDED.iter().map(|(name, _)| *name).find(|name| *name == small)
}

/// Whether a model is inside the program.
pub fn is_one(name: &str) -> bool {
    EMBEDDED.iter().any(|(built_in, _)| *built_in == name)
}

/// Names of the models that are chosen by themselves.
pub(crate) fn automatic() -> Vec<String> {
    let kinds = [Kind::Clean, Kind::Photo].into_iter();
    kinds.flat_map(|kind| (2..=4).filter_map(move |scale| of(kind, scale))).map(str::to_owned).collect()
}

/// The name of the built-in model of a kind and scale; `otherwise` where there is none.
pub fn fitting(kind: Kind, scale: usize, otherwise: &str) -> String {
    of(kind, scale).unwrap_or(otherwise).to_owned()
}

/// Models inside the program whose dual models, one after the other, lead from a result of `scale` to its input: one of that scale,
/// or several whose scales multiply to it, from the input's scale upwards. With their names.
pub fn duals_for(scale: usize) -> Option<anyhow::Result<Vec<(&'static str, Model)>>> {
    let with_dual = |scale: usize| {
        EMBEDDED.iter().find(|(name, bytes)| {
            Model::describe(bytes, name).is_ok_and(|found| found.scale() == scale && !found.duals.is_empty())
        })
    };
    let mut steps = Vec::new();
    let mut rest = scale;
    while rest > 1 {
        let step = std::iter::once(rest).chain((2..rest).rev().filter(|step| rest.is_multiple_of(*step)));
        let (step, found) = step.into_iter().find_map(|step| Some((step, with_dual(step)?)))?;
        steps.push(found);
        rest /= step;
    }
    let read = |&&(name, bytes): &&(&'static str, &[u8])| Ok((name, Model::from_bytes(bytes, name, &Device::flex())?));
    (!steps.is_empty()).then(|| steps.iter().map(read).collect())
}
