//! Charts as SVG: the same for the page and for the printed document.
//!
//! They are drawn here rather than by a charting library: a bridge needs bars that float, labels in
//! the reader's language, and colours that follow the page's light or dark. Everything is rounded
//! to tenths of a point, so that the same figures give the same bytes.

use std::fmt::Write as _;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::html::escape;
use super::language::Writer;
use crate::insights::report::{Bar, Cell, Chart, ColumnKind, Role, Series, Shape};

/// What a chart is painted with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint {
    /// CSS family.
    pub(super) font: &'static str,
    pub(super) ink: &'static str,
    pub(super) faint: &'static str,
    pub(super) line: &'static str,
    pub(super) total: &'static str,
    pub(super) up: &'static str,
    pub(super) down: &'static str,
    pub(super) series: [&'static str; 6],
}

/// Follows the page's colours.
pub(super) const SCREEN: Paint = Paint {
    font: "inherit",
    ink: "var(--ink)",
    faint: "var(--faint)",
    line: "var(--line)",
    total: "var(--total)",
    up: "var(--up)",
    down: "var(--down)",
    series: ["var(--s1)", "var(--s2)", "var(--s3)", "var(--s4)", "var(--s5)", "var(--s6)"],
};

/// For paper.
pub(super) const PAPER: Paint = Paint {
    font: "Libertinus Serif",
    ink: "#1d2733",
    faint: "#5b6775",
    line: "#d9dee4",
    total: "#33475b",
    up: "#b4532a",
    down: "#2f7d6b",
    series: ["#1f4e79", "#3d8fa8", "#7fb08a", "#d9a441", "#b4532a", "#a3adb8"],
};

/// Width of every chart, in points.
const WIDTH: f64 = 720.0;

/// A chart as one SVG element, with its title and description inside.
pub(super) fn draw(chart: &Chart, writer: Writer, paint: &Paint) -> String {
    let title = writer.word(&format!("chart_{}", chart.id));
    let description = writer.sentence(&chart.alternative);
    let mut canvas = Canvas { body: String::new(), paint: *paint, writer };
    let height = match &chart.shape {
        Shape::Waterfall { bars } => canvas.waterfall(bars),
        Shape::Columns { categories, series } => canvas.columns(categories, series),
        Shape::Movers { bars } => canvas.movers(bars),
    };
    let id = &chart.id;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\" \
         aria-labelledby=\"{id}-title {id}-text\" style=\"font-family:{font}\">\
         <title id=\"{id}-title\">{title}</title><desc id=\"{id}-text\">{text}</desc>{body}</svg>",
        height = number(height),
        font =
            if paint.font.contains(' ') { format!("'{}'", paint.font) } else { paint.font.into() },
        title = escape(&title),
        text = escape(&description),
        body = canvas.body,
    )
}

/// How a text stands at its point.
#[derive(Clone, Copy)]
enum Anchor {
    Start,
    Middle,
    End,
}

struct Canvas {
    body: String,
    paint: Paint,
    writer: Writer,
}

/// To tenths, without a needless point.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), ToOwned::to_owned)
}

fn float(amount: Decimal) -> f64 {
    amount.to_f64().unwrap_or_default()
}

impl Canvas {
    fn text(&mut self, x: f64, y: f64, text: &str, anchor: Anchor, size: f64, fill: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let _ = write!(
            self.body,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\" font-size=\"{}\" \
             style=\"fill:{fill}\">{}</text>",
            number(x),
            number(y),
            number(size),
            escape(text)
        );
    }

