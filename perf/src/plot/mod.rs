//! Plots as small SVG files: bars with ranges, and curves.

pub mod bars;
pub mod curves;

use std::fmt::Write as _;

const COLOURS: [&str; 8] = [
    "#0b6e99", "#d9730d", "#448361", "#9065b0", "#c14c8a", "#9f6b53", "#787774", "#cb912f",
];

/// The parts of a picture.
#[derive(Debug)]
struct Picture {
    width: f64,
    height: f64,
    body: String,
}

/// Where a text is anchored.
#[derive(Clone, Copy)]
enum Anchor {
    Start,
    Middle,
    End,
}

impl Picture {
    fn new(width: f64, height: f64, title: &str) -> Self {
        let mut picture = Self {
            width,
            height,
            body: String::new(),
        };
        picture.text(
            (width / 2.0, 20.0),
            Anchor::Middle,
            title,
            "font-weight=\"bold\"",
        );
        picture
    }

    fn text(&mut self, at: (f64, f64), anchor: Anchor, text: &str, more: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        self.add(format_args!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" {more}>{text}</text>",
            at.0, at.1
        ));
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), style: &str) {
        self.add(format_args!(
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" {style}/>",
            from.0, from.1, to.0, to.1
        ));
    }

    /// A line down from each tick of an axis, and its text below.
    fn lines_down(&mut self, axis: &Axis, top: f64, bottom: f64) {
        for (x, text) in axis.ticks() {
            self.line((x, top), (x, bottom), "stroke=\"#dddddd\"");
            self.text(
                (x, bottom + 16.0),
                Anchor::Middle,
                &text,
                "fill=\"#555555\"",
            );
        }
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.body, "{element}");
    }

    fn finish(self) -> String {
        let Self {
            width,
            height,
            body,
        } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
        )
    }
}

/// A logarithmic axis from one power of ten to another, over some pixels.
#[derive(Clone, Copy, Debug)]
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// One that holds all values, from pixel `from` to pixel `to`.
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let positive = values.filter(|value| *value > 0.0);
        let (low, high) = positive.fold((f64::MAX, f64::MIN_POSITIVE), |(low, high), value| {
            (value.min(low), value.max(high))
        });
        let low = low.min(high).log10().floor();
        let high = high.log10().ceil().max(low + 1.0);
        Self {
            low,
            high,
            from,
            to,
        }
    }

    fn at(&self, value: f64) -> f64 {
        let part = (value.max(f64::MIN_POSITIVE).log10() - self.low) / (self.high - self.low);
        self.from + part.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// The powers of ten on it, with their texts.
    fn ticks(&self) -> impl Iterator<Item = (f64, String)> + use<> {
        let axis = *self;
        (self.low as i32..=self.high as i32).map(move |power| {
            let value = 10_f64.powi(power);
            let text = match power {
                -4..=4 => format!("{value}"),
                _ => format!("10^{power}"),
            };
            (axis.at(value), text)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_goes_from_power_to_power() {
        let axis = Axis::over([3.0, 500.0].into_iter(), 0.0, 300.0);
        assert_eq!(
            (axis.at(1.0), axis.at(10.0), axis.at(1000.0)),
            (0.0, 100.0, 300.0)
        );
        let ticks: Vec<String> = axis.ticks().map(|tick| tick.1).collect();
        assert_eq!(ticks, ["1", "10", "100", "1000"]);
    }
}
