//! `dualres plot`

mod draw;
mod table;

use dualres_imaging::file::write_atomically;

pub(super) use self::table::{Curve, Point};

use crate::{
    cli::PlotArgs,
    report::{self, Misuse, Outcome},
    targets::{Targets, prepare_folder_of},
};

pub(crate) fn run(args: &PlotArgs) -> anyhow::Result<Outcome> {
    let shown = args.output.display();
    if !args.output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("svg")) {
        return Err(Misuse(format!("the output must end in .svg: {shown}")).into());
    }
    let mut targets = Targets::new(args.overwrite);
    args.tables.iter().for_each(|table| targets.protect(table));
    targets.take(&args.output, || false)?;
    prepare_folder_of(&args.output)?;
    let columns = table::Columns { x: args.x.as_deref(), y: &args.y, by: args.by.as_deref(), names: args.names };
    let (data, over) = table::read(&args.tables, &columns)?;
    // What terminals obey is no XML either.
    let clean = |text: &str| report::one_line(text).into_owned();
    let labels = [args.x_label.as_deref().unwrap_or(&over), args.y_label.as_deref().unwrap_or(&args.y)].map(clean);
    let text =
        draw::svg(&data, &clean(args.title.as_deref().unwrap_or_default()), labels.each_ref().map(String::as_str))?;
    write_atomically(&args.output, text.as_bytes())?;
    let what = match data {
        table::Data::Curves(curves) => report::counted(curves.len(), "curve"),
        table::Data::Dots(categories) => format!("categories: {}", categories.len()),
    };
    report::line(&format!("{shown} written: {what}"));
    Ok(Outcome::Done)
}

/// The text of an SVG file with these curves. `labels` are those of x and y.
///
/// # Errors
/// If it cannot be drawn.
pub(super) fn curves(curves: Vec<Curve>, title: &str, labels: [&str; 2]) -> anyhow::Result<String> {
    draw::svg(&table::Data::Curves(curves), title, labels)
}
