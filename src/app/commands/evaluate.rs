//! `dualres evaluate`

use dualres_engine::Upscaler;

use dualres_training::{ImageScore, Measuring, MeasuringEvent, Scores, correlation::WINDOW, evaluate};

use super::library;
use super::progress_bar;
use crate::{
    cli::EvaluateArgs,
    interrupt, report,
    report::{LeftOut, Outcome},
};

pub(crate) fn run(args: &EvaluateArgs) -> anyhow::Result<Outcome> {
    crate::signals::listen()?;
    let model = library().choose(Some(&args.model), args.scale)?;
    let device = super::device(&args.device)?;
    let upscaler = Upscaler::new(&model, &super::vetted(&model, &device)?)?;
    let count = match args.hr.is_file() {
        true => 1,
        false => dualres_imaging::find_pictures(&args.hr)?.len() as u64,
    };
    let bar = progress_bar(count, "{pos}/{len} {bar:30} {msg}", args.json);
    let measuring = Measuring { pooling: args.pooling.into(), degradation: args.degradation.0, ..Measuring::default() };
    let mut left_out = LeftOut::default();
    let evaluation = evaluate(&upscaler, std::slice::from_ref(&args.hr), measuring, &mut |told| {
        match told {
            MeasuringEvent::Measured(image) => {
                bar.set_message(report::one_line(&format!("{} {:.2} dB", image.name, image.scores.psnr_y)).into_owned())
            }
            MeasuringEvent::LeftOut(unusable) => left_out.add(unusable, &bar),
        }
        bar.inc(1);
        interrupt::flow()
    });
    bar.finish_and_clear();
    super::tell_of_failures(&upscaler);
    let evaluation = evaluation?;
    let outcome = if evaluation.stopped { Outcome::Failed } else { Outcome::Done };
    if args.json {
        report::line(&serde_json::to_string(&evaluation)?);
        return Ok(left_out.end(outcome));
    }
    let heads =
        ["PSNR-Y", "SSIM", "consist.", "bicubic", "predict.", "map", "pred.map"].map(|head| format!(" {head:>8}"));
    report::line(&format!("{:24}{}", "image", heads.concat()));
    for ImageScore { name, scores } in &evaluation.images {
        report::line(&row(name, scores));
    }
    report::line(&row("mean", &evaluation.mean));
    report::line(&evaluation.rule);
    report::line(&format!(
        "consist.: consistency PSNR; predict.: predicted PSNR; map, pred.map: Spearman correlation of consistency map and predicted \
         error with the true error in windows of \
         {WINDOW}x{WINDOW} input pixels"
    ));
    for (what, correlation) in [
        ("consistency PSNR", evaluation.loop_psnr_correlation),
        ("predicted PSNR", evaluation.expected_psnr_correlation),
    ] {
        if let Some(correlation) = correlation {
            report::line(&format!("correlation of {what} and PSNR across images: {correlation:.3}"));
        }
    }
    if evaluation.stopped {
        report::say(&format!(
            "stopped after {} of {count} images",
            evaluation.images.len() + evaluation.left_out.len()
        ));
    }
    Ok(left_out.end(outcome))
}

fn row(name: &str, scores: &Scores) -> String {
    let if_known = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.2}"));
    let [looped, expected, map, expected_map] =
        [scores.loop_psnr, scores.expected_psnr, scores.consistency_correlation, scores.expected_correlation]
            .map(if_known);
    let Scores { psnr_y, ssim_y, bicubic_psnr_y, .. } = scores;
    format!(
        "{name:24} {psnr_y:>8.2} {ssim_y:>8.4} {looped:>8} {bicubic_psnr_y:>8.2} {expected:>8} {map:>8} {expected_map:>8}"
    )
}
