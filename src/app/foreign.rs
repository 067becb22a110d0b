//! Networks of others: read, looked at on a picture inside the program, and given what they lack.

use std::path::{Path, PathBuf};

use anyhow::bail;
use dualres_engine::{Examination, examine, glance};
use dualres_network::{
    Device, Model,
    device::ComputeDevice,
    import::{self, ColourOrder, ImportOptions},
};

use crate::{built_in, hints::wording, language::tr, samples};

/// Reads a model file of ours, or a network of others with the dual models of another one of its scale, and says what was
/// found out about it. Nothing is stored.
///
/// # Errors
/// If the file holds no network that runs here, or one whose results are no enlargements of what it is given.
pub(crate) fn read(path: &Path, options: &ImportOptions) -> anyhow::Result<(Model, Vec<String>)> {
    let device = Device::flex();
    // Ours say so themselves; a file of tensors alone is one of others.
    let bytes = dualres_network::read_file(path)?;
    let shown = path.display().to_string();
    if dualres_network::is_model(&bytes) {
        let ImportOptions { scale, range, order, beside, licence } = options;
        let given = scale.is_some() || range.is_some() || beside.is_some() || licence.is_some();
        if given || *order != ColourOrder::default() {
            let what = "it is a model of Dualres, which says itself what it is; import it without further options";
            bail!("{what}: {shown}");
        }
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
    let scale = model.description.scale();
    if let Some(wanted) = options.scale.filter(|&wanted| wanted != scale) {
        bail!("the network enlarges {scale} times, not {wanted} times as --scale says: {shown}");
    }
    let (mut model, examined) = examined(model, path, &options)?;
    (model.description.halo, model.description.seam) = (examined.halo, examined.lasting_seam());
    let mut notes = model.description.import.clone();
    if model.duals.is_empty() {
        notes.push(match built_in::duals_for(model.description.scale()) {
            Some(others) => {
                let (names, others): (Vec<_>, Vec<_>) = others?.into_iter().unzip();
                let name = names.join(" + ");
                model = model.with_duals_through(&others)?;
                model.description.borrowed_duals = true;
                wording(
                    || {
                        format!(
                            "results are proven by the dual models of {name}; train its own with `dualres train \
                             --dual-only --model`"
                        )
                    },
                    || tr!("results are proven by the dual models of %{name}; the Models tab trains its own", name = name),
                )
            }
            None if model.description.scale() == 1 => tr!("it does not enlarge, so its results cannot be proven"),
            None => wording(
                || {
                    "it has no dual model: results cannot be proven before one is trained with `dualres train --dual-only \
                     --model`"
                        .into()
                },
                || tr!("it has no dual model: results cannot be proven before the Models tab has trained one"),
            ),
        });
    }
    notes.extend(examined.notes());
    Ok((model, notes))
}

/// By how much, in dB, samples in another range than [0, 1] have to give the better picture. Small networks that change little
/// look the better the larger their samples are.
const BETTER: f64 = 1.0;
/// PSNR in dB, reduced again, from which no other range than [0, 1] is looked for.
const CERTAIN: f64 = 45.0;

/// The model after a look at what it makes of a picture. Where a file does not say the range of its samples, the usual ones
/// are tried, and what was found is said.
fn examined(mut model: Model, path: &Path, options: &ImportOptions) -> anyhow::Result<(Model, Examination)> {
    let cpu = ComputeDevice::cpu();
    let picture = sample()?;
    if options.range.is_none() && ["ONNX", "ncnn"].contains(&model.description.family.as_str()) {
        let small = picture.crop(0, 0, picture.width().min(96), picture.height().min(96));
        let usual = glance(&model, &cpu, &small)?;
        let mut told = vec![format!("[0, 1] {usual:.1} dB")];
        if usual < CERTAIN {
            let ranges = [[0.0, 255.0], [-1.0, 1.0]];
            let mut best = usual;
            for (range, tried) in ranges.iter().zip(import::read_with_ranges(path, options, &ranges, &Device::flex())?)
            {
                let seen = glance(&tried, &cpu, &small)?;
                told.push(format!("[{}, {}] {seen:.1} dB", range[0], range[1]));
                if seen > best.max(usual + BETTER) {
                    (best, model) = (seen, tried);
                }
            }
        }
        let tried = told.join(", ").replace("-inf dB", "none");
        for note in model.description.import.iter_mut().filter(|note| note.starts_with("samples in")) {
            note.push_str(&format!(", a guess: the file does not say so (results reduced again: {tried})"));
        }
    }
    let seen = examine(&model, &cpu, &picture)?;
    // Published weights of our own family are taken as they are.
    if !seen.is_enlargement() && model.description.family != "DRN" {
        let way = wording(
            || "--range and --order say what its samples are".into(),
            || tr!("the command `dualres models import` can be told what its samples are"),
        );
        bail!("{}; {way}: {}", seen.complaint(), path.display());
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

/// Licences that lie beside a file; the first is its own.
pub(crate) fn licences_beside(path: &Path) -> Vec<PathBuf> {
    let Some(folder) = path.parent() else { return Vec::new() };
    let names = [format!("{}.LICENSE", stem(path)), "LICENSE".into(), "LICENSE.txt".into(), "LICENSE.md".into()];
    names.into_iter().map(|name| folder.join(name)).filter(|file| file.is_file()).collect()
}

/// The text of a licence that lies beside a file.
fn licence_beside(path: &Path) -> Option<String> {
    const MAX: u64 = 64 << 10;
    let file = licences_beside(path).into_iter().next()?;
    (std::fs::metadata(&file).ok()?.len() <= MAX).then(|| std::fs::read_to_string(&file).ok()).flatten()
}

/// A colour order by its name.
pub(crate) fn order(bgr: bool) -> ColourOrder {
    if bgr { ColourOrder::Bgr } else { ColourOrder::Rgb }
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
