//! Colours and measures of the window. No other file names a colour.

use eframe::egui::{
    Color32, Context, CornerRadius, FontDefinitions, FontFamily, FontId, Margin, Shadow, Stroke, Style, TextStyle,
    Theme, ThemePreference, Ui, Visuals, vec2,
};

use super::settings::ThemeChoice;

/// Colours of one theme.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Palette {
    /// Behind pictures: neutral, so that it does not tint what is judged.
    pub(crate) canvas: Color32,
    /// Panels.
    pub(crate) panel: Color32,
    /// Cards and fields.
    pub(crate) raised: Color32,
    /// Cards and buttons under the pointer.
    pub(crate) hovered: Color32,
    /// Lines between things.
    pub(crate) line: Color32,
    /// Text.
    pub(crate) text: Color32,
    /// Text that explains.
    pub(crate) weak: Color32,
    /// What is chosen, and the one button that matters.
    pub(crate) accent: Color32,
    /// Text on the accent.
    pub(crate) on_accent: Color32,
    /// What went well.
    pub(crate) good: Color32,
    /// What needs a look.
    pub(crate) warning: Color32,
    /// What went wrong.
    pub(crate) error: Color32,
}

const DARK: Palette = Palette {
    canvas: Color32::from_rgb(22, 22, 23),
    panel: Color32::from_rgb(32, 32, 34),
    raised: Color32::from_rgb(46, 46, 49),
    hovered: Color32::from_rgb(62, 62, 66),
    line: Color32::from_rgb(58, 58, 62),
    text: Color32::from_rgb(232, 232, 234),
    weak: Color32::from_rgb(168, 168, 174),
    accent: Color32::from_rgb(86, 180, 233),
    on_accent: Color32::from_rgb(8, 28, 40),
    good: Color32::from_rgb(110, 205, 140),
    warning: Color32::from_rgb(240, 185, 80),
    error: Color32::from_rgb(255, 135, 125),
};

const LIGHT: Palette = Palette {
    canvas: Color32::from_rgb(214, 214, 216),
    panel: Color32::from_rgb(246, 246, 247),
    raised: Color32::from_rgb(230, 230, 233),
    hovered: Color32::from_rgb(214, 214, 219),
    line: Color32::from_rgb(204, 204, 209),
    text: Color32::from_rgb(28, 28, 31),
    weak: Color32::from_rgb(88, 88, 95),
    accent: Color32::from_rgb(0, 104, 168),
    on_accent: Color32::WHITE,
    good: Color32::from_rgb(10, 100, 44),
    warning: Color32::from_rgb(128, 76, 0),
    error: Color32::from_rgb(180, 35, 30),
};

/// The colours in use.
pub(crate) fn palette(ui: &Ui) -> Palette {
    of(ui.visuals().dark_mode)
}

fn of(dark: bool) -> Palette {
    if dark { DARK } else { LIGHT }
}

/// Sets both themes up and chooses one.
pub(crate) fn install(ctx: &Context, choice: ThemeChoice) {
    let mut fonts = FontDefinitions::default();
    // Arrows are in the font for fixed widths only.
    fonts.families.entry(FontFamily::Proportional).or_default().push("Hack".to_owned());
    ctx.set_fonts(fonts);
    for theme in [Theme::Dark, Theme::Light] {
        ctx.style_mut_of(theme, |style| apply(style, of(theme == Theme::Dark), theme == Theme::Dark));
    }
    choose(ctx, choice);
}

/// Chooses a theme.
pub(crate) fn choose(ctx: &Context, choice: ThemeChoice) {
    ctx.set_theme(match choice {
        ThemeChoice::Dark => ThemePreference::Dark,
        ThemeChoice::Light => ThemePreference::Light,
        ThemeChoice::System => ThemePreference::System,
    });
}

