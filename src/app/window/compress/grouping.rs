//! Making groups of runs, and reading numbers from them.

use std::time::SystemTime;

use dualres_compression::{CompressConfig, Report};

use super::{
    grouped::Grouped,
    runs::{Run, RunId, listed},
};
use crate::{
    statistics::{Grouping, Spread},
    window::Window,
};

impl Window {
    /// Statistics over the finished runs that the filter lets through, made anew when one of them changes.
    pub(in crate::window) fn group_runs(&mut self) {
        let table = &self.compress.table;
        let listed = listed(&self.compress.runs, &table.filter, table.column, table.descending);
        let finished = |run: &&Run| run.report.is_some() && listed.contains(&run.id);
        let runs: Vec<&Run> = self.compress.runs.iter().filter(finished).collect();
        let of: Vec<(RunId, SystemTime)> = runs.iter().map(|run| (run.id, run.changed)).collect();
        if self.compress.table.statistics.as_ref().is_some_and(|there| there.of == of) {
            return;
        }
        let rows: Vec<(&CompressConfig, &Report)> =
            runs.iter().filter_map(|run| Some((&run.config, run.report.as_ref()?))).collect();
        let grouping = Grouping::of(&rows);
        let differences = grouping.differences(&rows, None, |report| Some(report.psnr_after - report.psnr_before));
        self.compress.table.statistics = Some(Grouped { of, grouping, differences });
    }

    /// Mean and spread of what `value` says of the runs of a group.
    pub(in crate::window) fn spread_of(&self, runs: &[RunId], value: impl Fn(&Run) -> Option<f64>) -> Option<Spread> {
        let values: Vec<f64> = runs.iter().filter_map(|id| value(self.compress.runs.get(*id)?)).collect();
        Spread::of(&values)
    }
}
