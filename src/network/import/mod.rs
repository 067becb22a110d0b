//! Networks of others as models: PyTorch's checkpoints, safetensors, ONNX, and ncnn's pairs of files.
//!
//! Weights without a graph are recognised by their names and shapes ([`crate::families`]); ONNX and ncnn bring their graph.
//! Nothing in a pickle is executed: the reader knows the few constructors that tensors need and refuses the rest.

mod adapt;
mod assembler;
mod checkpoint;
mod ncnn;
mod onnx;
mod pickle;

use std::path::{Path, PathBuf};

use burn::tensor::Device;

use crate::{
    Description, Model, NetworkError, Result, Weights,
    families::{self, Found},
    file::format_error,
    graph::Graph,
};
pub use adapt::ColourOrder;
use checkpoint::Checkpoint;

/// How a note about the range of samples begins.
const SAMPLES: &str = "samples in ";

/// What a file does not say of its network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImportOptions {
    /// Which of several scales to take.
    pub scale: Option<usize>,
    /// Lowest and highest sample that the network takes and gives; that of its family, or `[0, 1]`, if not given.
    pub range: Option<[f32; 2]>,
    /// Order of its colours.
    pub order: ColourOrder,
    /// A second file: dual models beside a checkpoint of DRN, or the weights (`.bin`) of an ncnn network.
    pub beside: Option<PathBuf>,
    /// Licence of the weights, as far as it is known.
    pub licence: Option<String>,
}

/// Files that are read, by their usual names.
pub const EXTENSIONS: [&str; 6] = ["pth", "pt", "ckpt", "safetensors", "onnx", "param"];

/// A network before it becomes a model.
#[derive(Clone)]
struct Read {
    family: String,
    graph: Graph,
    weights: Weights,
    range: Option<[f32; 2]>,
    assumed: Vec<String>,
    /// State dicts of dual models, from the input's scale upwards.
    duals: Vec<Weights>,
}

/// Reads a network of others. The model has no dual models but those that came with it.
///
/// # Errors
/// If a file cannot be read, is damaged, or holds no network that runs here; the message names what it seems to be.
pub fn read(path: &Path, options: &ImportOptions, device: &Device) -> Result<Model> {
    let read = open(path, options).map_err(|error| named(path, error))?;
    model(path, read, options, device).map_err(|error| named(path, error))
}

/// Reads a network once, and gives it with each of several ranges of samples.
///
/// # Errors
/// As [`read`].
pub fn read_with_ranges(
    path: &Path,
    options: &ImportOptions,
    ranges: &[[f32; 2]],
    device: &Device,
) -> Result<Vec<Model>> {
    let read = open(path, options).map_err(|error| named(path, error))?;
    let of = |range: &[f32; 2]| {
        let options = ImportOptions { range: Some(*range), ..options.clone() };
        model(path, read.clone(), &options, device).map_err(|error| named(path, error))
    };
    ranges.iter().map(of).collect()
}

/// An error that says which file it is about.
fn named(path: &Path, error: NetworkError) -> NetworkError {
    match error {
        NetworkError::Weights(reason) | NetworkError::Architecture(reason) => {
            format_error(&path.display().to_string(), reason)
        }
        other => other,
    }
}

fn open(path: &Path, options: &ImportOptions) -> Result<Read> {
    let is_bin = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("bin"));
    if is_bin && path.with_extension("param").is_file() {
        return open(&path.with_extension("param"), options);
    }
    let content = crate::read_file(path)?;
    if content.is_empty() {
        return Err(NetworkError::Weights("the file is empty".into()));
    }
    if crate::file::is_ncnn(&content) {
        let bin = options.beside.clone().unwrap_or_else(|| path.with_extension("bin"));
        if !bin.is_file() {
            let reason =
                format!("the weights of an ncnn network lie beside its layers, but {} is missing", bin.display());
            return Err(NetworkError::Weights(reason));
        }
        let text = String::from_utf8_lossy(&content);
        let (graph, weights) = ncnn::read(&text, &crate::read_file(&bin)?)?;
        return Ok(Read::graph("ncnn", graph, weights));
    }
    if let Some(beside) = options.beside.as_ref().filter(|beside| !beside.is_file()) {
        return Err(NetworkError::Weights(format!("the file beside it is no file: {}", beside.display())));
    }
    if onnx::is_onnx(&content) {
        let (graph, weights) = onnx::read(&content)?;
        return Ok(Read::graph("ONNX", graph, weights));
    }
    let mut duals = Vec::new();
    let weights = if content.starts_with(b"PK") || content.starts_with(&[0x80]) {
        let wrong = |reason: String| NetworkError::Weights(format!("not a checkpoint this program can read: {reason}"));
        if let Some(beside) = &options.beside {
            duals = match Checkpoint::read(beside)? {
                Checkpoint::StateDicts(dicts) => dicts,
                Checkpoint::StateDict(dict) => vec![dict],
            };
        }
        match checkpoint::parse(&content).map_err(wrong)? {
            Checkpoint::StateDict(weights) => weights,
            Checkpoint::StateDicts(_) => return Err(NetworkError::DualsAlone { name: path.display().to_string() }),
        }
    } else {
        crate::file::any_tensors(&content, &path.display().to_string())?
    };
    let found = families::recognise(&stripped(weights), options.scale)?;
    Ok(Read { duals, ..Read::from(found) })
}

