//! Bars: a median each, with its range.

use super::{Anchor, Axis, COLOURS, Picture};
use crate::stats::Spread;

/// A bar for each of `rows`, on a logarithmic scale.
#[must_use]
pub fn bars(title: &str, unit: &str, rows: &[(&str, Spread)]) -> String {
    let (left, right, top, row_height) = (150.0, 690.0, 40.0, 26.0);
    let bottom = top + rows.len() as f64 * row_height;
    let mut picture = Picture::new(860.0, bottom + 45.0, title);
    let values = rows
        .iter()
        .flat_map(|(_, spread)| [spread.low, spread.high]);
    let axis = Axis::over(values, left, right);
    picture.lines_down(&axis, top, bottom);
    picture.text(
        ((left + right) / 2.0, bottom + 34.0),
        Anchor::Middle,
        unit,
        "",
    );
    for (i, (name, spread)) in rows.iter().enumerate() {
        let y = top + i as f64 * row_height;
        let middle = y + row_height / 2.0;
        let colour = COLOURS[i % COLOURS.len()];
        picture.text((left - 8.0, middle + 4.0), Anchor::End, name, "");
        picture.add(format_args!(
            "<rect x=\"{left}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>",
            y + 4.0,
            axis.at(spread.median) - left,
            row_height - 8.0
        ));
        let (low, high) = (axis.at(spread.low), axis.at(spread.high));
        picture.line((low, middle), (high, middle), "stroke=\"black\"");
        picture.text(
            (right + 8.0, middle + 4.0),
            Anchor::Start,
            &spread.to_string(),
            "",
        );
    }
    picture.finish()
}
