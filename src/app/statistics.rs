//! Statistics over compression runs: those that differ in their seed alone belong together, and two groups that differ in one
//! setting are compared seed by seed. The same for tables of the command line and the list of runs in the window.

use std::collections::{BTreeMap, BTreeSet};

use dualres_compression::{CompressConfig, Report};
use statrs::distribution::{ContinuousCDF as _, StudentsT};

use crate::language::number;

/// Settings that make no other experiment: names, the seed, and where files lie. Pictures are told apart by their contents.
const BESIDE: [&str; 5] = ["name", "seed", "profile_file", "data", "validation"];
/// Settings that trade cost for quality, or measure on other pictures: a difference between two of their values answers no
/// question.
const TRADES: [&str; 3] = ["ratio", "model", "images"];

/// Mean and spread of values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) mean: f64,
    /// Standard deviation of a sample; none of a single value.
    pub(crate) deviation: Option<f64>,
    /// How many.
    pub(crate) count: usize,
}

impl Spread {
    /// Of no values there is none.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let count = values.len();
        if count == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (count > 1).then(|| (squares / (count - 1) as f64).sqrt());
        Some(Self { mean, deviation, count })
    }

    /// As it is written: the mean, and ± the standard deviation where there is one.
    pub(crate) fn text(&self, digits: usize) -> String {
        match self.deviation {
            Some(deviation) => format!("{} ± {}", number(self.mean, digits), number(deviation, digits)),
            None => number(self.mean, digits),
        }
    }

    /// Half the width of the interval in which the mean lies with 95 % confidence, by Student's t.
    pub(crate) fn half_interval(&self) -> Option<f64> {
        let count = self.count as f64;
        let student = StudentsT::new(0.0, 1.0, count - 1.0).ok()?;
        Some(student.inverse_cdf(0.975) * self.deviation? / count.sqrt())
    }
}

/// Finished runs of the same settings but for the seed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    /// Values of [`Grouping::columns`].
    pub(crate) values: Vec<String>,
    /// Places of the runs in what was grouped, by seed.
    pub(crate) runs: Vec<usize>,
}

/// Groups of runs and the settings that tell them apart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Grouping {
    /// Settings that vary, the network first.
    pub(crate) columns: Vec<String>,
    /// Ordered by their values, numbers as such.
    pub(crate) groups: Vec<Group>,
}

impl Grouping {
    /// Groups runs.
    pub(crate) fn of(runs: &[(&CompressConfig, &Report)]) -> Self {
        let rows: Vec<BTreeMap<String, String>> = runs.iter().map(|(config, report)| row(config, report)).collect();
        let names: BTreeSet<&String> = rows.iter().flat_map(BTreeMap::keys).collect();
        let column =
            |name: &str| -> Vec<&str> { rows.iter().map(|row| row.get(name).map_or("", String::as_str)).collect() };
        let varies = |name: &str| column(name).windows(2).any(|pair| pair[0] != pair[1]);
        let mut columns: Vec<String> = Vec::new();
        // First what is usually varied; then, by name, whatever else is.
        let usual = ["model", "ratio", "mode", "method"];
        let others = names.iter().map(|name| name.as_str()).filter(|name| !usual.contains(name));
        for name in usual.into_iter().chain(others).filter(|name| varies(name)) {
            let same = columns.iter_mut().find(|other| column(other) == column(name));
            match same {
                // One option that several stages obey.
                Some(_) => {}
                None => columns.push(name.to_owned()),
            }
        }
        if columns.is_empty() {
            columns.push("model".into());
        }
        let mut groups: BTreeMap<Vec<Ordered>, Vec<usize>> = BTreeMap::new();
        for (index, row) in rows.iter().enumerate() {
            let key = columns.iter().map(|name| Ordered(row.get(name).cloned().unwrap_or_default())).collect();
            groups.entry(key).or_default().push(index);
        }
        let group = |(key, mut members): (Vec<Ordered>, Vec<usize>)| {
            members.sort_by_key(|&index| runs[index].0.seed);
            Group { values: key.into_iter().map(|value| value.0).collect(), runs: members }
        };
        let groups = groups.into_iter().map(group).collect();
        Self { columns, groups }
    }

    /// Values that groups can be compared with.
    pub(crate) fn baselines(&self) -> BTreeSet<&str> {
        let columns = self.columns.iter().enumerate().filter(|(_, name)| !TRADES.contains(&name.as_str()));
        columns.flat_map(|(column, _)| self.groups.iter().map(move |group| group.values[column].as_str())).collect()
    }

    /// Whether [`Self::baselines`] has a value.
    pub(crate) fn has_baseline(&self, value: &str) -> bool {
        self.baselines().iter().any(|there| is_same(there, value))
    }

