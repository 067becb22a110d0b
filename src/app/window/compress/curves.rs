//! The curves of a run in bounded memory: however long it is, a curve is at most [`MAX`] points, each the mean of as many
//! steps as it takes.

use std::collections::BTreeMap;

use dualres_compression::{CompressConfig, Row, Stage};

use crate::language::tr;

/// Most points of a curve.
pub(crate) const MAX: usize = 1024;

/// A point of a curve.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Point {
    /// Steps of all stages up to here.
    pub(crate) step: f64,
    /// Seconds of the run.
    pub(crate) seconds: f64,
    pub(crate) value: f64,
}

/// One curve.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    points: Vec<Point>,
    /// How many values a point is the mean of.
    stride: usize,
    /// Values that do not make a point yet: their sum and how many they are.
    pending: (Point, usize),
}

impl Default for Series {
    fn default() -> Self {
        Self { points: Vec::new(), stride: 1, pending: (Point::default(), 0) }
    }
}

impl Series {
    pub(crate) fn push(&mut self, point: Point) {
        if !point.value.is_finite() {
            return;
        }
        let (sum, count) = &mut self.pending;
        sum.step += point.step;
        sum.seconds += point.seconds;
        sum.value += point.value;
        *count += 1;
        if *count == self.stride {
            let mean = self.pending_point();
            self.pending = (Point::default(), 0);
            self.points.extend(mean);
        }
        if self.points.len() >= MAX {
            self.points = self.points.chunks(2).map(mean_of).collect();
            self.stride *= 2;
        }
    }

    fn pending_point(&self) -> Option<Point> {
        let (sum, count) = self.pending;
        let n = count as f64;
        (count > 0).then(|| Point { step: sum.step / n, seconds: sum.seconds / n, value: sum.value / n })
    }

    /// All points, the newest made of what there is.
    pub(crate) fn points(&self) -> impl Iterator<Item = Point> + '_ {
        self.points.iter().copied().chain(self.pending_point())
    }

    /// The newest point.
    pub(crate) fn last(&self) -> Option<Point> {
        self.pending_point().or(self.points.last().copied())
    }

    fn truncate(&mut self, step: f64) {
        self.points.retain(|point| point.step <= step);
        self.pending = (Point::default(), 0);
    }
}

/// Points as an exponential mean with weight `amount` for what came before; begun without a bias.
pub(crate) fn smoothed(points: impl IntoIterator<Item = Point>, amount: f64) -> Vec<Point> {
    let (mut mean, mut weight) = (0.0, 0.0);
    let smooth = |point: Point| {
        mean = amount * mean + (1.0 - amount) * point.value;
        weight = amount * weight + (1.0 - amount);
        Point { value: mean / weight, ..point }
    };
    points.into_iter().map(smooth).collect()
}

fn mean_of(points: &[Point]) -> Point {
    let n = points.len() as f64;
    let mean = |get: fn(&Point) -> f64| points.iter().map(get).sum::<f64>() / n;
    Point { step: mean(|p| p.step), seconds: mean(|p| p.seconds), value: mean(|p| p.value) }
}

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    Primal,
    Dual,
    Total,
    /// Of patches, in the search.
    SearchPsnr,
    /// Of the validation pictures, cut and fine-tuned.
    Psnr,
    /// The original's, where either was measured.
    OriginalPsnr,
    Macs,
    Parameters,
    Entropy,
}

impl Metric {
    pub(crate) const ALL: [Self; 9] = [
        Self::Primal,
        Self::Dual,
        Self::Total,
        Self::SearchPsnr,
        Self::Psnr,
        Self::OriginalPsnr,
        Self::Macs,
        Self::Parameters,
        Self::Entropy,
    ];

    pub(crate) fn label(self) -> String {
        match self {
            Self::Primal => tr!("primal loss"),
            Self::Dual => tr!("dual loss"),
            Self::Total => tr!("total loss"),
            Self::SearchPsnr | Self::Psnr => tr!("validation PSNR"),
            Self::OriginalPsnr => tr!("original"),
            Self::Macs => tr!("kept MACs"),
            Self::Parameters => tr!("kept parameters"),
            Self::Entropy => tr!("alpha entropy"),
        }
    }

    fn of(self, row: &Row) -> Option<f64> {
        match self {
            // The profile reports what the network loses with a single channel: no step on any way.
            Self::Primal | Self::Dual | Self::Total if row.stage == Stage::Profile => None,
            Self::Primal => row.primal,
            Self::Dual => row.dual,
            Self::Total => row.total,
            Self::SearchPsnr => row.psnr_y.filter(|_| row.stage == Stage::Search),
            Self::Psnr => row.psnr_y.filter(|_| row.stage != Stage::Search),
            Self::OriginalPsnr => row.original_psnr_y,
            Self::Macs => Some(100.0 * row.kept_macs),
            Self::Parameters => Some(100.0 * row.kept_parameters),
            Self::Entropy => row.entropy,
        }
    }
}

