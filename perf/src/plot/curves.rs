//! Curves through points, on logarithmic scales.

use super::{Anchor, Axis, COLOURS, Picture};

/// A curve with its name.
#[derive(Clone, Debug)]
pub struct Curve {
    /// Its name.
    pub name: String,
    /// Its points, by x.
    pub points: Vec<(f64, f64)>,
    /// Whether a line joins them.
    pub joined: bool,
}

/// Draws curves with what their axes mean.
#[must_use]
pub fn curves(title: &str, x_label: &str, y_label: &str, curves: &[Curve]) -> String {
    let (left, right, top, bottom) = (80.0, 560.0, 40.0, 360.0);
    let names = curves.iter().map(|curve| curve.name.len());
    let legend = 40.0 + 7.0 * names.max().unwrap_or_default() as f64;
    let mut picture = Picture::new(f64::max(800.0, right + legend), 410.0, title);
    let all = || curves.iter().flat_map(|curve| &curve.points);
    let x_axis = Axis::over(all().map(|point| point.0), left, right);
    let y_axis = Axis::over(all().map(|point| point.1), bottom, top);
    picture.lines_down(&x_axis, top, bottom);
    for (y, text) in y_axis.ticks() {
        picture.line((left, y), (right, y), "stroke=\"#dddddd\"");
        picture.text(
            (left - 6.0, y + 4.0),
            Anchor::End,
            &text,
            "fill=\"#555555\"",
        );
    }
    let middle = (top + bottom) / 2.0;
    picture.text(
        ((left + right) / 2.0, bottom + 36.0),
        Anchor::Middle,
        x_label,
        "",
    );
    let turned = format!("transform=\"rotate(-90 18 {middle})\"");
    picture.text((18.0, middle), Anchor::Middle, y_label, &turned);
    for (i, curve) in curves.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        let at = |point: &(f64, f64)| (x_axis.at(point.0), y_axis.at(point.1));
        let points: Vec<(f64, f64)> = curve.points.iter().map(at).collect();
        let path: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        if curve.joined {
            picture.add(format_args!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                path.join(" ")
            ));
        }
        for (x, y) in points {
            picture.add(format_args!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"
            ));
        }
        let y = top + 14.0 + i as f64 * 18.0;
        picture.line(
            (right + 12.0, y - 4.0),
            (right + 30.0, y - 4.0),
            &format!("stroke=\"{colour}\" stroke-width=\"3\""),
        );
        picture.text((right + 36.0, y), Anchor::Start, &curve.name, "");
    }
    picture.finish()
}
