//! `dualres compress table`

use std::{collections::HashSet, path::Path};

use anyhow::Context as _;
use dualres_compression::{CompressConfig, Report, Summary, flat_row, run_folders};
use dualres_imaging::file::write_atomically;

use crate::{
    cli::{RowsArg, RunsTableArgs},
    commands::plot::{self, Curve, Point},
    report::{self, Misuse, Outcome},
    statistics::{Difference, Group, Grouping, Spread, identity},
    targets::{Targets, prepare_folder_of},
};

/// What a run is measured by.
struct Measure {
    /// Head of a column.
    label: &'static str,
    /// Name in CSV files.
    name: &'static str,
    digits: usize,
    of: fn(&Report) -> Option<f64>,
}

const MEASURES: [Measure; 5] = [
    Measure {
        label: "MACs kept, %",
        name: "kept_macs_percent",
        digits: 1,
        of: |run| Some(100.0 * run.kept_macs_ratio),
    },
    Measure { label: "PSNR-Y, dB", name: "psnr_y", digits: 2, of: |run| Some(run.psnr_after) },
    Measure { label: "change, dB", name: "change", digits: 2, of: |run| Some(run.psnr_after - run.psnr_before) },
    Measure { label: "consistency, dB", name: "loop_psnr", digits: 2, of: |run| run.loop_psnr_after },
    Measure { label: "minutes", name: "minutes", digits: 1, of: |run| Some(run.seconds / 60.0) },
];

type Runs<'a> = Vec<(&'a CompressConfig, &'a Report)>;

pub(super) fn run(args: &RunsTableArgs) -> anyhow::Result<Outcome> {
    let mut targets = Targets::new(args.overwrite);
    for output in &args.output {
        if !["md", "csv", "svg"].iter().any(|ending| has_ending(output, ending)) {
            return Err(Misuse(format!("the output must end in .md, .csv or .svg: {}", output.display())).into());
        }
        targets.take(output, || false)?;
    }
    let mut folders = Vec::new();
    for folder in &args.folders {
        if !folder.is_dir() {
            let what = if folder.exists() { "not a folder" } else { "no such folder" };
            return Err(Misuse(format!("{what}: {}", folder.display())).into());
        }
        folders.extend(run_folders(folder));
    }
    // However they were named.
    let mut seen = HashSet::new();
    folders.retain(|folder| seen.insert(folder.canonicalize().unwrap_or_else(|_| folder.clone())));
    let mut summaries = Vec::new();
    let mut outcome = Outcome::Done;
    let mut known = HashSet::new();
    for folder in &folders {
        match Summary::read(folder) {
            Ok(Some(Summary { config, report: Some(report), .. })) if !known.insert(identity(&config, &report)) => {
                let place = folder.display();
                report::say(&format!("warning: left out, settings and seed are those of another run: {place}"));
            }
            Ok(summary) => summaries.extend(summary),
            Err(error) => {
                report::say(&format!("warning: left out: {error}"));
                outcome = Outcome::Failed;
            }
        }
    }
    let finished: Vec<(CompressConfig, Report)> =
        summaries.iter().filter_map(|summary| Some((summary.config.clone(), summary.report.clone()?))).collect();
    if summaries.is_empty() || finished.is_empty() {
        let what = if summaries.is_empty() { "no runs" } else { "no finished runs" };
        let named: Vec<_> = args.folders.iter().map(|folder| folder.display().to_string()).collect();
        return Err(Misuse(format!("{what} in {}", named.join(", "))).into());
    }
    let runs: Runs<'_> = finished.iter().map(|(config, report)| (config, report)).collect();
    let grouping = Grouping::of(&runs);
    if let Some(baseline) = args.baseline.as_deref().filter(|baseline| !grouping.has_baseline(baseline)) {
        let there: Vec<&str> = grouping.baselines().into_iter().collect();
        let there = if there.is_empty() { "nothing else varies".to_owned() } else { there.join(", ") };
        return Err(Misuse(format!("--baseline: nothing to compare with \"{baseline}\"; there are: {there}")).into());
    }
    let left = summaries.len() - finished.len();
    let markdown = || markdown(&runs, &grouping, args.baseline.as_deref(), left);
    if args.output.is_empty() {
        markdown().lines().for_each(report::line);
    }
    for output in &args.output {
        let bytes = match () {
            () if has_ending(output, "md") => markdown().into_bytes(),
            () if has_ending(output, "svg") => plotted(&runs, &grouping)?.into_bytes(),
            () => csv(&runs, &grouping, args)?,
        };
        prepare_folder_of(output)?;
        write_atomically(output, &bytes)?;
        report::line(&format!("{} written: {}", output.display(), report::counted(finished.len(), "finished run")));
    }
    Ok(outcome)
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|there| there.eq_ignore_ascii_case(ending))
}

fn spread(runs: &Runs<'_>, group: &Group, measure: &Measure) -> Option<Spread> {
    let values: Vec<f64> = group.runs.iter().filter_map(|&index| (measure.of)(runs[index].1)).collect();
    Spread::of(&values)
}

