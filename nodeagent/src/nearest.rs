//! Known names that are near what somebody wrote: for "did you mean" in the configuration and the API.

/// The known names within a few edits of `text`, nearest first, at most three.
pub(crate) fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    // A query can be kilobytes long; no known name is near those.
    if text.len() > 64 {
        return Vec::new();
    }
    let wanted = text.to_lowercase();
    let most = (wanted.chars().count() / 3).max(2);
    let mut found: Vec<(usize, &str)> = known
        .into_iter()
        .filter_map(|name| {
            let lower = name.to_lowercase();
            let short = wanted.len().min(lower.len());
            let part_of_other = short >= 3 && (lower.contains(&wanted) || wanted.contains(&lower));
            // A part of a name is as far as can be, so that a misspelt whole name comes first.
            let distance = edits(&wanted, &lower).min(if part_of_other { most } else { usize::MAX });
            (distance <= most).then_some((distance, name))
        })
        .collect();
    found.sort();
    found.dedup();
    found.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Edits (insert, delete, replace, swap of neighbours) from one text to the other: optimal string alignment.
fn edits(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (row, left) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, right) in to.iter().enumerate() {
            let replace = last.get(column).copied().unwrap_or(0) + usize::from(left != right);
            let insert = current.get(column).copied().unwrap_or(0) + 1;
            let delete = last.get(column + 1).copied().unwrap_or(0) + 1;
            let mut least = replace.min(insert).min(delete);
            let swapped =
                row > 0 && column > 0 && from.get(row - 1) == Some(right) && to.get(column - 1) == Some(left);
            if swapped && left != right {
                least = least.min(before.get(column - 1).copied().unwrap_or(usize::MAX - 1) + 1);
            }
            current.push(least);
        }
        before = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{edits, nearest};

    #[test]
    fn edits_are_counted_once_each() {
        for (from, to, wanted) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "ab", 1),
            ("abc", "acb", 1),
            ("abc", "xbc", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(edits(from, to), wanted, "{from} → {to}");
            assert_eq!(edits(to, from), wanted, "{to} → {from}");
        }
    }

    #[test]
    fn misspelt_name_finds_the_known_one_first() {
        let known = ["thresholds", "protected", "excluded", "listen"];

        assert_eq!(nearest("treshold", known), ["thresholds"]);
        assert_eq!(nearest("Listen", known), ["listen"]);
        assert!(nearest("zzzzzzzz", known).is_empty());
        assert!(nearest(&"thresholds".repeat(1000), known).is_empty());
    }
}