    /// All pairs of groups that differ in one setting which is no trade of cost for quality, the second being the reference:
    /// the group with `baseline` where there is one, else the first of those that differ in that setting.
    fn pairs(&self, baseline: Option<&str>) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for (column, name) in self.columns.iter().enumerate().filter(|(_, name)| !TRADES.contains(&name.as_str())) {
            let mut families: BTreeMap<Vec<&str>, Vec<usize>> = BTreeMap::new();
            for (index, group) in self.groups.iter().enumerate() {
                let others = group.values.iter().enumerate().filter(|(other, _)| *other != column);
                families.entry(others.map(|(_, value)| value.as_str()).collect()).or_default().push(index);
            }
            for family in families.into_values() {
                let is_baseline = |&&group: &&usize| {
                    baseline.is_some_and(|baseline| is_same(&self.groups[group].values[column], baseline))
                };
                let Some(&reference) = family.iter().find(is_baseline).or(family.first()) else { continue };
                let others = family.iter().filter(|&&group| group != reference);
                pairs.extend(others.map(|&group| Pair { setting: name.clone(), column, group, reference }));
            }
        }
        pairs
    }

    /// Differences of what `of` measures between groups that differ in one setting, seed by seed; of pairs without a common
    /// seed there is none.
    pub(crate) fn differences(
        &self,
        runs: &[(&CompressConfig, &Report)],
        baseline: Option<&str>,
        of: impl Fn(&Report) -> Option<f64>,
    ) -> Vec<Difference> {
        let found = |pair: Pair| {
            let (group, reference) = (&self.groups[pair.group], &self.groups[pair.reference]);
            let spread = Spread::of(&differences(runs, (group, reference), &of))?;
            let others = self.columns.iter().zip(&group.values).enumerate();
            let others: Vec<String> = others
                .filter(|(column, _)| *column != pair.column)
                .map(|(_, (name, value))| format!("{name} {value}"))
                .collect();
            let value = |group: &Group| group.values[pair.column].clone();
            let (compared, with) = (value(group), value(reference));
            Some(Difference { setting: pair.setting, compared, with, others: others.join(", "), spread })
        };
        self.pairs(baseline).into_iter().filter_map(found).collect()
    }
}

/// The difference between two groups that differ in one setting.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    /// The setting.
    pub(crate) setting: String,
    /// Its value in the group that is compared.
    pub(crate) compared: String,
    /// Its value in the group that it is compared with.
    pub(crate) with: String,
    /// The other settings that vary, which are the same in both.
    pub(crate) others: String,
    /// The differences at the seeds that both have.
    pub(crate) spread: Spread,
}

/// Whether two values are one, such as 0 and 0.0.
fn is_same(a: &str, b: &str) -> bool {
    a == b || matches!((a.parse::<f64>(), b.parse::<f64>()), (Ok(a), Ok(b)) if a == b)
}

/// Two groups that differ in one setting.
#[derive(Clone, Debug, PartialEq)]
struct Pair {
    setting: String,
    /// Its place among the columns.
    column: usize,
    /// The group that is compared.
    group: usize,
    /// The group that it is compared with.
    reference: usize,
}

/// Differences of two groups at the seeds that both have; of several runs of one seed the first.
fn differences(
    runs: &[(&CompressConfig, &Report)],
    (group, reference): (&Group, &Group),
    of: impl Fn(&Report) -> Option<f64>,
) -> Vec<f64> {
    let by_seed = |group: &Group| -> BTreeMap<u64, f64> {
        let values = group.runs.iter().rev();
        values.filter_map(|&index| Some((runs[index].0.seed, of(runs[index].1)?))).collect()
    };
    let there = by_seed(reference);
    by_seed(group).into_iter().filter_map(|(seed, value)| Some(value - there.get(&seed)?)).collect()
}

/// What tells a run from every other: a repetition of it says nothing new.
pub(crate) fn identity(config: &CompressConfig, report: &Report) -> String {
    format!("{:?} {}", row(config, report), config.seed)
}

/// What tells experiments apart.
fn row(config: &CompressConfig, report: &Report) -> BTreeMap<String, String> {
    let text = |value: serde_json::Value| match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    let settings = config.settings().into_iter().filter(|(name, _)| !BESIDE.contains(&name.as_str()));
    let mut row: BTreeMap<String, String> = settings.map(|(name, value)| (name, text(value))).collect();
    row.insert("model".into(), report.original.clone());
    row.insert("images".into(), report.data_hash.chars().take(8).collect());
    row
}

/// Ordered as a number where it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ordered(String);

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        match (self.0.parse::<f64>(), other.0.parse::<f64>()) {
            (Ok(a), Ok(b)) => a.total_cmp(&b).then_with(|| self.0.cmp(&other.0)),
            (Ok(_), Err(_)) => std::cmp::Ordering::Less,
            (Err(_), Ok(_)) => std::cmp::Ordering::Greater,
            _ => self.0.cmp(&other.0),
        }
    }
}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
pub(crate) mod tests {
    use super::*;

