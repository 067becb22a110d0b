//! How results are made and written, so that a batch knows what is done: one description for the command line and the window.

use std::path::Path;

use anyhow::{anyhow, bail};
use dualres_engine::{Options, PoolingChoice};
use dualres_imaging::{EncodeOptions, Format, ImagingError};
use serde::Serialize;

use super::{
    inputs::Input,
    record::Key,
    result::{Keep, format_like},
    sizes::FinalSize,
    sums::{content_of, settings_of},
};
use crate::{
    language::tr,
    naming::{self, DEFAULT_PATTERN, Facts},
};

/// All that a result depends on, but for its picture and its model.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// Final size.
    pub size: FinalSize,
    /// Format of the file; that of each original if not given.
    pub format: Option<Format>,
    /// How it is encoded.
    pub encoding: EncodeOptions,
    /// What it takes along of its original.
    pub keep: Keep,
    /// How far the dual residual is fed back, in `[0, 1]`.
    pub fidelity: f32,
    /// Pooling of the channel attention.
    pub pooling: PoolingChoice,
    /// Side of tiles in pixels of the original; chosen from the free memory if not given. Results do not depend on it.
    pub tile: Option<usize>,
    /// Pattern of names; see [`naming::file_name`].
    pub pattern: String,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            size: FinalSize::default(),
            format: None,
            encoding: EncodeOptions::default(),
            keep: Keep::default(),
            fidelity: 0.0,
            pooling: PoolingChoice::default(),
            tile: None,
            pattern: DEFAULT_PATTERN.to_owned(),
        }
    }
}

impl Recipe {
    /// What the engine is asked for.
    pub fn options(&self) -> Options {
        Options { tile: self.tile, pooling: self.pooling, fidelity: self.fidelity }
    }

    /// The format of the result of a file.
    pub fn format_of(&self, original: &Path) -> Format {
        self.format.unwrap_or_else(|| format_like(original))
    }

    /// The final size of a picture of `from` pixels, the file of which is named in errors.
    ///
    /// # Errors
    /// If it is out of reach, or the format does not hold it.
    pub fn size_of(
        &self,
        from: [usize; 2],
        scale: usize,
        format: Format,
        original: &Path,
    ) -> anyhow::Result<[usize; 2]> {
        let path = original.display();
        self.size.check(from, scale).map_err(|reason| anyhow!("{reason}: {path}"))?;
        let [width, height] = self.size.of(from, scale);
        if width.max(height) > format.max_side() {
            bail!(tr!(
                "%{format} supports at most %{most} pixels per side, and the result has %{width}x%{height}; use PNG or TIFF: %{path}",
                format = format.name(),
                most = format.max_side(),
                width = width,
                height = height,
                path = path
            ));
        }
        Ok([width, height])
    }

    /// What is known of the result of a picture of `from` pixels, for its name. `index` is its place among all, from 1 on.
    pub fn facts(&self, original: &Path, from: [usize; 2], (model, scale): (&str, usize), index: usize) -> Facts {
        let [width, height] = self.size.of(from, scale);
        Facts {
            name: original.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            scale: naming::times(self.size.times(from, scale)),
            model: model.to_owned(),
            width,
            height,
            index,
            date: naming::today(),
        }
    }

    /// The name of a result with its ending.
    ///
    /// # Errors
    /// If the pattern makes no sense.
    pub fn file_name(&self, facts: &Facts, format: Format) -> anyhow::Result<String> {
        let name = naming::file_name(&self.pattern, facts)
            .map_err(|reason| anyhow!(tr!("the pattern of names: %{reason}", reason = reason)))?;
        Ok(format!("{name}.{}", format.extension()))
    }

    /// What a picture is called in the record of its batch. `weights` tells the model's weights from any others
    /// ([`super::sums::fingerprint`] of its file).
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn key(&self, input: &Input, weights: &str, format: Format) -> anyhow::Result<Key> {
        let path = &input.path;
        let content = content_of(path).map_err(|source| ImagingError::Open { path: path.clone(), source })?;
        Ok(Key { input: input.key(), content, settings: self.fingerprint(weights, format) })
    }

