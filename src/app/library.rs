//! Models by name: those inside the program, and files.

use std::path::Path;

use anyhow::Context;
use burn::tensor::Device;
use dualres_network::{Description, Model};

use crate::report::Misuse;

/// Models that are part of the program, so that it works anywhere and offline.
const EMBEDDED: [(&str, &[u8]); 2] =
    [("x2", include_bytes!("../../models/x2.safetensors")), ("x4", include_bytes!("../../models/x4.safetensors"))];

/// Names and descriptions of the models inside the program.
pub(crate) fn embedded() -> anyhow::Result<Vec<(&'static str, Description)>> {
    EMBEDDED.iter().map(|(name, bytes)| Ok((*name, Model::describe(bytes, name)?))).collect()
}

/// The model of a name or file, on the CPU.
///
/// `scale` is what the user asked for, if anything: it chooses among the models inside the program, and must agree
/// with a model that is named.
pub(crate) fn load(wanted: Option<&str>, scale: Option<usize>) -> anyhow::Result<Model> {
    let cpu = Device::flex();
    let name = match (wanted, scale) {
        (Some(name), _) => name.to_owned(),
        (None, None) => EMBEDDED[0].0.to_owned(),
        (None, Some(scale)) => {
            let found = embedded()?.into_iter().find(|(_, d)| d.architecture.scale == scale);
            let (name, _) = found.ok_or_else(|| {
                let names: Vec<_> = EMBEDDED.iter().map(|(name, _)| *name).collect();
                Misuse(format!("no model for scale {scale} inside the program; there are {}", names.join(", ")))
            })?;
            name.to_owned()
        }
    };
    let model = match EMBEDDED.iter().find(|(known, _)| *known == name) {
        Some((known, bytes)) => Model::from_bytes(bytes, known, &cpu)?,
        None => {
            let path = Path::new(&name);
            if !path.exists() {
                let names: Vec<_> = EMBEDDED.iter().map(|(name, _)| *name).collect();
                return Err(
                    Misuse(format!("no model and no file called \"{name}\"; models: {}", names.join(", "))).into()
                );
            }
            Model::read(path, &cpu).context("cannot load the model")?
        }
    };
    let found = model.description.architecture.scale;
    match scale {
        Some(scale) if scale != found => {
            Err(Misuse(format!("the model {name} enlarges {found} times, not {scale} times")).into())
        }
        _ => Ok(model),
    }
}