    fn bar(&mut self, x: f64, y: f64, width: f64, height: f64, fill: &str) {
        let _ = write!(
            self.body,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" style=\"fill:{fill}\"/>",
            number(x),
            number(y),
            number(width.max(0.5)),
            number(height.max(0.8))
        );
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), dashed: bool) {
        let dash = if dashed { " stroke-dasharray=\"2 2\"" } else { "" };
        let stroke = self.paint.line;
        let _ = write!(
            self.body,
            "<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"{dash} \
             style=\"stroke:{stroke};stroke-width:1\"/>",
            number(from.0),
            number(from.1),
            number(to.0),
            number(to.1)
        );
    }

    fn label(&self, cell: &Cell) -> String {
        super::language::capital(&self.writer.cell(cell, ColumnKind::Text, Role::Body))
    }

    /// An amount beside a bar: whole from a thousand on.
    fn amount(&self, amount: Decimal, is_change: bool) -> String {
        let decimals = if amount.abs() >= Decimal::ONE_THOUSAND { 0 } else { 2 };
        let decimals = if amount.abs() >= Decimal::ONE_HUNDRED { 0 } else { decimals };
        let text = self.writer.language.number(amount, decimals);
        if is_change && amount > Decimal::ZERO { format!("+{text}") } else { text }
    }

    /// Horizontal floating bars, one under the other: labels of any length stay readable.
    fn waterfall(&mut self, bars: &[Bar]) -> f64 {
        const STEP: f64 = 26.0;
        const TOP: f64 = 8.0;
        const LEFT: f64 = 168.0;
        const RIGHT: f64 = WIDTH - 84.0;
        let mut level = 0.0;
        let mut levels = Vec::with_capacity(bars.len());
        for bar in bars {
            let amount = float(bar.amount);
            let (from, to) = if bar.is_total { (0.0, amount) } else { (level, level + amount) };
            levels.push((from, to));
            level = to;
        }
        // The totals start far from zero, where only the steps matter: the axis begins just below
        // the lowest level, and a break mark says so.
        let ends =
            levels.iter().skip(1).flat_map(|(from, to)| [*from, *to]).filter(|it| *it != 0.0);
        let lowest = ends.clone().fold(f64::INFINITY, f64::min);
        let highest = levels.iter().flat_map(|(from, to)| [*from, *to]).fold(0.0, f64::max);
        let span = highest - lowest;
        let is_cut = lowest > 0.0 && span < 0.5 * highest;
        let floor = if is_cut {
            (lowest - 0.35 * span.max(highest * 0.01)).max(0.0)
        } else {
            lowest.min(0.0)
        };
        let scale = (RIGHT - LEFT) / (highest - floor).max(1e-9);
        let at = |value: f64| LEFT + (value.max(floor) - floor) * scale;
        let mut y = TOP;
        for (index, (bar, (from, to))) in bars.iter().zip(&levels).enumerate() {
            let (x0, x1) = (at(from.min(*to)), at(from.max(*to)));
            let fill = match (bar.is_total, bar.amount.is_sign_negative()) {
                (true, _) => self.paint.total,
                (false, false) => self.paint.up,
                (false, true) => self.paint.down,
            };
            self.bar(x0, y, x1 - x0, STEP - 9.0, fill);
            if bar.is_total && is_cut {
                // Two slits through the bar: it is longer than it looks.
                for offset in [10.0, 16.0] {
                    let _ = write!(
                        self.body,
                        "<path d=\"M{} {}l4 -{h}\" style=\"stroke:{};stroke-width:2\"/>",
                        number(LEFT + offset),
                        number(y + STEP - 8.0),
                        if self.paint.font == "inherit" { "var(--paper)" } else { "#ffffff" },
                        h = number(STEP - 7.0),
                    );
                }
            }
            let middle = y + (STEP - 9.0) / 2.0 + 4.0;
            let (ink, faint) = (self.paint.ink, self.paint.faint);
            let label = self.label(&bar.label);
            self.text(
                LEFT - 12.0,
                middle,
                &label,
                Anchor::End,
                12.5,
                if bar.is_total { ink } else { faint },
            );
            let amount = self.amount(bar.amount, !bar.is_total);
            self.text(x1 + 7.0, middle, &amount, Anchor::Start, 12.5, ink);
            if index + 1 < bars.len() {
                let x = at(*to);
                self.line((x, y + STEP - 9.0), (x, y + STEP), true);
            }
            y += STEP;
        }
        y + 2.0
    }

    /// Columns over categories; series are stacked, the first at the bottom.
    fn columns(&mut self, categories: &[Cell], series: &[Series]) -> f64 {
        const HEIGHT: f64 = 190.0;
        const LEFT: f64 = 62.0;
        const TOP: f64 = 14.0;
        let bottom = TOP + HEIGHT;
        let stack = |at: usize, sign: bool| -> f64 {
            series
                .iter()
                .filter_map(|it| it.amounts.get(at).copied().flatten())
                .map(float)
                .filter(|amount| (*amount < 0.0) == sign)
                .sum()
        };
        let highest = (0..categories.len()).map(|at| stack(at, false)).fold(0.0, f64::max);
        let lowest = (0..categories.len()).map(|at| stack(at, true)).fold(0.0, f64::min);
        let step = nice_step((highest - lowest).max(0.01) / 4.0);
        let (floor, ceiling) = ((lowest / step).floor() * step, (highest / step).ceil() * step);
        let scale = HEIGHT / (ceiling - floor).max(step);
        let y_of = |value: f64| bottom - (value - floor) * scale;
        let faint = self.paint.faint;
        let mut tick = floor;
        while tick <= ceiling + step / 2.0 {
            self.line((LEFT, y_of(tick)), (WIDTH, y_of(tick)), false);
            let decimals = if step < 1.0 { 2 } else { 0 };
            let amount = Decimal::from_f64_retain(tick).unwrap_or_default();
            let text = self.writer.language.number(amount, decimals);
            self.text(LEFT - 8.0, y_of(tick) + 4.0, &text, Anchor::End, 11.0, faint);
            tick += step;
        }
        let slot = (WIDTH - LEFT) / categories.len().max(1) as f64;
        let width = (slot * 0.72).min(46.0);
        for (at, category) in categories.iter().enumerate() {
            let x = LEFT + slot * (at as f64 + 0.5) - width / 2.0;
            let (mut up, mut down) = (0.0, 0.0);
            for (index, it) in series.iter().enumerate() {
                let Some(amount) = it.amounts.get(at).copied().flatten().map(float) else {
                    continue;
                };
                let base = if amount < 0.0 { &mut down } else { &mut up };
                let (from, to) = (*base, *base + amount);
                *base = to;
                if amount == 0.0 {
                    continue;
                }
                let fill = if series.len() == 1 {
                    let is_last = at + 1 == categories.len();
                    if is_last { self.paint.total } else { self.paint.series[5] }
                } else {
                    self.paint.series[index.min(5)]
                };
                let (top, low) = (y_of(from.max(to)), y_of(from.min(to)));
                self.bar(x, top, width, low - top, fill);
            }
            let (text, shown) = match category {
                Cell::Month(month) => (self.writer.language.short_month(*month), true),
                Cell::Day(day) => {
                    let last = categories.len();
                    let shown =
                        day.day() == 1 || (day.day() % 5 == 0 && at + 2 < last) || at + 1 == last;
                    (day.day().to_string(), shown)
                }
                other => (self.label(other), true),
            };
            if shown {
                self.text(x + width / 2.0, bottom + 16.0, &text, Anchor::Middle, 11.0, faint);
            }
        }
        if lowest < 0.0 {
            let zero = y_of(0.0);
            self.line((LEFT, zero), (WIDTH, zero), false);
        }
        if series.len() < 2 {
            return bottom + 24.0;
        }
        self.legend(series, bottom + 36.0)
    }

    /// Names of the series, in as many lines as they need.
    fn legend(&mut self, series: &[Series], top: f64) -> f64 {
        let (mut x, mut y) = (62.0, top);
        for (index, it) in series.iter().enumerate() {
            let label = self.label(&it.label);
            // A letter of this size needs a little less in most fonts.
            let width = 22.0 + label.chars().count() as f64 * 6.7;
            if x > 62.0 && x + width > WIDTH {
                x = 62.0;
                y += 19.0;
            }
            let (fill, faint) = (self.paint.series[index.min(5)], self.paint.faint);
            self.bar(x, y - 9.0, 10.0, 10.0, fill);
            self.text(x + 15.0, y, &label, Anchor::Start, 11.5, faint);
            x += width + 14.0;
        }
        y + 10.0
    }

    /// Bars to both sides of zero, rises to the right.
    fn movers(&mut self, bars: &[Bar]) -> f64 {
        const STEP: f64 = 24.0;
        const TOP: f64 = 6.0;
        let most = |is_up: bool| {
            bars.iter()
                .map(|bar| float(bar.amount))
                .filter(|amount| (*amount > 0.0) == is_up)
                .map(f64::abs)
                .fold(0.0, f64::max)
        };
        let (up, down) = (most(true), most(false));
        // Labels stand on the other side of zero, so both sides need room for them.
        let label_room = 230.0;
        let left = if up > 0.0 { label_room } else { 80.0 };
        let right = if down > 0.0 { label_room } else { 80.0 };
        let scale = {
            let for_up = if up > 0.0 { (WIDTH - left - 75.0) / up } else { f64::INFINITY };
            let for_down = if down > 0.0 { (WIDTH - right - 75.0) / down } else { f64::INFINITY };
            let both = (WIDTH - 150.0) / (up + down).max(1e-9);
            for_up.min(for_down).min(both)
        };
        let zero = (75.0 + down * scale).max(left).min(WIDTH - right.min(75.0 + up * scale));
        let mut y = TOP;
        for bar in bars {
            let amount = float(bar.amount);
            let length = amount.abs() * scale;
            let (ink, faint) = (self.paint.ink, self.paint.faint);
            let label = cut(&self.label(&bar.label), 38);
            let text = self.amount(bar.amount, true);
            let middle = y + 13.0;
            if amount > 0.0 {
                self.bar(zero, y, length, STEP - 7.0, self.paint.up);
                self.text(zero - 8.0, middle, &label, Anchor::End, 12.0, faint);
                self.text(zero + length + 6.0, middle, &text, Anchor::Start, 12.0, ink);
            } else {
                self.bar(zero - length, y, length, STEP - 7.0, self.paint.down);
                self.text(zero + 8.0, middle, &label, Anchor::Start, 12.0, faint);
                self.text(zero - length - 6.0, middle, &text, Anchor::End, 12.0, ink);
            }
            y += STEP;
        }
        self.line((zero, TOP - 2.0), (zero, y - 4.0), false);
        y + 2.0
    }
}

/// Steps of an axis are 1, 2 or 5 times a power of ten.
pub(super) fn nice_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|it| it * power >= rough).unwrap_or(10.0);
    factor * power
}

/// A label that fits.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_round_steps() {
        for (rough, step) in [(0.3, 0.5), (17.0, 20.0), (99.0, 100.0), (1.0, 1.0)] {
            assert!((nice_step(rough) - step).abs() < 1e-9, "{rough}: {}", nice_step(rough));
        }
    }

    #[test]
    fn a_number_is_short() {
        assert_eq!(
            (number(3.0), number(2.14159), number(-0.5)),
            ("3".into(), "2.1".into(), "-0.5".into())
        );
    }
}
