//! `dualres plot`

mod draw;
mod table;

use dualres_imaging::file::write_atomically;

use crate::{
    cli::PlotArgs,
    report::{self, Misuse, Outcome},
    targets::{Targets, prepare_folder_of},
};

pub(crate) fn run(args: &PlotArgs) -> anyhow::Result<Outcome> {
    let shown = args.output.display();
    if !args.output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("svg")) {
        return Err(Misuse(format!("plots are written as SVG; end the name in .svg: {shown}")).into());
    }
    let mut targets = Targets::new(args.overwrite);
    args.tables.iter().for_each(|table| targets.protect(table));
    targets.take(&args.output, || false)?;
    prepare_folder_of(&args.output)?;
    let columns = table::Columns { x: args.x.as_deref(), y: &args.y, by: args.by.as_deref(), names: args.names };
    let (data, over) = table::read(&args.tables, &columns)?;
    let labels = [args.x_label.as_deref().unwrap_or(&over), args.y_label.as_deref().unwrap_or(&args.y)];
    let text = draw::svg(&data, args.title.as_deref().unwrap_or_default(), labels)?;
    write_atomically(&args.output, text.as_bytes())?;
    let what = match data {
        table::Data::Curves(curves) => format!("{} curves", curves.len()),
        table::Data::Dots(categories) => format!("{} categories", categories.len()),
    };
    report::line(&format!("{shown} written: {what}"));
    Ok(Outcome::Done)
}
