//! The styles of lines: colours and dashes that also the colour-blind tell apart.

/// How many colours the style sheet has.
pub(crate) const COLOURS: usize = 8;
/// How many patterns of dashes the style sheet has.
pub(crate) const DASHES: usize = 6;
/// How many styles there are before they repeat.
pub(crate) const STYLES: usize = 24;

/// The colour and the dashes of a line, as classes of the style sheet.
///
/// Eight colours come in turn, after Okabe and Ito. The dashes change from line to line, too, so
/// that neighbours differ in both, and each colour comes back with dashes of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LineStyle {
    /// Which line of its chart it is; [`STYLES`] of them differ.
    number: usize,
}

impl LineStyle {
    /// The style of the line with this number, from 0.
    pub(crate) const fn new(number: usize) -> Self {
        Self { number: number % STYLES }
    }

    /// The number within all styles, which the switches of a chart go by.
    pub(crate) const fn number(self) -> usize {
        self.number
    }

    /// Which of the colours.
    pub(crate) const fn colour(self) -> usize {
        self.number % COLOURS
    }

    /// Which of the patterns of dashes.
    pub(crate) const fn dash(self) -> usize {
        // Each further round through the colours begins two patterns later.
        (self.number % COLOURS + self.number / COLOURS * 2) % DASHES
    }

    /// The classes of a line.
    pub(crate) fn classes(self) -> String {
        format!("line c{} d{}", self.colour(), self.dash())
    }

    /// A mark at this place, in a shape that changes with the dashes.
    pub(crate) fn mark(self, x: f64, y: f64) -> String {
        let shape = match self.dash() {
            0 => "m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0Z",
            1 => "m-3 -3h6v6h-6Z",
            2 => "m0 -4.2l4 7h-8Z",
            3 => "m0 -4.5l4.2 4.5l-4.2 4.5l-4.2 -4.5Z",
            4 => "m0 4.2l4 -7h-8Z",
            _ => "m-1.4 -4h2.8v2.6h2.6v2.8h-2.6v2.6h-2.8v-2.6h-2.6v-2.8h2.6Z",
        };
        format!("<path class=\"mark f{}\" d=\"M{x:.1} {y:.1}{shape}\"/>", self.colour())
    }

    /// A sample of the line for a key, 30 by 12 pixels.
    pub(crate) fn sample(self) -> String {
        let mark = self.mark(15.0, 6.0);
        format!("<path class=\"{}\" d=\"M0 6H30\"/>{mark}", self.classes())
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::STYLE;
    use super::*;

    type Rgb = [f64; 3];

    #[test]
    fn any_two_of_24_lines_differ_and_neighbours_differ_twice() {
        let styles: Vec<LineStyle> = (0..STYLES).map(LineStyle::new).collect();
        let look = |style: &LineStyle| (style.colour(), style.dash());
        for (number, style) in styles.iter().enumerate() {
            for other in &styles[..number] {
                assert_ne!(look(style), look(other), "{} and {}", other.number, style.number);
            }
            if let Some(next) = styles.get(number + 1) {
                assert_ne!(style.colour(), next.colour());
                assert_ne!(style.dash(), next.dash(), "{number}");
            }
        }
        let rules = |class: char, n: usize| STYLE.contains(&format!(".{class}{n} "));
        assert!((0..COLOURS).all(|n| rules('c', n) && rules('f', n)) && !rules('c', COLOURS));
        assert!((1..DASHES).all(|n| rules('d', n)) && !rules('d', DASHES));
        for n in 0..STYLES {
            let switch = format!(".chart:has(.t{n}:not(:checked)) .s{n}");
            assert!(STYLE.contains(&switch), "no switch {n}");
        }
    }

    /// The colours of one scheme: the paper, and those of the lines.
    fn scheme(text: &str) -> (Rgb, Vec<Rgb>) {
        let colour = |name: &str| -> Rgb {
            let (_, rest) = text.split_once(&format!("--{name}: #")).expect("a colour");
            let hex = rest.split(';').next().expect("its end");
            let hex = if hex.len() == 3 {
                hex.chars().flat_map(|c| [c, c]).collect()
            } else {
                hex.to_owned()
            };
            let part = |at: usize| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
            [part(0), part(2), part(4)].map(|part| linear(part / 255.0))
        };
        (colour("paper"), (0..COLOURS).map(|n| colour(&format!("p{n}"))).collect())
    }

    fn linear(part: f64) -> f64 {
        if part <= 0.04045 { part / 12.92 } else { libm::pow((part + 0.055) / 1.055, 2.4) }
    }

    fn luminance([r, g, b]: Rgb) -> f64 {
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    fn times(matrix: [[f64; 3]; 3], rgb: Rgb) -> Rgb {
        matrix.map(|row| (0..3).map(|i| row[i] * rgb[i]).sum::<f64>().clamp(0.0, 1.0))
    }

    /// The distance of two colours as people see it (Oklab of Ottosson, 2020).
    fn distance(a: Rgb, b: Rgb) -> f64 {
        let oklab = |rgb: Rgb| {
            let lms = times(
                [
                    [0.4122214708, 0.5363325363, 0.0514459929],
                    [0.2119034982, 0.6806995451, 0.1073969566],
                    [0.0883024619, 0.2817188376, 0.6299787005],
                ],
                rgb,
            )
            .map(libm::cbrt);
            let row = |r: [f64; 3]| r[0] * lms[0] + r[1] * lms[1] + r[2] * lms[2];
            [
                row([0.2104542553, 0.7936177850, -0.0040720468]),
                row([1.9779984951, -2.4285922050, 0.4505937099]),
                row([0.0259040371, 0.7827717662, -0.8086757660]),
            ]
        };
        let (a, b) = (oklab(a), oklab(b));
        (0..3).map(|i| (a[i] - b[i]) * (a[i] - b[i])).sum::<f64>().sqrt()
    }

    /// How people without one kind of cones see: the matrices of Machado, Oliveira and Fernandes
    /// (2009) for full protanopia, deuteranopia and tritanopia.
    const SIGHTS: [[[f64; 3]; 3]; 4] = [
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    ];

    #[test]
    fn colours_show_on_the_paper_and_differ_for_everyone() {
        let (light, dark) = STYLE.split_once("prefers-color-scheme: dark").expect("both schemes");
        for (name, text) in [("light", light), ("dark", dark)] {
            let (paper, lines) = scheme(text);
            for (n, line) in lines.iter().enumerate() {
                let (a, b) = (luminance(paper), luminance(*line));
                let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
                assert!(contrast >= 3.0, "{name} {n}: contrast {contrast:.2}");
            }
            for (one, line) in lines.iter().enumerate() {
                for (other, next) in lines.iter().enumerate().skip(one + 1) {
                    for (sight, matrix) in SIGHTS.iter().enumerate() {
                        let distance = distance(times(*matrix, *line), times(*matrix, *next));
                        let pair = (one, other);
                        assert!(distance > 0.12, "{name} {pair:?}, sight {sight}: {distance:.3}");
                    }
                }
            }
        }
    }
}