/// The steps of a stage on the common axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Band {
    pub(crate) stage: Stage,
    /// Steps of all stages before.
    pub(crate) from: f64,
    /// Steps of the stage in all.
    pub(crate) steps: usize,
    /// Those that are done.
    pub(crate) done: usize,
    /// Seconds of the run when it began.
    pub(crate) from_seconds: f64,
}

/// All curves of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Curves {
    series: [Series; Metric::ALL.len()],
    pub(crate) bands: Vec<Band>,
    pub(crate) seconds: f64,
}

/// Steps of a stage by the settings; `units` of the network.
pub(crate) fn steps_of(stage: Stage, config: &CompressConfig, units: usize) -> usize {
    match stage {
        Stage::Profile => units + 1,
        Stage::Search => config.search.steps,
        Stage::Select => units,
        Stage::Cut => 3,
        Stage::Finetune => config.finetune.steps,
    }
}

impl Curves {
    /// The curves of the rows of a run folder.
    pub(crate) fn of(rows: &[Row], config: &CompressConfig, units: usize) -> Self {
        let mut curves = Self::default();
        for row in rows {
            if curves.bands.last().is_none_or(|band| band.stage != row.stage) {
                curves.enter(row.stage, 0, steps_of(row.stage, config, units));
            }
            curves.push(row);
        }
        curves
    }

    pub(crate) fn get(&self, metric: Metric) -> &Series {
        &self.series[metric as usize]
    }

    /// The original's PSNR on what a stage of the search, or of what follows it, was measured on: its newest value.
    pub(crate) fn original_psnr(&self, searching: bool) -> Option<f64> {
        let is_of = |step: f64| {
            let band = self.bands.iter().rev().find(|band| step > band.from);
            band.is_some_and(|band| (band.stage == Stage::Search) == searching)
        };
        self.get(Metric::OriginalPsnr).points().filter(|point| is_of(point.step)).last().map(|point| point.value)
    }

    /// The points of a curve, stage by stage: what one stage measured says nothing about the next.
    pub(crate) fn by_stage(&self, metric: Metric) -> Vec<(Band, Vec<Point>)> {
        let mut stages: Vec<(Band, Vec<Point>)> = self.bands.iter().map(|band| (*band, Vec::new())).collect();
        for point in self.get(metric).points() {
            let holds = |band: &Band| point.step <= band.from + band.steps as f64 + 1e-9;
            if let Some((_, points)) = stages.iter_mut().find(|(band, _)| holds(band)) {
                points.push(point);
            }
        }
        stages.retain(|(_, points)| !points.is_empty());
        stages
    }

    /// Where each stage ends on an axis of steps or of seconds, as far as it has come.
    pub(crate) fn extents(&self, over_time: bool) -> Vec<(Stage, f64, f64)> {
        let extent = |(index, band): (usize, &Band)| {
            let next = self.bands.get(index + 1);
            let (from, to) = if over_time {
                (band.from_seconds, next.map_or(self.seconds, |next| next.from_seconds))
            } else {
                (band.from, next.map_or(band.from + band.done.max(1) as f64, |next| next.from))
            };
            (band.stage, from, to)
        };
        self.bands.iter().enumerate().map(extent).filter(|(_, from, to)| to > from).collect()
    }

    /// A stage begins, or goes on after `step` of its steps: what was drawn beyond that is done anew.
    pub(crate) fn enter(&mut self, stage: Stage, step: usize, steps: usize) {
        self.bands.retain(|band| band.stage <= stage);
        if let Some(band) = self.bands.last_mut().filter(|band| band.stage == stage) {
            (band.steps, band.done) = (steps, step);
        } else {
            let from = self.bands.last().map_or(0.0, |band| band.from + band.steps as f64);
            self.bands.push(Band { stage, from, steps, done: step, from_seconds: self.seconds });
        }
        let end = self.bands.last().map_or(0.0, |band| band.from) + step as f64;
        self.series.iter_mut().for_each(|series| series.truncate(end));
    }

    pub(crate) fn push(&mut self, row: &Row) {
        let Some(band) = self.bands.iter_mut().rev().find(|band| band.stage == row.stage) else { return };
        band.done = band.done.max(row.step);
        let step = band.from + row.step as f64;
        self.seconds = self.seconds.max(row.seconds);
        for (series, metric) in self.series.iter_mut().zip(Metric::ALL) {
            if let Some(value) = metric.of(row) {
                series.push(Point { step, seconds: row.seconds, value });
            }
        }
    }
}

