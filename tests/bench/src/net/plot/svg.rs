//! Panels of curves over one axis of time, as SVG. Our own, since a drawing of lines and words needs no
//! library.

use std::fmt::Write;

const WIDTH: f64 = 960.0;
/// Room for the numbers of the vertical axes.
const LEFT: f64 = 56.0;
const RIGHT: f64 = 20.0;
/// Room for title, subtitle and legend.
const TOP: f64 = 88.0;
/// Room for the numbers and the words of the horizontal axis.
const BOTTOM: f64 = 48.0;
const PANEL_HEIGHT: f64 = 130.0;
/// Room above each panel for its label.
const PANEL_GAP: f64 = 34.0;
/// Lines across a panel, at most.
const MOST_TICKS: usize = 5;
/// Seconds between two numbers of the horizontal axis.
const X_TICK: f64 = 10.0;

const INK: &str = "#1f2328";
const PALE_INK: &str = "#57606a";
const GRID: &str = "#d0d7de";

/// A drawing.
pub struct Figure {
    /// Its name.
    pub title: String,
    /// What the reader has to know.
    pub subtitle: String,
    /// What the horizontal axis counts.
    pub x_label: &'static str,
    /// Where the horizontal axis ends; it begins at zero.
    pub x_end: f64,
    /// From top to bottom.
    pub panels: Vec<Panel>,
}

/// Curves with a vertical axis of their own, which begins at zero.
pub struct Panel {
    label: &'static str,
    /// Between two lines across the panel.
    tick: f64,
    /// Where the vertical axis ends.
    top: f64,
    series: Vec<Series>,
}

/// One curve.
#[derive(Clone, Debug)]
pub struct Series {
    /// What the legend calls it; the same name in several panels is one entry.
    pub name: &'static str,
    /// As SVG writes it.
    pub colour: &'static str,
    /// How its points are joined.
    pub shape: Shape,
    /// In the order of their times.
    pub points: Vec<(f64, f64)>,
}

/// How points are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// By straight lines.
    Line,
    /// Each value holds until the next one.
    Steps,
    /// As steps, filled down to zero.
    Area,
}

impl Panel {
    /// A panel with lines every `step`, or every so many of them that there are few enough. It is as high as
    /// its curves need.
    pub fn new(label: &'static str, step: f64, series: Vec<Series>) -> Self {
        let values = series.iter().flat_map(|series| &series.points).map(|(_, value)| *value);
        let highest = values.max_by(f64::total_cmp).unwrap_or_default();
        let needed = |tick: f64| (highest / tick).ceil().max(1.0);
        let multiples = [1.0, 2.0, 4.0, 5.0, 10.0, 20.0];
        let few = |tick: &f64| needed(*tick) as usize <= MOST_TICKS;
        let tick = multiples.map(|multiple| step * multiple).into_iter().find(few).unwrap_or(highest);
        Self { label, tick, top: needed(tick) * tick, series }
    }
}

