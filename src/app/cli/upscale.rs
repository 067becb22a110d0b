//! `upscale`: enlarging pictures.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::PoolingArg;

/// Enlarge pictures
///
/// Each result goes back through the model's dual network and is compared with the input: loop_psnr says how well it
/// kept to the picture, before the result is rounded to the bits of the file; expected_psnr how near it should be to the
/// true large picture, by what is known of the model's errors. Orientation is applied; colour profile, EXIF,
/// XMP, IPTC and density of the input are kept.
///
/// Folders are gone through with their sub-folders, which the output keeps. Such a batch writes a record beside its results
/// (dualres-batch.jsonl): the same command goes on where a run was cut off, and what is done is not done again.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dualres upscale photo.jpg -o large.png
  dualres upscale photo.jpg -o large.png --scale 4 --consistency where-it-invented.png
  dualres upscale photo.jpg -o print.tif --print 60x40cm --dpi 240 --depth 16
  dualres upscale holiday/ 'more/**/*.jpg' -o enlarged/ --long-side 6000 --table enlarged/table.csv")]
pub(crate) struct UpscaleArgs {
    /// Pictures, folders of pictures, or patterns such as 'photos/**/*.jpg'
    #[arg(required = true, value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,
    /// Output picture (.png .jpg .webp .tif .avif .bmp); a folder for several inputs
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: PathBuf,
    /// Model by name (see `dualres models list`) or file
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) model: Option<String>,
    /// So many times as large, 16 at most: by as many passes of the model as it takes, then by resampling; chooses the
    /// model if none is named
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
    /// As large as fits on paper, such as 30x20cm or 8x10in, at --dpi
    #[arg(long, value_name = "SIZE", group = "final_size")]
    pub(crate) print: Option<String>,
    /// Dots per inch of --print
    #[arg(long, value_name = "N", default_value_t = 300.0, requires = "print")]
    pub(crate) dpi: f64,
    /// Device: auto, cpu, gpu, or a part of its name (see `dualres devices`)
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: String,
    /// Side of tiles in input pixels, 32 on each side of them shared with the next; chosen from the free memory if not
    /// given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(16..=16384))]
    pub(crate) tile: Option<u32>,
    /// What channel attention averages over
    #[arg(long, value_enum, default_value_t = PoolingArg::Local)]
    pub(crate) pooling: PoolingArg,
    /// Feed what the way back misses into the result, 0 to 100 percent: loop PSNR rises
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) fidelity: u8,
    /// Also write the dual reconstruction, at the input's size; a folder for several inputs
    #[arg(long, value_name = "PATH")]
    pub(crate) dual: Option<PathBuf>,
    /// Also write where the reconstruction differs from the input, as a heat map; a folder for several inputs
    #[arg(long, value_name = "PATH")]
    pub(crate) consistency: Option<PathBuf>,
    /// Also write how large an error is expected where, as a heat map of 0 to 16 gray levels at the input's size; a folder
    /// for several inputs
    #[arg(long, value_name = "PATH")]
    pub(crate) expected_error: Option<PathBuf>,
    /// Format of results in an output folder; that of each input if not given
    #[arg(long, value_enum, ignore_case = true)]
    pub(crate) format: Option<FormatArg>,
    /// Bits a channel where the format has them; those of the input if not given
    #[arg(long, value_enum, value_name = "BITS")]
    pub(crate) depth: Option<DepthArg>,
    /// Resolution of the colours in JPEG output
    #[arg(long, value_enum, default_value_t = SubsamplingArg::Full)]
    pub(crate) subsampling: SubsamplingArg,
    /// Leave out all metadata but the colour profile
    #[arg(long)]
    pub(crate) strip: bool,
    /// Names in an output folder, of {name} {scale} {model} {width} {height} {index} {date}
    #[arg(long, value_name = "PATTERN", default_value = crate::naming::DEFAULT_PATTERN)]
    pub(crate) name: String,
    /// Also write a table of all results (CSV), those first that keep least to their originals
    #[arg(long, value_name = "FILE")]
    pub(crate) table: Option<PathBuf>,
    /// Quality of JPEG and AVIF output, 1 to 100
    #[arg(long, value_name = "Q", default_value_t = 95, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) quality: u8,
    /// Replace files that exist, and do again what a batch has done; without it names in a folder get a number
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Report one JSON object a line and file, and a summary of a batch
    #[arg(long)]
    pub(crate) json: bool,
}

impl UpscaleArgs {
    /// Files or folders of the proofs that are asked for, with what is put behind the names of pictures.
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
    /// WebP, lossless
    Webp,
    /// TIFF
    #[value(alias = "tiff")]
    Tif,
    /// AVIF, in sRGB
    Avif,
    /// BMP
    Bmp,
}

/// Bits a channel.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum DepthArg {
    /// 8 bits
    #[value(name = "8")]
    Eight,
    /// 16 bits: PNG and TIFF
    #[value(name = "16")]
    Sixteen,
    /// 32 bits, floats: TIFF
    #[value(name = "32")]
    Float,
}

/// Resolution of the colours against that of brightness.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SubsamplingArg {
    /// The same (4:4:4)
    Full,
    /// Half (4:2:0): smaller files
    Half,
}
