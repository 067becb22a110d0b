//! `upscale`: enlarging pictures.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{PoolingArg, PrecisionArg};
use crate::batch::shard::Shard;

/// Upscale images
///
/// Each result is reduced again by the model's dual network and compared with the input. The consistency PSNR (loop_psnr in
/// JSON) says how true the result is to the input, the predicted PSNR (expected_psnr) how close it should be to the true
/// high-resolution image. Orientation is applied; ICC profile, EXIF, XMP, IPTC and density are kept.
///
/// Folders are searched recursively, and their structure is kept; hidden and system folders are skipped unless named. A batch
/// keeps a record next to its results (.dualres-batch.jsonl): run the same command again to resume.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dualres upscale photo.jpg -o large.png
  dualres upscale photo.jpg -o large.png --scale 4 --consistency where-it-invented.png
  dualres upscale photo.jpg -o print.tif --print 60x40cm --dpi 240 --depth 16
  dualres upscale holiday/ 'more/**/*.jpg' -o enlarged/ --long-side 6000 --table enlarged/table.csv")]
pub(crate) struct UpscaleArgs {
    /// Images, folders, or glob patterns such as 'photos/**/*.jpg'
    #[arg(required = true, value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,
    /// Output image (.png .jpg .webp .tif .avif .bmp), or a folder for several inputs
    #[arg(
        short,
        long,
        value_name = "PATH",
        required = false,
        required_unless_present = "check",
        default_value_if("check", "true", "."),
        hide_default_value = true
    )]
    pub(crate) output: PathBuf,
    /// Only tell, per image, what a result would keep, convert and lose, or why there would be none; --output may be omitted
    #[arg(long)]
    pub(crate) check: bool,
    /// Model by name (see `dualres models list`) or file; auto: photo model for images with noise or JPEG artefacts [default: auto]
    #[arg(long, value_name = "NAME|FILE", hide_default_value = true)]
    pub(crate) model: Option<String>,
    /// Scale factor, up to 16: as many passes of the model as needed, then resampling
    #[arg(long, value_name = "X", group = "final_size")]
    pub(crate) scale: Option<f64>,
    /// Final width in pixels
    #[arg(long, value_name = "N", group = "final_size", value_parser = side())]
    pub(crate) width: Option<usize>,
    /// Final height in pixels
    #[arg(long, value_name = "N", group = "final_size", value_parser = side())]
    pub(crate) height: Option<usize>,
    /// Final length of the longer side in pixels
    #[arg(long, value_name = "N", group = "final_size", value_parser = side())]
    pub(crate) long_side: Option<usize>,
    /// Paper size to fill, such as 30x20cm or 8x10in, at --dpi
    #[arg(long, value_name = "SIZE", group = "final_size")]
    pub(crate) print: Option<String>,
    /// Dots per inch of --print
    #[arg(long, value_name = "N", default_value_t = 300.0, requires = "print")]
    pub(crate) dpi: f64,
    /// Device: auto, cpu, gpu, software, or part of its name (see `dualres devices`); several, separated by commas, or all, share the images
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: String,
    /// Memory of a GPU that may be used at a time, such as 2GB or 800MB: tiles become smaller, or larger [default: about 1 GB]
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    pub(crate) gpu_memory: Option<u64>,
    /// Precision on GPUs
    #[arg(long, value_enum, default_value_t = PrecisionArg::Auto)]
    pub(crate) precision: PrecisionArg,
    /// Tile size in input pixels, including the overlap with neighbours [default: from free memory]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(16..=16384))]
    pub(crate) tile: Option<u32>,
    /// What channel attention averages over
    #[arg(long, value_enum, default_value_t = PoolingArg::Local)]
    pub(crate) pooling: PoolingArg,
    /// Feed the residual of the dual reconstruction back into the result, 0 to 100 percent: raises the consistency PSNR
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) fidelity: u8,
    /// Also write the dual reconstruction, at the input's size (a folder for several inputs)
    #[arg(long, value_name = "PATH")]
    pub(crate) dual: Option<PathBuf>,
    /// Also write a heat map of the difference between reconstruction and input (a folder for several inputs)
    #[arg(long, value_name = "PATH")]
    pub(crate) consistency: Option<PathBuf>,
    /// Also write a heat map of the predicted error, 0 to 16 gray levels, at the input's size (a folder for several inputs)
    #[arg(long, value_name = "PATH")]
    pub(crate) expected_error: Option<PathBuf>,
    /// Format of results in an output folder [default: that of each input]
    #[arg(long, value_enum, ignore_case = true)]
    pub(crate) format: Option<FormatArg>,
    /// Bits per channel, if the format supports them [default: those of the input]
    #[arg(long, value_enum, value_name = "BITS")]
    pub(crate) depth: Option<DepthArg>,
    /// Chroma subsampling of JPEG output
    #[arg(long, value_enum, default_value_t = SubsamplingArg::Full)]
    pub(crate) subsampling: SubsamplingArg,
    /// Progressive JPEG output: shows a coarse image first, slightly smaller, slower to write
    #[arg(long)]
    pub(crate) progressive: bool,
    /// Lossy WebP output, at --quality
    #[arg(long)]
    pub(crate) lossy: bool,
    /// Remove all metadata except the ICC profile
    #[arg(long)]
    pub(crate) strip: bool,
    /// File name pattern in an output folder, from {name} {scale} {model} {width} {height} {index} {date}
    #[arg(long, value_name = "PATTERN", default_value = crate::naming::DEFAULT_PATTERN)]
    pub(crate) name: String,
    /// Do only the I-th of N parts of a batch, such as 2/8: several processes or machines can share an output folder. See
    /// `dualres batch`
    #[arg(long, value_name = "I/N", conflicts_with = "table")]
    pub(crate) shard: Option<Shard>,
    /// Also write a table of all results (CSV), the least certain first
    #[arg(long, value_name = "FILE")]
    pub(crate) table: Option<PathBuf>,
    /// Quality of JPEG, AVIF and lossy WebP output, 1 to 100
    #[arg(long, value_name = "Q", default_value_t = 95, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) quality: u8,
    /// Overwrite existing files, and redo finished images of a batch; otherwise names in a folder get a number
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Print one JSON object per file, and a summary of a batch
    #[arg(long)]
    pub(crate) json: bool,
}

