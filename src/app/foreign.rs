//! Networks of others: read, looked at on a picture inside the program, and given what they lack.

use std::path::{Path, PathBuf};

use anyhow::bail;
use burn::tensor::Device;
use dualres_engine::{Examination, examine};
use dualres_network::{
    Model, NetworkError,
    device::ComputeDevice,
    import::{self, ColourOrder, ImportOptions},
};

use crate::{library::Library, samples};

/// Reads a model file of ours, or a network of others with the dual models of another one of its scale, and says what was
/// found out about it. Nothing is stored.
///
/// # Errors
/// If the file holds no network that runs here, or one whose results are no enlargements of what it is given.
pub(crate) fn read(library: &Library, path: &Path, options: &ImportOptions) -> anyhow::Result<(Model, Vec<String>)> {
    let device = Device::flex();
    // Ours say so themselves; a file of tensors alone is one of others.
    let bytes = std::fs::read(path).map_err(|source| NetworkError::Read { path: path.to_owned(), source })?;
    let shown = path.display().to_string();
    if dualres_network::is_model(&bytes) {
        return Ok((Model::from_bytes(&bytes, &shown, &device)?, Vec::new()));
    }
    drop(bytes);
    let mut options = options.clone();
    let beside = path.with_file_name(format!("{}_dual_model.pt", stem(path)));
    if options.beside.is_none() && beside.is_file() {
        options.beside = Some(beside);
    }
    options.licence = options.licence.or_else(|| licence_beside(path));
    let model = import::read(path, &options, &device)?;
    let (mut model, examined) = examined(model, path, &options)?;
    let mut notes = model.description.import.clone();
    model.description.halo = examined.halo;
    if model.duals.is_empty() {
        notes.push(match library.dual_of(model.description.scale()) {
            Some(other) => {
                let (name, other) = other?;
                model = model.with_duals_of(&other)?;
                model.description.borrowed_duals = true;
                format!("results are proven by the dual models of {name}; train its own with `dualres train --dual-only --model`")
            }
            None => "it has no dual model: results cannot be proven before one is trained".into(),
        });
    }
    notes.extend(examined.notes());
    Ok((model, notes))
}

/// The model after a look at what it makes of a picture. Where a file does not say the range of its samples, both usual ones
/// are tried.
fn examined(model: Model, path: &Path, options: &ImportOptions) -> anyhow::Result<(Model, Examination)> {
    let cpu = ComputeDevice::cpu();
    let picture = sample()?;
    let unknown = options.range.is_none() && ["ONNX", "ncnn"].contains(&model.description.family.as_str());
    let mut best = (examine(&model, &cpu, &picture)?, model);
    if unknown {
        for range in [[0.0, 255.0], [-1.0, 1.0]] {
            // With the usual range it is nearly the picture already: no other can be meant.
            if best.0.is_enlargement() && best.0.psnr.is_some_and(|psnr| psnr > 32.0) {
                break;
            }
            let options = ImportOptions { range: Some(range), ..options.clone() };
            let tried = import::read(path, &options, &Device::flex())?;
            let seen = examine(&tried, &cpu, &picture)?;
            if seen.is_enlargement() && seen.psnr > best.0.psnr {
                best = (seen, tried);
            }
        }
    }
    let (seen, model) = best;
    // Published weights of our own family are taken as they are.
    if !seen.is_enlargement() && model.description.family != "DRN" {
        bail!("{}; --range and --order say what its samples are: {}", seen.complaint(), path.display());
    }
    Ok((model, seen))
}

/// A small piece of a picture inside the program, with something of everything in it.
fn sample() -> anyhow::Result<dualres_imaging::Picture> {
    let (name, bytes) = samples::first();
    let picture = dualres_imaging::decode(bytes, name)?;
    let (width, height) = (picture.width().min(160), picture.height().min(128));
    Ok(picture.crop((picture.width() - width) / 2, (picture.height() - height) / 3, width, height))
}

/// The text of a licence that lies beside a file.
fn licence_beside(path: &Path) -> Option<String> {
    const MOST: u64 = 64 << 10;
    let folder = path.parent()?;
    let names = [format!("{}.LICENSE", stem(path)), "LICENSE".into(), "LICENSE.txt".into(), "LICENSE.md".into()];
    let file: PathBuf = names.into_iter().map(|name| folder.join(name)).find(|file| file.is_file())?;
    (std::fs::metadata(&file).ok()?.len() <= MOST).then(|| std::fs::read_to_string(&file).ok()).flatten()
}

/// A colour order by its name.
pub(crate) fn order(bgr: bool) -> ColourOrder {
    if bgr { ColourOrder::Bgr } else { ColourOrder::Rgb }
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
