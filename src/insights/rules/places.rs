//! Where a place of an expression stands in its file: YAML folds lines and drops indentation, an
//! error must name the file's own line and column.

use datafusion::sql::sqlparser::tokenizer::Location;

use crate::yaml::Place;

/// The place in `file` of a location in `text`, the value of a scalar that begins at `scalar`.
///
/// Characters other than spaces are the same in both, in the same order. Where they are not (escapes
/// in quotes), it is the place of the scalar.
pub fn place(file: &str, scalar: Place, text: &str, location: Location) -> Place {
    let offset = offset(text, location);
    // What comes before, without spaces; then the first character at or after the location.
    let before = text.chars().take(offset).filter(|c| !c.is_whitespace()).count();
    let mut wanted = text.chars().filter(|c| !c.is_whitespace());
    let mut left = before;
    for (line, column, found) in characters(file, scalar) {
        let Some(expected) = wanted.next() else { break };
        if found != expected {
            return scalar;
        }
        if left == 0 {
            return Place { line, column };
        }
        left -= 1;
    }
    scalar
}

/// Characters before a location, which counts lines and columns from 1.
fn offset(text: &str, location: Location) -> usize {
    let lines = usize::try_from(location.line.saturating_sub(1)).unwrap_or(usize::MAX);
    let before: usize = text.split('\n').take(lines).map(|line| line.chars().count() + 1).sum();
    before + usize::try_from(location.column.saturating_sub(1)).unwrap_or(0)
}

/// The characters of the scalar that begins at `scalar`, with their places, spaces left out.
fn characters(file: &str, scalar: Place) -> impl Iterator<Item = (usize, usize, char)> {
    let first = file.lines().nth(scalar.line.saturating_sub(1)).unwrap_or_default();
    let skip = match first.chars().nth(scalar.column.saturating_sub(1)) {
        Some('>' | '|') => Skip::Line,
        Some('"' | '\'') => Skip::Quote,
        _ => Skip::Nothing,
    };
    file.lines().enumerate().skip(scalar.line.saturating_sub(1)).flat_map(move |(index, line)| {
        let from = match (index + 1 == scalar.line, skip) {
            (true, Skip::Line) => usize::MAX,
            (true, Skip::Quote) => scalar.column,
            (true, Skip::Nothing) => scalar.column - 1,
            (false, _) => 0,
        };
        line.chars()
            .enumerate()
            .filter(move |(at, c)| *at >= from && !c.is_whitespace())
            .map(move |(at, c)| (index + 1, at + 1, c))
    })
}

#[derive(Clone, Copy)]
enum Skip {
    Line,
    Quote,
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{self, Fields};

    /// The place of `word` in the value of `when`.
    fn place_of(file: &str, word: &str) -> (usize, usize) {
        let place = yaml::read("a.yaml", file, |root, reader| {
            let mut fields = Fields::of(root, "", reader)?;
            let node = fields.take("when", reader)?;
            let text: String = yaml::Read::read(node, "when", reader)?;
            let at = text.find(word)?;
            let (line, column) = text[..at].chars().fold((1, 1), |(line, column), c| {
                if c == '\n' { (line + 1, 1) } else { (line, column + 1) }
            });
            Some(place(file, node.place, &text, Location::new(line, column)))
        })
        .unwrap();
        (place.line, place.column)
    }

    #[test]
    fn a_place_is_the_files_own() {
        assert_eq!(place_of("id: a\nwhen: x = 1 and yy = 2\n", "yy"), (2, 17));
        assert_eq!(place_of("id: a\nwhen: 'x = 1 and yy = 2'\n", "yy"), (2, 18));
        assert_eq!(place_of("id: a\nwhen: >\n  x = 1\n  and yy = 2\nb: c\n", "yy"), (4, 7));
        assert_eq!(place_of("id: a\nwhen: |\n    x = 1\n\n    and yy = 2\n", "yy"), (5, 9));
        assert_eq!(place_of("id: a\nwhen: x = 1\n  and yy = 2\n", "yy"), (3, 7));
        assert_eq!(place_of("id: a\nwhen: >-\n  x = 1\n", "x"), (3, 3));
    }

    #[test]
    fn an_escape_falls_back_to_the_scalar() {
        assert_eq!(place_of("when: \"x = '\\u0041' and yy = 2\"\n", "yy"), (1, 7));
    }
}
