//! Drawing series as SVG.

use std::ops::Range;

use plotters::{
    coord::ranged1d::{IntoSegmentedCoord, SegmentValue},
    prelude::*,
};

use super::table::{Curve, Data};

const SIZE: (u32, u32) = (860, 460);
/// Height that a category takes in pixels, and what is around them.
const CATEGORY: usize = 34;
const AROUND: usize = 110;
/// Colours that are told apart by colour-blind people too (Okabe and Ito), on white.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(0, 0, 0),
];
/// Points of a curve that are few enough to be seen one by one.
const FEW: usize = 12;
const FONT: &str = "sans-serif";
/// Gray that frames and grids are drawn in.
const FAINT: RGBColor = RGBColor(220, 220, 220);

/// The picture as the text of an SVG file. `labels` are those of x and y.
///
/// # Errors
/// If it cannot be drawn; for curves of a single point there is still a point.
pub(super) fn svg(data: &Data, title: &str, labels: [&str; 2]) -> anyhow::Result<String> {
    let mut text = String::new();
    let drawn = match data {
        Data::Curves(lines) => curves(&mut text, lines, title, labels),
        Data::Dots(categories) => dots(&mut text, categories, title, labels[1]),
    };
    drawn.map_err(|error| anyhow::anyhow!("cannot draw the plot ({error})"))?;
    Ok(text)
}

type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn curves<'a>(text: &'a mut String, lines: &[Curve], title: &str, labels: [&str; 2]) -> Drawn<'a> {
    let area = SVGBackend::with_string(text, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let points = || lines.iter().flat_map(|curve| &curve.points);
    let x = range(points().map(|point| point.x));
    let y = range(points().flat_map(|point| [point.least, point.most]));
    let (digits, x_digits) = (digits(&y), digits(&x));
    let mut chart = ChartBuilder::on(&area)
        .caption(title, (FONT, 18))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(64)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(FAINT)
        .x_desc(labels[0])
        .y_desc(labels[1])
        .x_label_formatter(&|x| format!("{x:.x_digits$}"))
        .y_label_formatter(&|y| format!("{y:.digits$}"))
        .label_style((FONT, 13))
        .draw()?;
    for (index, curve) in lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        // From the smallest to the largest of the runs.
        let there = curve.points.iter().map(|point| (point.x, point.most));
        let back = curve.points.iter().rev().map(|point| (point.x, point.least));
        let outline: Vec<(f64, f64)> = there.chain(back).collect();
        chart.draw_series([Polygon::new(outline, colour.mix(0.14))])?;
        let means = curve.points.iter().map(|point| (point.x, point.mean));
        let series = chart.draw_series(LineSeries::new(means.clone(), colour.stroke_width(2)))?;
        if !curve.name.is_empty() {
            let sample = move |(x, y): (i32, i32)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2));
            series.label(&curve.name).legend(sample);
        }
        if curve.points.len() <= FEW {
            let points = curve.points.iter();
            chart.draw_series(points.clone().map(|point| Circle::new((point.x, point.mean), 3, colour.filled())))?;
            let bars = points.filter(|point| point.most > point.least);
            chart.draw_series(
                bars.map(|point| ErrorBar::new_vertical(point.x, point.least, point.mean, point.most, colour, 8)),
            )?;
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.85))
        .border_style(FAINT)
        .label_font((FONT, 13))
        .draw()?;
    area.present()
}

