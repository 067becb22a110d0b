//! The rows of CSV files as series of numbers.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::Context;

use crate::report::Misuse;

/// Numbers that axes can be labelled with.
const MAX: f64 = 1e30;

/// What is drawn over what.
#[derive(Debug, PartialEq)]
pub(super) enum Data {
    /// Curves over numbers.
    Curves(Vec<Curve>),
    /// Values a category, in the order of the file.
    Dots(Vec<(String, Vec<f64>)>),
}

/// Values over numbers: rows of the same number are runs of the same thing.
#[derive(Debug, PartialEq)]
pub(in crate::commands) struct Curve {
    pub(in crate::commands) name: String,
    /// In rising order of x.
    pub(in crate::commands) points: Vec<Point>,
}

/// A number and the values there: from where to where they are drawn, and their mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::commands) struct Point {
    pub(in crate::commands) x: f64,
    pub(in crate::commands) least: f64,
    pub(in crate::commands) mean: f64,
    pub(in crate::commands) most: f64,
}

/// Columns by name; what is not given is found.
pub(super) struct Columns<'a> {
    pub(super) x: Option<&'a str>,
    pub(super) y: &'a str,
    pub(super) by: Option<&'a str>,
    /// Whether numbers are names.
    pub(super) names: bool,
}

/// One row as it is drawn.
struct Row {
    series: String,
    x: String,
    y: f64,
}

/// Reads tables and groups their rows: into curves if everything in the column of x is a number, else into categories. Rows
/// without a value are left out. Also the name of the column of x.
///
/// # Errors
/// If a file cannot be read, has not got a column, holds text for a value, or no row has one.
pub(super) fn read(files: &[PathBuf], columns: &Columns) -> anyhow::Result<(Data, String)> {
    let mut rows = Vec::new();
    let mut over = String::new();
    for file in files {
        over = rows_of(file, columns, files.len() > 1, &mut rows)?;
    }
    if rows.is_empty() {
        return Err(Misuse(format!("no values in column \"{}\"", columns.y)).into());
    }
    let numbers = rows.iter().map(|row| row.x.parse().ok()).collect::<Option<Vec<f64>>>().filter(|_| !columns.names);
    let data = match numbers {
        Some(numbers) => Data::Curves(curves(&rows, &numbers)),
        None => Data::Dots(dots(rows)),
    };
    Ok((data, over))
}

fn rows_of(file: &PathBuf, columns: &Columns, name_files: bool, rows: &mut Vec<Row>) -> anyhow::Result<String> {
    let shown = file.display();
    let mut reader = csv::Reader::from_path(file).with_context(|| format!("cannot read {shown}"))?;
    let header = reader.headers().with_context(|| format!("cannot read {shown}"))?.clone();
    let find = |wanted: &str| header.iter().position(|name| name == wanted);
    let need = |wanted: &str| {
        find(wanted).ok_or_else(|| {
            let there = header.iter().collect::<Vec<_>>().join(", ");
            Misuse(format!("no column \"{wanted}\" in {shown}; there are {there}"))
        })
    };
    let x = match columns.x {
        Some(x) => need(x)?,
        None => find("step").or_else(|| find("setting")).ok_or_else(|| {
            let there = header.iter().collect::<Vec<_>>().join(", ");
            let text = "no column \"step\" or \"setting\" in";
            Misuse(format!("{text} {shown}; choose one with --x: {there}"))
        })?,
    };
    let y = need(columns.y)?;
    let by = match columns.by {
        Some(by) => Some(need(by)?),
        None => find("setting").filter(|&by| by != x),
    };
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    for record in reader.records() {
        let record = record.with_context(|| format!("cannot read {shown}"))?;
        let cell = |column: usize| record.get(column).unwrap_or_default().trim();
        if cell(y).is_empty() {
            continue;
        }
        let line = record.position().map_or(0, csv::Position::line);
        let value: f64 = cell(y).parse().map_err(|_| {
            Misuse(format!("\"{}\" in line {line} of {shown} is not a number (column \"{}\")", cell(y), columns.y))
        })?;
        if !value.is_finite() {
            // As a value that is missing.
            continue;
        }
        if value.abs() > MAX || cell(x).parse().is_ok_and(|x: f64| x.abs() > MAX) {
            return Err(Misuse(format!("a number in line {line} of {shown} exceeds {MAX:e}")).into());
        }
        let named = by.map_or(String::new(), |by| cell(by).to_owned());
        let series = match (name_files, named.is_empty()) {
            (false, _) => named,
            (true, true) => stem.clone().into_owned(),
            (true, false) => format!("{stem}: {named}"),
        };
        rows.push(Row { series, x: cell(x).to_owned(), y: value });
    }
    Ok(header.get(x).unwrap_or_default().to_owned())
}

