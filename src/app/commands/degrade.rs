//! `dualres degrade`

use dualres_imaging::{EncodeOptions, Format, Subsampling, encode, file::write_atomically, find_pictures};
use dualres_training::{Degradation, Known, Unusable, reduced};

use super::progress_bar;
use crate::{
    cli::DegradeArgs,
    interrupt,
    report::{self, LeftOut, Misuse, Outcome},
    targets::{Targets, prepare_folder},
};

pub(crate) fn run(args: &DegradeArgs) -> anyhow::Result<Outcome> {
    crate::signals::listen()?;
    let degradation = args.degradation.0.unwrap_or(Degradation::Known(Known::BICUBIC));
    // A JPEG file is what its pixels were made by; written as one they are not compressed twice.
    let (pixels, jpeg) = match degradation {
        Degradation::Known(Known { jpeg: Some(quality), reduction, noise }) => {
            (Degradation::Known(Known { jpeg: None, reduction, noise }), Some(quality))
        }
        other => (other, None),
    };
    let (format, ending) = if jpeg.is_some() { (Format::Jpeg, "jpg") } else { (Format::Png, "png") };
    let options =
        EncodeOptions { quality: jpeg.unwrap_or(100), subsampling: Subsampling::Full, ..EncodeOptions::default() };
    let pictures = match args.hr.is_file() {
        true => vec![args.hr.clone()],
        false => find_pictures(&args.hr)?,
    };
    if pictures.is_empty() {
        return Err(Misuse(format!("no images in the folder: {}", args.hr.display())).into());
    }
    let mut targets = Targets::new(args.overwrite);
    pictures.iter().for_each(|path| targets.protect(path));
    let mut outputs = Vec::new();
    for path in &pictures {
        let mut name = path.file_stem().unwrap_or_default().to_owned();
        name.push(format!(".{ending}"));
        let output = args.output.join(name);
        targets.take(&output, || false)?;
        outputs.push(output);
    }
    prepare_folder(&args.output)?;
    let bar = progress_bar(pictures.len() as u64, "{pos}/{len} {bar:30}", false);
    let (mut left_out, mut written) = (LeftOut::default(), 0);
    for (index, (path, output)) in pictures.iter().zip(&outputs).enumerate() {
        if interrupt::flow().is_break() {
            break;
        }
        let made = Unusable::of(path, || {
            let small = reduced(path, usize::from(args.scale), pixels.reduction())?;
            let picture = pixels.degrade(&small, args.seed, index as u64)?;
            Ok(encode(&picture, format, options)?)
        });
        match made {
            Ok(bytes) => {
                write_atomically(output, &bytes)?;
                written += 1;
            }
            Err(unusable) => left_out.add(&unusable, &bar),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    report::line(&format!("{} written: {}", report::counted(written, "image"), args.output.display()));
    let stopped = interrupt::flow().is_break();
    Ok(left_out.end(if stopped { Outcome::Failed } else { Outcome::Done }))
}
