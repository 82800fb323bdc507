//! The figures as a page of HTML with plots in it, which needs no network and no script.

use std::fmt::Write as _;

use super::figures::{Figures, MEASURES, Measure};

/// Of a plot, in pixels.
const BAR: u32 = 22;
const WIDTH: f64 = 420.0;
const COLOURS: [&str; 4] = ["#1b6ca8", "#c77c11", "#6a8f3c", "#8a4f9e"];

/// One plot for each measure, a bar for each contestant and size: the median.
pub(super) fn page(figures: &Figures) -> String {
    let mut out = String::from(
        "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>swim-quic: clusters \
         </title>\n<style>body{font:14px sans-serif;margin:2em}text{font:12px sans-serif}</style>\n\
         <h1>Clusters in one process</h1>\n<p>Medians of one run; less is better.</p>\n",
    );
    for measure in &MEASURES {
        plot(figures, measure, &mut out);
    }
    // The same figures in words.
    let _ = writeln!(out, "<pre>{}</pre>\n</html>", escaped(&figures.table().to_string()));
    out
}

fn plot(figures: &Figures, measure: &Measure, out: &mut String) {
    let mut bars = Vec::new();
    for members in figures.sizes() {
        for (place, contestant) in figures.contestants.iter().enumerate() {
            let median = figures.spread(measure, place, members).map(|spread| spread.median);
            bars.push((place, format!("{members}: {contestant}"), median));
        }
    }
    let most = bars.iter().filter_map(|(.., median)| *median).fold(f64::MIN_POSITIVE, f64::max);
    let height = bars.len() * BAR as usize + 4;
    let _ = writeln!(out, "<h2>{}</h2>\n<svg width=\"960\" height=\"{height}\">", measure.name);
    let mut top = 2;
    for (place, label, median) in &bars {
        let (width, value) = match median {
            Some(median) => (median / most * WIDTH, format!("{median:.3}")),
            None => (0.0, "not in time".to_owned()),
        };
        let (colour, baseline) = (COLOURS[place % COLOURS.len()], top + 15);
        let _ = writeln!(
            out,
            "<text x=\"290\" y=\"{baseline}\" text-anchor=\"end\">{}</text>\
             <rect x=\"300\" y=\"{top}\" width=\"{width:.1}\" height=\"18\" fill=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{baseline}\">{value}</text>",
            escaped(label),
            width + 306.0,
        );
        top += BAR;
    }
    out.push_str("</svg>\n");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_stands_alone_and_shows_every_measure() {
        let page = page(&Figures::new(vec!["<ours>"]));
        assert!(MEASURES.iter().all(|measure| page.contains(measure.name)));
        assert!(page.contains("&lt;ours&gt;") && !page.contains("<ours>"));
        assert!(!page.contains("http") && !page.contains("<script"));
    }
}