fn markdown(runs: &Runs<'_>, grouping: &Grouping, baseline: Option<&str>, unfinished: usize) -> String {
    let mut lines = Vec::new();
    let mut row = |cells: &[String]| lines.push(format!("| {} |", cells.join(" | ")));
    let heads = |names: &[String]| -> Vec<String> { names.iter().map(|_| "---".to_owned()).collect() };
    let mut head: Vec<String> = grouping.columns.iter().map(|name| escaped(name)).collect();
    head.push("runs".into());
    head.extend(MEASURES.iter().map(|measure| measure.label.to_owned()));
    row(&head);
    row(&heads(&head));
    for group in &grouping.groups {
        let mut cells: Vec<String> = group.values.iter().map(|value| escaped(value)).collect();
        cells.push(group.runs.len().to_string());
        for measure in &MEASURES {
            cells.push(spread(runs, group, measure).map_or("–".into(), |spread| spread.text(measure.digits)));
        }
        row(&cells);
    }
    let pairs = grouping.differences(runs, baseline, |run| Some(run.psnr_after));
    if !pairs.is_empty() {
        row(&[]);
        let head = ["setting", "compared", "with", "where", "seeds", "PSNR-Y difference, dB", "95 % interval"];
        let head: Vec<String> = head.iter().map(|text| (*text).to_owned()).collect();
        row(&head);
        row(&heads(&head));
        for Difference { setting, compared, with, others, spread } in &pairs {
            let interval = spread
                .half_interval()
                .map_or("–".into(), |half| format!("{:+.3} to {:+.3}", spread.mean - half, spread.mean + half));
            row(&[
                escaped(setting),
                escaped(compared),
                escaped(with),
                escaped(others),
                spread.count.to_string(),
                format!("{:+.3}", spread.mean),
                interval,
            ]);
        }
    }
    let mut text = lines.join("\n").replace("\n|  |\n", "\n\n");
    text += &format!("\n\n{}", report::counted(runs.len(), "finished run"));
    if unfinished > 0 {
        text += &format!("; {unfinished} not finished");
    }
    text += "; ± is the standard deviation over seeds\n";
    text
}

fn escaped(text: &str) -> String {
    report::one_line(text).replace('|', "\\|")
}

fn csv(runs: &Runs<'_>, grouping: &Grouping, args: &RunsTableArgs) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    match args.rows {
        RowsArg::Settings => {
            let mut head = grouping.columns.clone();
            head.push("runs".into());
            for measure in &MEASURES {
                head.extend([measure.name.to_owned(), format!("{}_deviation", measure.name)]);
            }
            writer.write_record(&head)?;
            for group in &grouping.groups {
                let mut cells = group.values.clone();
                cells.push(group.runs.len().to_string());
                for measure in &MEASURES {
                    let spread = spread(runs, group, measure);
                    cells.push(number(spread.map(|spread| spread.mean)));
                    cells.push(number(spread.and_then(|spread| spread.deviation)));
                }
                writer.write_record(&cells)?;
            }
        }
        RowsArg::Differences => {
            writer.write_record(["setting", "compared", "with", "where", "seeds", "difference", "low", "high"])?;
            let psnr = |run: &Report| Some(run.psnr_after);
            for Difference { setting, compared, with, others, spread } in
                grouping.differences(runs, args.baseline.as_deref(), psnr)
            {
                let half = spread.half_interval();
                let (low, high) = (half.map(|half| spread.mean - half), half.map(|half| spread.mean + half));
                let (seeds, mean) = (spread.count.to_string(), spread.mean.to_string());
                writer.write_record([setting, compared, with, others, seeds, mean, number(low), number(high)])?;
            }
        }
        RowsArg::Runs => {
            let rows: Vec<_> = runs.iter().map(|(config, report)| flat_row(config, report)).collect();
            let head: std::collections::BTreeSet<&String> = rows.iter().flat_map(|row| row.keys()).collect();
            writer.write_record(&head)?;
            for row in &rows {
                writer.write_record(head.iter().map(|name| row.get(*name).map_or("", String::as_str)))?;
            }
        }
    }
    writer.into_inner().context("cannot build the table")
}

/// PSNR over the multiply-accumulates that are kept: a curve for what is neither ratio nor seed, a point a group, with the
/// standard deviation around it.
fn plotted(runs: &Runs<'_>, grouping: &Grouping) -> anyhow::Result<String> {
    let [macs, psnr, ..] = &MEASURES;
    let mut curves: Vec<Curve> = Vec::new();
    for group in &grouping.groups {
        let (Some(x), Some(y)) = (spread(runs, group, macs), spread(runs, group, psnr)) else { continue };
        let named = grouping.columns.iter().zip(&group.values).filter(|(name, _)| *name != "ratio");
        // Words speak for themselves.
        let part = |(name, value): (&String, &String)| match value.parse::<f64>() {
            Ok(_) => format!("{name} {value}"),
            Err(_) => value.clone(),
        };
        let name = report::one_line(&named.map(part).collect::<Vec<_>>().join(", ")).into_owned();
        let deviation = y.deviation.unwrap_or(0.0);
        let point = Point { x: x.mean, least: y.mean - deviation, mean: y.mean, most: y.mean + deviation };
        match curves.iter_mut().find(|curve| curve.name == name) {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve { name, points: vec![point] }),
        }
    }
    curves.iter_mut().for_each(|curve| curve.points.sort_by(|a, b| a.x.total_cmp(&b.x)));
    plot::curves(curves, "", [macs.label, psnr.label])
}
