//! What a result was made with, so that a batch knows what is done: one definition for the command line and the window.

use dualres_engine::PoolingChoice;
use dualres_imaging::{EncodeOptions, Format};
use serde::Serialize;

use super::{result::Keep, sizes::FinalSize, sums::settings_of};

/// All settings that a result depends on.
#[derive(Clone, Copy, Debug)]
pub struct MadeWith<'a> {
    /// What tells the weights of the model from any others ([`super::sums::fingerprint`] of its file).
    pub weights: &'a str,
    /// Final size.
    pub size: FinalSize,
    /// Format of the file.
    pub format: Format,
    /// How it is encoded.
    pub encoding: EncodeOptions,
    /// What it takes along of its original.
    pub keep: Keep,
    /// Fidelity in percent.
    pub fidelity: u8,
    /// Pooling of the channel attention.
    pub pooling: PoolingChoice,
    /// Pattern of its name.
    pub name: &'a str,
}

impl MadeWith<'_> {
    /// A short name of all of it.
    pub fn fingerprint(&self) -> String {
        #[derive(Serialize)]
        struct Said<'a> {
            weights: &'a str,
            size: FinalSize,
            format: &'a str,
            others: String,
            name: &'a str,
        }
        let Self { weights, size, format, encoding, keep, fidelity, pooling, name } = *self;
        // What was added later says nothing where it is as it always was: results of before stay known.
        let EncodeOptions { quality, subsampling, progressive, lossy } = encoding;
        let added = [(progressive, " progressive"), (lossy, " lossy")];
        let added: String = added.into_iter().filter_map(|(is_so, what)| is_so.then_some(what)).collect();
        let encoding = format!("EncodeOptions {{ quality: {quality}, subsampling: {subsampling:?} }}{added}");
        let others = format!("{encoding} {keep:?} {fidelity} {pooling:?}");
        settings_of(&Said { weights, size, format: format.name(), others, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_tells_results_apart() {
        let usual = MadeWith {
            weights: "w",
            size: FinalSize::Model,
            format: Format::Png,
            encoding: EncodeOptions::default(),
            keep: Keep::default(),
            fidelity: 0,
            pooling: PoolingChoice::default(),
            name: "{name}",
        };
        let others = [
            MadeWith { weights: "v", ..usual },
            MadeWith { size: FinalSize::Factor(2.0), ..usual },
            MadeWith { format: Format::Tiff, ..usual },
            MadeWith { encoding: EncodeOptions { quality: 90, ..usual.encoding }, ..usual },
            MadeWith { encoding: EncodeOptions { progressive: true, ..usual.encoding }, ..usual },
            MadeWith { encoding: EncodeOptions { lossy: true, ..usual.encoding }, ..usual },
            MadeWith { keep: Keep { strip: true, ..usual.keep }, ..usual },
            MadeWith { fidelity: 50, ..usual },
            MadeWith { pooling: PoolingChoice::Global, ..usual },
            MadeWith { name: "{index}", ..usual },
        ];
        let names: std::collections::BTreeSet<String> =
            others.iter().chain([&usual]).map(MadeWith::fingerprint).collect();
        assert_eq!(names.len(), others.len() + 1);
    }
}
