//! Reads what [`Scrape`](crate::Scrape) renders: Prometheus' text format,
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>.

/// One measured value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    /// Its metric.
    pub(super) name: String,
    /// Name and value each.
    pub(super) labels: Vec<(String, String)>,
    /// The value.
    pub(super) value: f64,
}

impl Sample {
    /// The value of a label; nothing where it has none of that name.
    pub(super) fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(label, _)| label == name).map_or("", |(_, value)| value)
    }

    /// The value of a counter.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count is whole and not negative")]
    pub(super) fn count(&self) -> u64 {
        self.value as u64
    }
}

/// The samples in it; lines that are none are passed over.
pub(super) fn samples(text: &str) -> Vec<Sample> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect()
}

fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.trim().rsplit_once(' ')?;
    let value = value.parse().ok().filter(|value: &f64| value.is_finite())?;
    let Some((name, labels)) = series.split_once('{') else {
        return Some(Sample { name: series.to_owned(), labels: Vec::new(), value });
    };
    Some(Sample { name: name.to_owned(), labels: read_labels(labels.strip_suffix('}')?), value })
}

fn read_labels(mut text: &str) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    while let Some((name, rest)) = text.split_once("=\"") {
        let (value, rest) = quoted(rest);
        labels.push((name.trim_start_matches(',').trim().to_owned(), value));
        text = rest;
    }
    labels
}

/// What stands until the closing quotation mark, and what follows that.
fn quoted(text: &str) -> (String, &str) {
    let (mut value, mut characters) = (String::new(), text.char_indices());
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped)) => value.push(escaped),
                None => {}
            },
            _ => value.push(character),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_labels_and_values_are_read() {
        let text = "# HELP a Something.\n# TYPE a counter\na 3\nb{x=\"1\",y=\"a\\\"b, c\\n\\\\\"} 0.5\n\nc{} 7\nrubbish\nd NaN\n";
        let read = samples(text);
        let names: Vec<(&str, f64)> = read.iter().map(|sample| (sample.name.as_str(), sample.value)).collect();
        assert_eq!(names, [("a", 3.0), ("b", 0.5), ("c", 7.0)]);
        assert_eq!((read[1].label("x"), read[1].label("y"), read[1].label("z")), ("1", "a\"b, c\n\\", ""));
        assert_eq!(read[0].count(), 3);
    }
}