    /// A finished run with this PSNR, of a network with 32 dB.
    pub(crate) fn finished(config: &CompressConfig, psnr: f64) -> Report {
        let report = serde_json::json!({
            "name": config.name, "original": "x2", "method": config.method, "mode": config.mode, "ratio": config.ratio,
            "lambda": [0.1, 0.1], "seed": config.seed, "macs_before": 1000, "macs_after": 500, "kept_macs_ratio": 0.5,
            "macs_within_ratio": true, "widths_given": false, "params_before": 10, "params_after": 5,
            "kept_params_ratio": 0.5, "kept_width_ratio": 0.5, "bytes_before": 40, "bytes_after": 20, "psnr_before": 32.0,
            "psnr_cut": psnr, "psnr_after": psnr, "loop_psnr_before": 40.0, "loop_psnr_after": 39.0,
            "cut_difference": 0.0, "selection_losses": null, "alpha_entropy": null, "finetuned": true,
            "distilled_from": null, "width_table": [], "data_hash": "0123456789", "rule": "r", "validation_pictures": 2,
            "validation_crop": null, "seconds": 1.0,
        });
        serde_json::from_value(report).unwrap()
    }

    fn run(ratio: f64, lambda: f64, seed: u64, psnr: f64) -> (CompressConfig, Report) {
        let mut config = CompressConfig { seed, ..CompressConfig::new(format!("{ratio}-{seed}"), ratio) };
        (config.search.lambda, config.selection.lambda) = (lambda, lambda);
        let report = finished(&config, psnr);
        (config, report)
    }

    #[test]
    fn spread_and_interval_are_those_of_the_books() {
        let spread = Spread::of(&[31.0, 31.2, 31.7]).unwrap();
        assert!((spread.mean - 31.3).abs() < 1e-12);
        // sqrt((0.09 + 0.01 + 0.16) / 2); t at 0.975 with 2 degrees of freedom is 4.302653.
        assert!((spread.deviation.unwrap() - 0.360_555_1).abs() < 1e-6);
        assert!((spread.half_interval().unwrap() - 4.302_653 * 0.360_555_1 / 3_f64.sqrt()).abs() < 1e-5);
        let single = Spread::of(&[1.0]).unwrap();
        assert_eq!((single.deviation, single.half_interval()), (None, None));
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn runs_that_differ_in_their_seed_alone_are_one_group() {
        let runs: Vec<_> = [0.5, 0.25, 0.125]
            .into_iter()
            .flat_map(|ratio| [(0.1, 2), (0.1, 1), (0.0, 1), (0.0, 2)].map(|(l, s)| run(ratio, l, s, 31.0 + l)))
            .collect();
        let runs: Vec<_> = runs.iter().map(|(config, report)| (config, report)).collect();
        let grouping = Grouping::of(&runs);
        assert_eq!(grouping.columns, ["ratio", "search.lambda"]);
        let values: Vec<_> = grouping.groups.iter().map(|group| group.values.join(" ")).collect();
        assert_eq!(values, ["0.125 0.0", "0.125 0.1", "0.25 0.0", "0.25 0.1", "0.5 0.0", "0.5 0.1"]);
        assert!(grouping.groups.iter().all(|group| group.runs.len() == 2));
        let seeds: Vec<u64> = grouping.groups[5].runs.iter().map(|&index| runs[index].0.seed).collect();
        assert_eq!(seeds, [1, 2]);
    }

    #[test]
    fn differences_are_taken_at_the_same_seed() {
        // One seed is better by a decibel than the other, and lambda by a tenth at each.
        let runs = [run(0.5, 0.1, 1, 30.1), run(0.5, 0.1, 2, 31.1), run(0.5, 0.0, 2, 31.0), run(0.5, 0.0, 1, 30.0)];
        let alone = run(0.5, 0.0, 3, 25.0);
        let runs: Vec<_> = runs.iter().chain([&alone]).map(|(config, report)| (config, report)).collect();
        let grouping = Grouping::of(&runs);
        let [pair] = &grouping.pairs(None)[..] else { panic!("{grouping:?}") };
        let (group, reference) = (&grouping.groups[pair.group], &grouping.groups[pair.reference]);
        assert_eq!((&group.values[..], &reference.values[..]), (&["0.1".to_owned()][..], &["0.0".to_owned()][..]));
        let found = differences(&runs, (group, reference), |report| Some(report.psnr_after));
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|difference| (difference - 0.1).abs() < 1e-9), "{found:?}");
        let turned = &grouping.pairs(Some("0.10"))[0];
        assert_eq!((turned.group, turned.reference), (pair.reference, pair.group));
    }
}
