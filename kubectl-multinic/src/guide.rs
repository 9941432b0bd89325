//! What docs/conditions.md says of a condition's reason: the one place where its fix is written down.

const GUIDE: &str = include_str!("../../docs/conditions.md");

/// The fix of a reason, as the guide has it, without marks for links; empty when the guide does not know the reason.
pub(crate) fn fix(reason: &str) -> String {
    let title = format!("`{reason}`");
    let section = GUIDE.split("\n### ").skip(1).find(|section| section.lines().next() == Some(&title));
    let fix = section.and_then(|section| section.split_once("**Fix.**"));
    let text = fix.map_or("", |(_, after)| after.split("\n\n").next().unwrap_or_default());
    let text = without_links(text.trim());
    // A file follows that a table has no room for.
    text.strip_suffix(':').map_or(text.clone(), |text| format!("{text} (docs/conditions.md has it)."))
}

/// `[text](target)` as `text`.
fn without_links(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        plain.push_str(before);
        match link.split_once("](").and_then(|(name, after)| Some((name, after.split_once(')')?.1))) {
            Some((name, after)) => {
                plain.push_str(name);
                rest = after;
            }
            None => {
                plain.push('[');
                rest = link;
            }
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::fix;

    #[test]
    fn fixes_are_those_of_the_guide() {
        assert_eq!(fix("InProgress"), "Wait.");
        assert!(fix("MigrationInProgress").starts_with("Let our agents replace it"));
        assert!(fix("MigrationInProgress").contains("(migration.md)"), "{}", fix("MigrationInProgress"));
        assert_eq!(fix("NoSuchReason"), "");
    }
}
