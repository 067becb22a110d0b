//! Curves and plots as files.

use std::path::Path;

use anyhow::Context;
use dualres_compression::EVENTS_FILE;
use dualres_imaging::{Format, Picture, Plane, file::write_atomically};
use eframe::egui::{ColorImage, Rect};

use crate::language::tr;

/// The curves of runs as one CSV file: those of their folders, every step of them, with the name of the run before.
pub(crate) fn csv(runs: &[(String, std::path::PathBuf)], path: &Path) -> anyhow::Result<()> {
    let mut text = String::new();
    for (name, folder) in runs {
        let file = folder.join(EVENTS_FILE);
        let curves =
            std::fs::read_to_string(&file).with_context(|| tr!("cannot read %{file}", file = file.display()))?;
        let mut lines = curves.lines();
        let header = lines.next().unwrap_or_default();
        if text.is_empty() {
            text += &format!("run,{header}\n");
        }
        // A name may hold whatever a file name may.
        let name = format!("\"{}\"", name.replace('"', "\"\""));
        for line in lines {
            text += &format!("{name},{line}\n");
        }
    }
    make_folder(path)?;
    Ok(write_atomically(path, text.as_bytes())?)
}

/// The folder that is offered may not be there yet.
fn make_folder(path: &Path) -> anyhow::Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(folder).with_context(|| tr!("cannot make the folder %{folder}", folder = folder.display()))
}

/// A part of the window as a PNG file; `points` are pixels of the screen a point.
pub(crate) fn png(window: &ColorImage, part: Rect, points: f32, path: &Path) -> anyhow::Result<()> {
    let [width, height] = window.size;
    let at = |value: f32, limit: usize| ((value * points).round().max(0.0) as usize).min(limit);
    let (x0, x1) = (at(part.left(), width), at(part.right(), width));
    let (y0, y1) = (at(part.top(), height), at(part.bottom(), height));
    anyhow::ensure!(x1 > x0 && y1 > y0, tr!("the plots are not in sight"));
    let plane = |channel: usize| {
        let rows = (y0..y1).flat_map(|y| (x0..x1).map(move |x| (x, y)));
        let data = rows.map(|(x, y)| f32::from(window.pixels[y * width + x].to_array()[channel])).collect();
        Plane::new(x1 - x0, y1 - y0, data)
    };
    let picture = Picture::from_planes((0..3).map(plane).collect());
    let bytes = dualres_imaging::encode(&picture, Format::Png, Default::default())?;
    make_folder(path)?;
    Ok(write_atomically(path, &bytes)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn curves_of_several_runs_become_one_table() {
        let folder = tempfile::tempdir().unwrap();
        let runs: Vec<_> = [("a", "search,1"), ("b \"2\", long", "search,2")]
            .into_iter()
            .map(|(name, row)| {
                let own = folder.path().join(name);
                std::fs::create_dir(&own).unwrap();
                std::fs::write(own.join(EVENTS_FILE), format!("stage,step\n{row}\n")).unwrap();
                (name.to_owned(), own)
            })
            .collect();
        let path = folder.path().join("all.csv");
        csv(&runs, &path).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text, "run,stage,step\n\"a\",search,1\n\"b \"\"2\"\", long\",search,2\n");
        let error = csv(&[("gone".into(), folder.path().join("gone"))], &folder.path().join("no.csv")).unwrap_err();
        assert!(error.to_string().contains("gone"), "{error}");
    }

    #[test]
    fn a_part_of_the_window_becomes_a_picture() {
        let folder = tempfile::tempdir().unwrap();
        let pixels = (0..20 * 10).map(|i| eframe::egui::Color32::from_rgb((i % 20) as u8, (i / 20) as u8, 7)).collect();
        let window = ColorImage::new([20, 10], pixels);
        let path = folder.path().join("plot.png");
        let part = Rect::from_min_max(eframe::egui::pos2(2.0, 1.0), eframe::egui::pos2(5.0, 4.0));
        png(&window, part, 2.0, &path).unwrap();
        let picture = dualres_imaging::read(&path).unwrap();
        assert_eq!((picture.width(), picture.height()), (6, 6));
        assert_eq!(picture.rgb().map(|plane| plane.data[0] as u8), [4, 2, 7]);
        assert!(png(&window, Rect::NOTHING, 1.0, &path).is_err());
    }
}