impl Figure {
    /// The drawing as a file.
    pub fn to_svg(&self) -> String {
        let height = TOP + self.panels.len() as f64 * (PANEL_GAP + PANEL_HEIGHT) + BOTTOM;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
             role=\"img\" font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"{INK}\">\n<title>{}</title>\n\
             <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n",
            escaped(&self.title),
        );
        text(&mut svg, (LEFT, 28.0), "font-size=\"18\" font-weight=\"600\"", &self.title);
        text(&mut svg, (LEFT, 50.0), &format!("fill=\"{PALE_INK}\""), &self.subtitle);
        self.legend(&mut svg);
        for (index, panel) in self.panels.iter().enumerate() {
            let bottom = TOP + (index + 1) as f64 * (PANEL_GAP + PANEL_HEIGHT);
            self.panel(&mut svg, panel, bottom);
        }
        self.x_axis(&mut svg, height - BOTTOM);
        svg + "</svg>\n"
    }

    fn legend(&self, svg: &mut String) {
        let mut entries: Vec<&Series> = Vec::new();
        for series in self.panels.iter().flat_map(|panel| &panel.series) {
            if !entries.iter().any(|entry| entry.name == series.name) {
                entries.push(series);
            }
        }
        let mut x = LEFT;
        for Series { name, colour, shape, .. } in entries {
            let thick = if *shape == Shape::Area { 12.0 } else { 4.0 };
            let y = 74.0 - thick / 2.0;
            let _ = writeln!(svg, "<rect x=\"{x}\" y=\"{y}\" width=\"24\" height=\"{thick}\" fill=\"{colour}\"/>");
            text(svg, (x + 31.0, 78.5), "", name);
            // About 7 units a letter, and the room to the next entry.
            x += 31.0 + name.chars().count() as f64 * 7.0 + 24.0;
        }
    }

    fn panel(&self, svg: &mut String, panel: &Panel, bottom: f64) {
        let y = |value: f64| bottom - value / panel.top * PANEL_HEIGHT;
        text(svg, (LEFT, bottom - PANEL_HEIGHT - 9.0), "font-weight=\"600\"", panel.label);
        // Areas lie under the lines across the panel.
        for series in panel.series.iter().filter(|series| series.shape == Shape::Area) {
            let _ = writeln!(svg, "<path d=\"{}\" fill=\"{}\"/>", self.path(series, y), series.colour);
        }
        for n in 0..=(panel.top / panel.tick).round() as u32 {
            let value = f64::from(n) * panel.tick;
            let colour = if n == 0 { PALE_INK } else { GRID };
            let (right, at) = (WIDTH - RIGHT, y(value));
            let _ = writeln!(svg, "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"{colour}\" stroke-width=\"1\"/>");
            let style = format!("text-anchor=\"end\" font-size=\"12\" fill=\"{PALE_INK}\"");
            text(svg, (LEFT - 7.0, at + 4.0), &style, &number(value));
        }
        for series in panel.series.iter().filter(|series| series.shape != Shape::Area) {
            let _ = writeln!(
                svg,
                "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\" stroke-linejoin=\"round\"/>",
                self.path(series, y),
                series.colour
            );
        }
    }

    fn x_axis(&self, svg: &mut String, bottom: f64) {
        for n in 0..=(self.x_end / X_TICK) as u32 {
            let value = f64::from(n) * X_TICK;
            let style = format!("text-anchor=\"middle\" font-size=\"12\" fill=\"{PALE_INK}\"");
            text(svg, (self.x(value), bottom + 18.0), &style, &number(value));
        }
        let style = format!("text-anchor=\"middle\" fill=\"{PALE_INK}\"");
        text(svg, (LEFT / 2.0 + (WIDTH - RIGHT) / 2.0, bottom + 38.0), &style, self.x_label);
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + value / self.x_end.max(f64::MIN_POSITIVE) * (WIDTH - RIGHT - LEFT)
    }

    /// The data of a path through the points.
    fn path(&self, series: &Series, y: impl Fn(f64) -> f64) -> String {
        let mut path = String::new();
        let Some((first, _)) = series.points.first() else { return path };
        let mut before = None;
        for (at, value) in &series.points {
            let (x, y) = (self.x(*at), y(*value));
            let _ = match (before, series.shape) {
                (None, _) => write!(path, "M{x:.1} {y:.1}"),
                (Some(_), Shape::Line) => write!(path, "L{x:.1} {y:.1}"),
                // A value that stays needs no point.
                (Some(value_before), _) if value_before == *value => Ok(()),
                (Some(_), Shape::Steps | Shape::Area) => write!(path, "H{x:.1}V{y:.1}"),
            };
            before = Some(*value);
        }
        let last = series.points.last().map_or(0.0, |(at, _)| self.x(*at));
        let _ = match series.shape {
            Shape::Line => Ok(()),
            Shape::Steps => write!(path, "H{last:.1}"),
            Shape::Area => write!(path, "H{last:.1}V{:.1}H{:.1}Z", y(0.0), self.x(*first)),
        };
        path
    }
}

fn text(svg: &mut String, (x, y): (f64, f64), style: &str, words: &str) {
    let space = if style.is_empty() { "" } else { " " };
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\"{space}{style}>{}</text>", escaped(words));
}

/// Without digits that say nothing.
fn number(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0;
    rounded.to_string()
}

fn escaped(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(shape: Shape, points: &[(f64, f64)]) -> Series {
        Series { name: "a", colour: "#000000", shape, points: points.to_vec() }
    }

    fn figure(panel: Panel) -> Figure {
        Figure { title: "a < b".into(), subtitle: String::new(), x_label: "s", x_end: 100.0, panels: vec![panel] }
    }

    #[test]
    fn an_axis_ends_over_its_highest_value_and_has_few_numbers() {
        for (highest, step, tick, top) in
            [(2.6, 0.5, 1.0, 3.0), (300.0, 50.0, 100.0, 300.0), (0.0, 5.0, 5.0, 5.0), (720.0, 180.0, 180.0, 720.0)]
        {
            let panel = Panel::new("x", step, vec![series(Shape::Line, &[(0.0, highest)])]);
            assert_eq!((panel.tick, panel.top), (tick, top), "{highest}");
        }
    }

    #[test]
    fn curves_are_joined_by_their_shape() {
        let figure = figure(Panel::new("x", 1.0, Vec::new()));
        let points = [(0.0, 1.0), (50.0, 1.0), (100.0, 3.0)];
        let path = |shape| figure.path(&series(shape, &points), |value| 100.0 - value * 10.0);
        let (left, right, middle) = (LEFT, WIDTH - RIGHT, (LEFT + WIDTH - RIGHT) / 2.0);
        assert_eq!(path(Shape::Line), format!("M{left:.1} 90.0L{middle:.1} 90.0L{right:.1} 70.0"));
        assert_eq!(path(Shape::Steps), format!("M{left:.1} 90.0H{right:.1}V70.0H{right:.1}"));
        assert_eq!(path(Shape::Area), format!("M{left:.1} 90.0H{right:.1}V70.0H{right:.1}V100.0H{left:.1}Z"));
        assert_eq!(figure.path(&series(Shape::Line, &[]), |_| 0.0), "");
    }

    #[test]
    fn words_are_escaped_and_the_legend_names_each_curve_once() {
        let both = vec![series(Shape::Line, &[(0.0, 1.0)]), series(Shape::Steps, &[(0.0, 1.0)])];
        let svg = figure(Panel::new("x", 1.0, both)).to_svg();
        assert!(svg.contains("<title>a &lt; b</title>"), "{svg}");
        assert_eq!(svg.matches(">a</text>").count(), 1, "{svg}");
    }
}