impl Read {
    fn graph(kind: &str, graph: Graph, weights: Weights) -> Self {
        Self { family: kind.into(), graph, weights, range: None, assumed: Vec::new(), duals: Vec::new() }
    }
}

impl From<Found> for Read {
    fn from(found: Found) -> Self {
        Self {
            family: found.family.into(),
            graph: found.graph,
            weights: found.weights,
            range: Some(found.range),
            assumed: found.assumed,
            duals: Vec::new(),
        }
    }
}

/// Weights without what training programs put before their names.
fn stripped(mut weights: Weights) -> Weights {
    for prefix in ["module.", "_orig_mod.", "netG.", "generator.", "net_g."] {
        if weights.0.keys().all(|key| key.starts_with(prefix)) {
            weights = weights.under(prefix);
        }
    }
    // The old names of ESRGAN begin so themselves.
    if weights.0.keys().all(|key| key.starts_with("model.")) && !weights.0.contains_key("model.0.weight") {
        weights = weights.under("model.");
    }
    weights
}

fn model(path: &Path, read: Read, options: &ImportOptions, device: &Device) -> Result<Model> {
    if options.beside.is_some() && read.duals.is_empty() && read.family != "ncnn" {
        let reason = format!("nothing is read beside a network of the kind {}; leave the second file out", read.family);
        return Err(NetworkError::Weights(reason));
    }
    let range = options.range.or(read.range).unwrap_or([0.0, 1.0]);
    let shapes = read.graph.shapes([96, 144])?;
    let luma = shapes[0].channels == 1;
    let drn = read.family == "DRN";
    let graph = if drn { read.graph } else { adapt::adapt(&read.graph, range, options.order)? };
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut description = Description::new(stem, read.family.clone(), graph);
    description.purpose = format!("imported {} network", read.family);
    description.licence = options.licence.clone().unwrap_or_else(|| crate::UNKNOWN_LICENCE.into());
    description.import = read.assumed;
    if options.range.is_some() {
        description.import.retain(|note| !note.starts_with(SAMPLES));
    }
    if !drn {
        if !description.import.iter().any(|note| note.starts_with(SAMPLES)) {
            description.import.push(format!("{SAMPLES}[{}, {}]", range[0], range[1]));
        }
        description.import.push(match (luma, options.order) {
            (true, _) => "luma only; colours are enlarged by bicubic interpolation".into(),
            (false, ColourOrder::Rgb) => "colours in the order RGB".into(),
            (false, ColourOrder::Bgr) => "colours in the order BGR".into(),
        });
    }
    let mut weights = Weights::default();
    weights.extend_under("model.", read.weights);
    if !read.duals.is_empty() {
        let pyramid = description.pyramid();
        if read.duals.len() + 1 != pyramid.len() {
            let reason = format!("{} dual models where the network needs {}", read.duals.len(), pyramid.len() - 1);
            return Err(NetworkError::Weights(reason));
        }
        let width = |dual: &Weights| {
            dual.0.get("dual_module.0.0.weight").and_then(|weight| weight.shape.first().copied()).unwrap_or(1)
        };
        description = description.with_duals(families::dual_chain(&pyramid, width(&read.duals[0]))?);
        for (index, dual) in read.duals.into_iter().enumerate() {
            weights.extend_under(&format!("dual.{index}."), dual);
        }
    }
    Model::from_weights(description, &weights, device)
}

/// Reads a network from the bytes of an ONNX file, without placing it on a device: for trying broken files.
///
/// # Errors
/// As [`read`].
pub fn try_onnx(bytes: &[u8]) -> Result<()> {
    let (graph, _) = onnx::read(bytes)?;
    adapt::adapt(&graph, [0.0, 1.0], ColourOrder::Rgb).map(drop)
}

/// The same of a checkpoint of PyTorch.
///
/// # Errors
/// As [`read`].
pub fn try_checkpoint(bytes: &[u8]) -> Result<()> {
    match checkpoint::parse(bytes).map_err(NetworkError::Weights)? {
        Checkpoint::StateDict(weights) => families::recognise(&stripped(weights), None).map(drop),
        Checkpoint::StateDicts(_) => Ok(()),
    }
}

/// The same of the text and the weights of an ncnn network.
///
/// # Errors
/// As [`read`].
pub fn try_ncnn(param: &str, bin: &[u8]) -> Result<()> {
    let (graph, _) = ncnn::read(param, bin)?;
    adapt::adapt(&graph, [0.0, 1.0], ColourOrder::Rgb).map(drop)
}
