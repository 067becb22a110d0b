//! The report, and what the compressed network says of itself.

use dualres_network::{Metric, Model};
use dualres_training::{Distillation, Scores};
use serde_json::json;

use super::{Cut, Decision, UnderWay};
use crate::{Report, layers::MAC_INPUT, report::width_table, selection::Selected};

impl UnderWay<'_> {
    pub(super) fn report(
        &self,
        mut result: Model,
        decision: &Decision,
        selected: &Selected,
        cut: &Cut,
        (after, finetuned): (Scores, bool),
        seconds: f64,
    ) -> (Model, Report) {
        let (config, original) = (self.config, &self.original);
        let before = &original.description;
        let layers = &self.layers;
        let small = &decision.widths;
        let count = |model: &Model| model.description.network.executed_cost(MAC_INPUT, MAC_INPUT);
        let (full_cost, small_cost) = (count(original), count(&result));
        let share = |after: u64, before: u64| after as f64 / before.max(1) as f64;
        let kept_macs_ratio = share(small_cost.macs(), full_cost.macs());
        let kept_params_ratio = share(small_cost.parameters(), full_cost.parameters());
        let channels = |widths: &[usize]| widths.iter().sum::<usize>() as f64;
        let name = |distillation: &Distillation| {
            distillation.teacher.file_name().unwrap_or_default().to_string_lossy().into_owned()
        };
        let selection_lambda = if config.method.about().dual { config.selection.lambda } else { 0.0 };
        let mut report = Report {
            name: config.name.clone(),
            original: before.name.clone(),
            method: config.method,
            mode: config.mode,
            ratio: config.ratio,
            lambda: [config.search.lambda, selection_lambda],
            seed: config.seed,
            macs_before: full_cost.macs(),
            macs_after: small_cost.macs(),
            kept_macs_ratio,
            macs_within_ratio: kept_macs_ratio <= 1.0 - config.ratio + 1e-9,
            widths_given: config.widths.is_some(),
            params_before: full_cost.parameters(),
            params_after: small_cost.parameters(),
            kept_params_ratio,
            kept_width_ratio: channels(small) / channels(&layers.widths),
            bytes_before: original.to_bytes().len() as u64,
            bytes_after: 0,
            psnr_before: cut.before.psnr_y,
            psnr_cut: cut.cut.psnr_y,
            psnr_after: after.psnr_y,
            loop_psnr_before: cut.before.loop_psnr,
            loop_psnr_after: after.loop_psnr,
            cut_difference: cut.difference,
            selection_losses: selected.losses,
            alpha_entropy: decision.alpha_entropy,
            finetune_steps: config.finetune.steps,
            finetuned,
            distilled_from: config.finetune.distillation.as_ref().filter(|_| finetuned).map(name),
            width_table: width_table(layers, small),
            data_hash: self.data_hash.clone(),
            rule: cut.rule.clone(),
            validation_pictures: self.data.validation.len(),
            validation_crop: config.validation_crop,
            seconds,
            times: None,
        };
        let description = &mut result.description;
        description.name.clone_from(&config.name);
        let percent = (kept_macs_ratio * 100.0).round();
        description.purpose = format!("{}; {percent} % of the multiply-accumulates of {}", before.purpose, before.name);
        description.licence.clone_from(&before.licence);
        let metric =
            |name: &str, value: f64| Metric { name: name.into(), set: cut.set.clone(), value, rule: cut.rule.clone() };
        description.metrics = vec![metric("psnr_y", after.psnr_y)];
        description.metrics.extend(after.loop_psnr.map(|value| metric("loop_psnr", value)));
        description.training = json!({
            "original": before.training,
            "compression": {
                "original": before.name,
                "method": config.method,
                "mode": config.mode,
                "ratio": config.ratio,
                "seed": config.seed,
                "search": config.search,
                "selection": config.selection,
                "kept_macs_ratio": kept_macs_ratio,
                "psnr_before": cut.before.psnr_y,
                "psnr_after": after.psnr_y,
            },
            "finetuning": if finetuned { description.training.clone() } else { serde_json::Value::Null },
        });
        report.bytes_after = result.to_bytes().len() as u64;
        (result, report)
    }
}