/// Categories below each other: a dot a value, a line at their mean.
fn dots<'a>(text: &'a mut String, categories: &[(String, Vec<f64>)], title: &str, label: &str) -> Drawn<'a> {
    let height = (categories.len().max(2) * CATEGORY + AROUND) as u32;
    let area = SVGBackend::with_string(text, (SIZE.0, height)).into_drawing_area();
    area.fill(&WHITE)?;
    let x = range(categories.iter().flat_map(|(_, values)| values.iter().copied()));
    let digits = digits(&x);
    let longest = categories.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    // An axis has at least two places.
    let last = categories.len().max(2) - 1;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, (FONT, 18))
        .margin(12)
        .margin_right(30)
        .x_label_area_size(42)
        .y_label_area_size((longest * 8 + 20) as u32)
        .build_cartesian_2d(x, (0..last).into_segmented())?;
    // The first above, although y rises.
    let name = |place: &SegmentValue<usize>| match place {
        SegmentValue::CenterOf(place) | SegmentValue::Exact(place) => last
            .checked_sub(*place)
            .and_then(|index| categories.get(index))
            .map_or(String::new(), |(name, _)| name.clone()),
        SegmentValue::Last => String::new(),
    };
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(FAINT)
        .x_desc(label)
        .x_label_formatter(&|x| format!("{x:.digits$}"))
        .y_label_formatter(&name)
        .y_labels(last + 1)
        .label_style((FONT, 13))
        .draw()?;
    for (index, (_, values)) in categories.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let place = SegmentValue::CenterOf(last - index);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        chart.draw_series([
            EmptyElement::at((mean, place.clone())) + Rectangle::new([(-1, -11), (1, 11)], colour.filled())
        ])?;
        chart.draw_series(
            values.iter().map(|&value| Circle::new((value, place.clone()), 4, colour.mix(0.6).filled())),
        )?;
    }
    area.present()
}

/// What the values span, with room around.
fn range(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (least, most) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| (least.min(value), most.max(value)));
    if least > most {
        return 0.0..1.0;
    }
    // Axes need steps that numbers of this size can tell apart.
    let finest = least.abs().max(most.abs()).max(1e-12) * 1e-9;
    let room = if most > least { (most - least) * 0.06 } else { least.abs().max(1.0) * 0.01 }.max(finest);
    least - room..most + room
}

/// Digits after the point that tell the labels of an axis apart.
fn digits(range: &Range<f64>) -> usize {
    let step = (range.end - range.start) / 10.0;
    (-step.log10()).ceil().clamp(0.0, 6.0) as usize
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{super::table::Point, *};

    #[test]
    fn every_series_and_label_is_in_the_picture() {
        let point = |x: f64, mean: f64| Point { x, least: mean - 0.5, mean, most: mean + 0.5 };
        let lines = ["with <dual>", "without"]
            .map(|name| Curve { name: name.to_owned(), points: vec![point(0.0, 30.0), point(100.0, 31.0)] });
        let text = svg(&Data::Curves(lines.into()), "a title", ["step", "dB"]).unwrap();
        for part in ["<svg", "a title", "with &lt;dual&gt;", "without", "step", "dB", "polyline", "polygon", "</svg>"] {
            assert!(text.contains(part), "{part} is missing:\n{text}");
        }
    }

    #[test]
    fn every_category_has_its_name_and_a_dot_a_value() {
        let categories = vec![("first".to_owned(), vec![1.0, 2.0]), ("second".to_owned(), vec![1.5])];
        let text = svg(&Data::Dots(categories), "", ["", "dB"]).unwrap();
        assert_eq!(text.matches("<circle").count(), 3, "{text}");
        let height = |name: &str| {
            let before = &text[..text.find(name).unwrap()];
            let y = &before[before.rfind(" y=\"").unwrap() + 4..];
            y[..y.find('"').unwrap()].parse::<f64>().unwrap()
        };
        assert!(height("first") < height("second"), "the first is above");
    }

    #[test]
    fn equal_values_and_single_ones_can_be_drawn() {
        for values in [vec![3.0], vec![3.0, 3.0], vec![0.0]] {
            assert!(svg(&Data::Dots(vec![("only".to_owned(), values)]), "", ["", ""]).unwrap().contains("only"));
        }
        for values in [vec![1e30, -1e30], vec![1e30, 1e30], vec![1e16, 1e16 + 2.0], vec![1e-300, 2e-300]] {
            assert!(svg(&Data::Dots(vec![("wide".to_owned(), values)]), "", ["", ""]).unwrap().contains("wide"));
        }
        assert_eq!(digits(&(0.0..1000.0)), 0);
        assert_eq!(digits(&(37.0..37.2)), 2);
    }
}