/// Where stages begin on an axis that several runs share, so that the same stage of each begins at the same place: the longest decides
/// about the next.
pub(crate) fn aligned<'a>(runs: impl IntoIterator<Item = &'a Curves>, over_time: bool) -> Vec<(Stage, f64, f64)> {
    let mut lengths: BTreeMap<Stage, f64> = BTreeMap::new();
    for curves in runs {
        for (stage, from, to) in curves.extents(over_time) {
            let length = lengths.entry(stage).or_insert(0.0);
            *length = length.max(to - from);
        }
    }
    let mut at = 0.0;
    let place = |(stage, length): (Stage, f64)| {
        let from = at;
        at += length;
        (stage, from, at)
    };
    lengths.into_iter().map(place).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn row(stage: Stage, step: usize, total: f64) -> Row {
        Row {
            stage,
            step,
            primal: None,
            dual: None,
            total: Some(total),
            psnr_y: None,
            kept_macs: 0.5,
            kept_parameters: 0.4,
            entropy: None,
            seconds: step as f64,
            original_psnr_y: None,
        }
    }

    #[test]
    fn a_curve_of_any_length_is_bounded_and_keeps_its_shape() {
        let mut series = Series::default();
        let count = 1_000_000;
        for step in 0..count {
            series.push(Point { step: step as f64, seconds: 0.0, value: (step as f64 / count as f64).powi(2) });
        }
        let points: Vec<Point> = series.points().collect();
        assert!(points.len() <= MAX && points.len() > MAX / 3, "{}", points.len());
        for point in &points {
            assert!((point.value - (point.step / count as f64).powi(2)).abs() < 1e-5, "{point:?}");
        }
        assert!(series.last().unwrap().step > count as f64 * 0.998, "the newest steps are in it");
    }

    #[test]
    fn values_that_are_no_numbers_do_not_spoil_a_curve() {
        let mut series = Series::default();
        for value in [1.0, f64::NAN, f64::INFINITY, 3.0] {
            series.push(Point { step: 0.0, seconds: 0.0, value });
        }
        assert_eq!(series.points().map(|point| point.value).collect::<Vec<_>>(), [1.0, 3.0]);
    }

    #[test]
    fn smoothing_begins_at_the_first_value_and_nothing_is_nothing() {
        let mut series = Series::default();
        [4.0, 8.0, 8.0].into_iter().for_each(|value| series.push(Point { value, ..Point::default() }));
        let values =
            |amount: f64| smoothed(series.points(), amount).iter().map(|point| point.value).collect::<Vec<_>>();
        assert_eq!(values(0.0), [4.0, 8.0, 8.0]);
        let smooth = values(0.9);
        assert!((smooth[0] - 4.0).abs() < 1e-9 && smooth[1] > 4.0 && smooth[2] < 8.0 && smooth[2] > smooth[1]);
    }

    #[test]
    fn stages_follow_each_other_and_what_is_done_anew_is_drawn_once() {
        let config = CompressConfig::new("a", 0.5);
        let rows = [row(Stage::Search, 1, 5.0), row(Stage::Search, 2, 4.0), row(Stage::Select, 1, 3.0)];
        let mut curves = Curves::of(&rows, &config, 10);
        let steps = |curves: &Curves| curves.get(Metric::Total).points().map(|p| p.step).collect::<Vec<_>>();
        assert_eq!(steps(&curves), [1.0, 2.0, config.search.steps as f64 + 1.0]);
        // The run was killed and goes on from the state saved after the first step of the search.
        curves.enter(Stage::Search, 1, config.search.steps);
        assert_eq!(steps(&curves), [1.0]);
        assert_eq!(curves.bands.len(), 1);
        curves.push(&row(Stage::Search, 2, 4.0));
        curves.enter(Stage::Select, 0, 10);
        curves.push(&row(Stage::Select, 1, 3.0));
        assert_eq!(steps(&curves), [1.0, 2.0, config.search.steps as f64 + 1.0]);
    }

    /// Of two runs, one with twice the search of the other, the fine-tuning begins at the same place.
    #[test]
    fn stages_of_several_runs_begin_together() {
        let config = CompressConfig::new("a", 0.5);
        let run = |searched: usize| {
            let rows: Vec<Row> = (1..=searched)
                .map(|step| row(Stage::Search, step, 5.0))
                .chain((1..=3).map(|step| row(Stage::Finetune, step, 3.0)))
                .collect();
            let mut curves = Curves::of(&rows, &config, 10);
            curves.bands[0].steps = searched;
            curves.bands[1].from = searched as f64;
            curves
        };
        let (short, long) = (run(10), run(20));
        let places = aligned([&short, &long], false);
        assert_eq!(places, [(Stage::Search, 0.0, 20.0), (Stage::Finetune, 20.0, 23.0)]);
        assert_eq!(aligned([&short], false), short.extents(false));
    }

    /// The search measures patches, what follows measures pictures: neither is drawn on the other's line.
    #[test]
    fn psnr_of_patches_and_of_pictures_are_apart_and_each_has_its_original() {
        let config = CompressConfig::new("a", 0.5);
        let measured = |stage, step, psnr, original| Row {
            psnr_y: Some(psnr),
            original_psnr_y: Some(original),
            ..row(stage, step, 1.0)
        };
        let rows = [measured(Stage::Search, 1, 28.0, 29.0), measured(Stage::Cut, 3, 31.0, 33.0)];
        let curves = Curves::of(&rows, &config, 10);
        let values = |metric| curves.get(metric).points().map(|point| point.value).collect::<Vec<_>>();
        assert_eq!((values(Metric::SearchPsnr), values(Metric::Psnr)), (vec![28.0], vec![31.0]));
        assert_eq!((curves.original_psnr(true), curves.original_psnr(false)), (Some(29.0), Some(33.0)));
    }
}