    /// The same for another result of a picture whose key is known.
    pub fn key_of(&self, of: &Key, weights: &str, format: Format) -> Key {
        Key { settings: self.fingerprint(weights, format), ..of.clone() }
    }

    /// A short name of all that the result depends on.
    fn fingerprint(&self, weights: &str, format: Format) -> String {
        #[derive(Serialize)]
        struct Said<'a> {
            weights: &'a str,
            size: FinalSize,
            format: &'a str,
            others: String,
            name: &'a str,
        }
        let Self { size, encoding, keep, fidelity, pooling, pattern, .. } = self;
        // What was added later says nothing where it is as it always was: results of before stay known.
        let EncodeOptions { quality, subsampling, progressive, lossy } = *encoding;
        let added = [(progressive, " progressive"), (lossy, " lossy")];
        let added: String = added.into_iter().filter_map(|(is_so, what)| is_so.then_some(what)).collect();
        let encoding = format!("EncodeOptions {{ quality: {quality}, subsampling: {subsampling:?} }}{added}");
        let percent = (fidelity * 100.0).round() as u8;
        let others = format!("{encoding} {keep:?} {percent} {pooling:?}");
        settings_of(&Said { weights, size: *size, format: format.name(), others, name: pattern })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn every_setting_tells_results_apart_and_those_of_before_stay_known() {
        let usual = Recipe { pattern: "{name}".into(), ..Recipe::default() };
        let known = usual.fingerprint("w", Format::Png);
        let others = [
            Recipe { size: FinalSize::Factor(2.0), ..usual.clone() },
            Recipe { encoding: EncodeOptions { quality: 90, ..usual.encoding }, ..usual.clone() },
            Recipe { encoding: EncodeOptions { progressive: true, ..usual.encoding }, ..usual.clone() },
            Recipe { encoding: EncodeOptions { lossy: true, ..usual.encoding }, ..usual.clone() },
            Recipe { keep: Keep { strip: true, ..usual.keep }, ..usual.clone() },
            Recipe { fidelity: 0.5, ..usual.clone() },
            Recipe { pooling: PoolingChoice::Global, ..usual.clone() },
            Recipe { pattern: "{index}".into(), ..usual.clone() },
        ];
        let mut names: std::collections::BTreeSet<String> =
            others.iter().map(|other| other.fingerprint("w", Format::Png)).collect();
        names.extend([usual.fingerprint("v", Format::Png), usual.fingerprint("w", Format::Tiff), known.clone()]);
        assert_eq!(names.len(), others.len() + 3);
        // Tiles change nothing, and hundredths of a percent are those of a slider.
        let same = Recipe { tile: Some(64), fidelity: 0.000_01, ..usual.clone() };
        assert_eq!(same.fingerprint("w", Format::Png), known);
    }

    #[test]
    fn sizes_that_a_format_does_not_hold_are_refused_by_name() {
        let recipe = Recipe { size: FinalSize::Factor(4.0), ..Recipe::default() };
        let of = |from, format| recipe.size_of(from, 2, format, Path::new("a.png"));
        assert_eq!(of([100, 50], Format::WebP).unwrap(), [400, 200]);
        let error = of([5_000, 10], Format::WebP).unwrap_err().to_string();
        assert!(error.contains("16383") && error.contains("a.png"), "{error}");
        let facts = recipe.facts(Path::new("deep/a.png"), [100, 50], ("x2", 2), 3);
        assert_eq!(recipe.file_name(&facts, Format::Tiff).unwrap(), "a_x2.tif");
        let wrong = Recipe { pattern: "{wide}".into(), ..recipe };
        assert!(wrong.file_name(&facts, Format::Tiff).unwrap_err().to_string().contains("{wide}"));
    }
}