fn apply(style: &mut Style, colours: Palette, dark: bool) {
    style.text_styles = [
        (TextStyle::Heading, FontId::proportional(19.0)),
        (TextStyle::Body, FontId::proportional(13.5)),
        (TextStyle::Button, FontId::proportional(13.5)),
        (TextStyle::Small, FontId::proportional(11.5)),
        (TextStyle::Monospace, FontId::monospace(12.5)),
    ]
    .into();
    style.spacing.item_spacing = vec2(8.0, 6.0);
    style.spacing.button_padding = vec2(9.0, 4.0);
    style.spacing.interact_size.y = 24.0;
    style.spacing.window_margin = Margin::same(14);
    style.spacing.tooltip_width = 320.0;
    // A drag in the panel is not meant to mark text.
    style.interaction.selectable_labels = false;

    let mut visuals = if dark { Visuals::dark() } else { Visuals::light() };
    visuals.panel_fill = colours.panel;
    visuals.window_fill = colours.panel;
    visuals.extreme_bg_color = colours.canvas;
    visuals.text_edit_bg_color = Some(colours.raised);
    visuals.faint_bg_color = colours.raised;
    visuals.window_stroke = Stroke::new(1.0, colours.line);
    visuals.window_corner_radius = CornerRadius::same(10);
    visuals.menu_corner_radius = CornerRadius::same(8);
    visuals.window_shadow = Shadow { offset: [0, 6], blur: 24, spread: 0, color: Color32::from_black_alpha(90) };
    visuals.popup_shadow = Shadow { offset: [0, 3], blur: 12, spread: 0, color: Color32::from_black_alpha(80) };
    visuals.selection.bg_fill = colours.accent;
    // Also what surrounds the control that keys go to.
    visuals.selection.stroke = Stroke::new(1.0, colours.on_accent);
    visuals.hyperlink_color = colours.accent;
    visuals.warn_fg_color = colours.warning;
    visuals.error_fg_color = colours.error;
    visuals.weak_text_color = Some(colours.weak);
    visuals.slider_trailing_fill = true;
    let radius = CornerRadius::same(6);
    let states = &mut visuals.widgets;
    for (state, fill, stroke) in [
        (&mut states.noninteractive, colours.panel, colours.line),
        (&mut states.inactive, colours.raised, Color32::TRANSPARENT),
        (&mut states.hovered, colours.hovered, colours.line),
        (&mut states.active, colours.hovered, colours.accent),
        (&mut states.open, colours.hovered, colours.line),
    ] {
        state.bg_fill = fill;
        state.weak_bg_fill = fill;
        state.bg_stroke = Stroke::new(1.0, stroke);
        state.fg_stroke = Stroke::new(1.0, colours.text);
        state.corner_radius = radius;
        state.expansion = 0.0;
    }
    style.visuals = visuals;
}

/// Colours that many things of a kind are told apart by, the same for the same number.
pub(crate) fn of_many(number: u64, colours: Palette) -> Color32 {
    // After Okabe and Ito, without the accent: told apart by people who see fewer colours as well.
    let many = [
        colours.warning,
        colours.good,
        Color32::from_rgb(204, 121, 167),
        Color32::from_rgb(213, 94, 0),
        Color32::from_rgb(160, 140, 240),
        colours.weak,
    ];
    many[(number % many.len() as u64) as usize]
}

/// A colour of the heat map, `amount` in `[0, 1]`.
pub(crate) fn heat(amount: f32) -> Color32 {
    let [r, g, b] = dualres_engine::heat_colour(amount).map(|sample| sample.round() as u8);
    Color32::from_rgb(r, g, b)
}

/// A colour as the shader takes it.
pub(crate) fn components(colour: Color32) -> [f32; 3] {
    [colour.r(), colour.g(), colour.b()].map(|c| f32::from(c) / 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance by WCAG 2, in `[0, 1]`.
    fn luminance(colour: Color32) -> f32 {
        let linear = |byte: u8| match f32::from(byte) / 255.0 {
            low if low <= 0.04045 => low / 12.92,
            high => ((high + 0.055) / 1.055).powf(2.4),
        };
        0.2126 * linear(colour.r()) + 0.7152 * linear(colour.g()) + 0.0722 * linear(colour.b())
    }

    fn contrast(a: Color32, b: Color32) -> f32 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// All text, hints included, can be read by WCAG 2's level AA on all that it is written on.
    #[test]
    fn text_stands_out_from_what_it_is_written_on() {
        for (name, colours) in [("dark", DARK), ("light", LIGHT)] {
            let grounds = [
                ("canvas", colours.canvas),
                ("panel", colours.panel),
                ("raised", colours.raised),
                ("hovered", colours.hovered),
            ];
            let texts = [
                ("text", colours.text),
                ("weak", colours.weak),
                ("good", colours.good),
                ("warning", colours.warning),
                ("error", colours.error),
            ];
            for (text, over) in texts {
                for (ground, under) in grounds {
                    let found = contrast(over, under);
                    assert!(found >= 4.5, "{name}: {text} on {ground} has {found:.2}");
                }
            }
            assert!(contrast(colours.on_accent, colours.accent) >= 4.5, "{name}: text on the accent");
        }
    }
}