fn curves(rows: &[Row], numbers: &[f64]) -> Vec<Curve> {
    let mut names: Vec<&str> = Vec::new();
    for row in rows {
        if !names.contains(&row.series.as_str()) {
            names.push(&row.series);
        }
    }
    let curve = |name: &str| {
        // Ordered by the bits of positive numbers as by the numbers; steps are not negative.
        let mut values: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for (row, number) in rows.iter().zip(numbers).filter(|(row, _)| row.series == name) {
            values.entry(number.to_bits()).or_default().push(row.y);
        }
        let points = values.into_iter().map(|(bits, values)| Point {
            x: f64::from_bits(bits),
            least: values.iter().copied().fold(f64::INFINITY, f64::min),
            mean: values.iter().sum::<f64>() / values.len() as f64,
            most: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        });
        let mut points: Vec<Point> = points.collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        Curve { name: name.to_owned(), points }
    };
    names.into_iter().map(curve).collect()
}

fn dots(rows: Vec<Row>) -> Vec<(String, Vec<f64>)> {
    let mut categories: Vec<(String, Vec<f64>)> = Vec::new();
    for row in rows {
        let name = if row.series.is_empty() { row.x } else { format!("{}: {}", row.series, row.x) };
        match categories.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(row.y),
            None => categories.push((name, vec![row.y])),
        }
    }
    categories
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn table(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn runs_of_the_same_setting_are_one_curve() {
        let (_folder, path) =
            table("setting,seed,step,psnr\non,1,100,30\non,2,100,32\non,1,50,20\noff,1,50,\"19\"\noff,1,60,\n");
        let columns = Columns { x: None, y: "psnr", by: None, names: false };
        let (Data::Curves(curves), _) = read(&[path], &columns).unwrap() else { panic!("steps are numbers") };
        let point = |x, least, mean, most| Point { x, least, mean, most };
        assert_eq!(curves[0].name, "on");
        assert_eq!(curves[0].points, [point(50.0, 20.0, 20.0, 20.0), point(100.0, 30.0, 31.0, 32.0)]);
        assert_eq!(curves[1].points, [point(50.0, 19.0, 19.0, 19.0)]);
    }

    #[test]
    fn names_are_categories_in_their_order() {
        let (_folder, path) = table("setting,seed,Set5\nthinet,1,36\nl1,1,35\nthinet,2,36.5\n");
        let columns = Columns { x: None, y: "Set5", by: None, names: false };
        let (Data::Dots(dots), _) = read(&[path], &columns).unwrap() else { panic!("names are no numbers") };
        assert_eq!(dots, [("thinet".to_owned(), vec![36.0, 36.5]), ("l1".to_owned(), vec![35.0])]);
        let (_folder, path) = table("setting,Set5\n0,36\n0.1,37\n");
        let columns = Columns { x: None, y: "Set5", by: None, names: true };
        let (Data::Dots(dots), _) = read(&[path], &columns).unwrap() else { panic!("numbers are names here") };
        assert_eq!(dots[1], ("0.1".to_owned(), vec![37.0]));
    }

    #[test]
    fn what_is_not_there_is_told() {
        let (_folder, path) = table("setting,seed,Set5\nl1,1,much\n");
        let said = |x, y| {
            let columns = Columns { x, y, by: None, names: false };
            read(std::slice::from_ref(&path), &columns).unwrap_err().to_string()
        };
        assert!(said(None, "Set14").contains("no column \"Set14\""), "{}", said(None, "Set14"));
        assert!(said(None, "Set14").contains("setting, seed, Set5"));
        assert!(said(Some("x"), "Set5").contains("no column \"x\""));
        let (_other, beside) = table("time,psnr\n1,1e308\n");
        let columns = |x| Columns { x, y: "psnr", by: None, names: false };
        let refused = |x| read(std::slice::from_ref(&beside), &columns(x)).unwrap_err().to_string();
        assert!(refused(None).contains("--x: time, psnr"), "{}", refused(None));
        assert!(refused(Some("time")).contains("line 2"), "{}", refused(Some("time")));
        assert!(said(None, "Set5").contains("\"much\" in line 2"), "{}", said(None, "Set5"));
        assert!(read(&["nowhere.csv".into()], &Columns { x: None, y: "a", by: None, names: false }).is_err());
    }
}
