//! `dualres evaluate`

use dualres_engine::Upscaler;
use dualres_network::device;
use dualres_training::{ImageScore, Measuring, Scores, evaluate};

use super::library;
use super::progress_bar;
use crate::{cli::EvaluateArgs, interrupt, report, report::Outcome};

pub(crate) fn run(args: &EvaluateArgs) -> anyhow::Result<Outcome> {
    interrupt::listen()?;
    let model = library().choose(Some(&args.model), args.scale)?;
    let device = device::choose(&args.device)?;
    let upscaler = Upscaler::new(&model, &device)?;
    let count = dualres_imaging::find_pictures(&args.hr)?.len() as u64;
    let bar = progress_bar(count, "{pos}/{len} {bar:30} {msg}", args.json);
    let measuring =
        Measuring { pooling: args.pooling.into(), degradation: args.degradation.into(), ..Measuring::default() };
    let evaluation = evaluate(&upscaler, std::slice::from_ref(&args.hr), measuring, &mut |image| {
        bar.set_message(format!("{} {:.2} dB", image.name, image.scores.psnr_y));
        bar.inc(1);
        interrupt::flow()
    })?;
    bar.finish_and_clear();
    if args.json {
        report::line(&serde_json::to_string(&evaluation)?);
        return Ok(Outcome::Done);
    }
    report::line(&format!("{:24} {:>8} {:>8} {:>8} {:>8}", "picture", "PSNR-Y", "SSIM", "loop", "bicubic"));
    for ImageScore { name, scores } in &evaluation.images {
        report::line(&row(name, scores));
    }
    report::line(&row("mean", &evaluation.mean));
    report::line(&evaluation.rule);
    Ok(Outcome::Done)
}

fn row(name: &str, scores: &Scores) -> String {
    let looped = scores.loop_psnr.map_or("-".into(), |psnr| format!("{psnr:.2}"));
    format!("{name:24} {:>8.2} {:>8.4} {looped:>8} {:>8.2}", scores.psnr_y, scores.ssim_y, scores.bicubic_psnr_y)
}