impl UpscaleArgs {
    /// Requested proofs: paths, with the suffixes of their file names.
    pub(crate) fn proofs(&self) -> [(&'static str, Option<&PathBuf>); 3] {
        [
            ("dual", self.dual.as_ref()),
            ("consistency", self.consistency.as_ref()),
            ("expected", self.expected_error.as_ref()),
        ]
    }
}

/// Sides that make sense.
fn side() -> impl clap::builder::TypedValueParser<Value = usize> {
    clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000_000)
}

/// Formats that are written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum FormatArg {
    /// PNG
    Png,
    /// JPEG
    #[value(alias = "jpeg")]
    Jpg,
    /// WebP, lossless unless --lossy
    Webp,
    /// TIFF
    #[value(alias = "tiff")]
    Tif,
    /// AVIF, 10 bits
    Avif,
    /// JPEG XL, lossless, in sRGB
    Jxl,
    /// BMP
    Bmp,
}

/// Bits a channel.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum DepthArg {
    /// 8 bits
    #[value(name = "8")]
    Eight,
    /// 16 bits: PNG, TIFF and JPEG XL
    #[value(name = "16")]
    Sixteen,
    /// 32-bit float: TIFF
    #[value(name = "32")]
    Float,
}

/// Resolution of the colours against that of brightness.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SubsamplingArg {
    /// None (4:4:4)
    Full,
    /// Half resolution (4:2:0): smaller files
    Half,
}

/// Bytes, from a number with MB or GB behind it.
fn memory(text: &str) -> Result<u64, String> {
    let wrong = || "use a number with MB or GB, such as 2GB".to_owned();
    let text = text.trim().to_uppercase();
    let (number, unit) = match (text.strip_suffix("GB"), text.strip_suffix("MB")) {
        (Some(number), _) => (number, 1e9),
        (_, Some(number)) => (number, 1e6),
        _ => return Err(wrong()),
    };
    let bytes = number.trim().parse::<f64>().map_err(|_| wrong())? * unit;
    if (64e6..=1e13).contains(&bytes) { Ok(bytes as u64) } else { Err("use 64MB to 10000GB".to_owned()) }
}
