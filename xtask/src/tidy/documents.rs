//! Documents: links lead somewhere, each page of `docs/` is in the book, and tests that a page names are there.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use anyhow::Result;

use super::block::fence;
use crate::workspace::Workspace;

/// The book's table of contents.
const SUMMARY: &str = "docs/SUMMARY.md";

/// Lists of work under way, which go when it is done: no pages.
const WORK_LISTS: &str = "docs/progress";

/// One line for each link that leads nowhere, each page that no reader of the book finds, each named test that is
/// not there.
pub(crate) fn check(workspace: &Workspace, files: &[PathBuf]) -> Result<Vec<String>> {
    let documents: Vec<&PathBuf> =
        files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect();
    let mut findings = Vec::new();
    let mut in_book = BTreeSet::new();
    for path in &documents {
        let text = std::fs::read_to_string(workspace.root.join(path))?;
        for (line, target) in links(&text) {
            match resolve(path, &target) {
                Link::Outside => {}
                Link::Inside(file, anchor) => {
                    if path.as_path() == Path::new(SUMMARY) && !in_book.insert(file.clone()) {
                        findings.push(format!("{SUMMARY}:{line}: {} is listed twice", file.display()));
                    }
                    if let Some(wrong) = broken(workspace, &file, anchor.as_deref())? {
                        findings.push(format!("{}:{line}: link `{target}`: {wrong}", path.display()));
                    }
                }
                Link::Above => {
                    findings.push(format!("{}:{line}: link `{target}` leaves the clone", path.display()));
                }
            }
        }
        for (line, file, name) in named_tests(&text) {
            let source = std::fs::read_to_string(workspace.root.join(&file)).unwrap_or_default();
            if !source.contains(&format!("fn {name}(")) {
                findings.push(format!("{}:{line}: {file} has no function {name}", path.display()));
            }
        }
    }
    for path in documents.iter().filter(|path| path.starts_with("docs")) {
        let work = path.to_string_lossy().starts_with(WORK_LISTS);
        if path.as_path() != Path::new(SUMMARY) && !work && !in_book.contains(path.as_path()) {
            findings.push(format!("{} is not in {SUMMARY}", path.display()));
        }
    }
    Ok(findings)
}

/// Files and folders outside of `docs/` that its pages link to.
pub(crate) fn beside_the_book(workspace: &Workspace, files: &[PathBuf]) -> Result<BTreeSet<PathBuf>> {
    let mut beside = BTreeSet::new();
    let pages = files.iter().filter(|path| path.starts_with("docs"));
    for path in pages.filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let text = std::fs::read_to_string(workspace.root.join(path))?;
        for (_, target) in links(&text) {
            if let Link::Inside(file, _) = resolve(path, &target)
                && !file.starts_with("docs")
            {
                beside.insert(file);
            }
        }
    }
    Ok(beside)
}

/// Where a link leads.
#[derive(Debug, PartialEq, Eq)]
enum Link {
    /// To another server.
    Outside,
    /// To a file or folder of the clone, and perhaps a heading in it.
    Inside(PathBuf, Option<String>),
    /// Out of the clone.
    Above,
}

fn resolve(document: &Path, target: &str) -> Link {
    let scheme = target.split(['/', '#', '?']).next().is_some_and(|head| head.contains(':'));
    if scheme || target.starts_with('/') {
        return Link::Outside;
    }
    let (file, anchor) = match target.split_once('#') {
        Some((file, anchor)) => (file, Some(anchor.to_owned())),
        None => (target, None),
    };
    if file.is_empty() {
        return Link::Inside(document.to_owned(), anchor);
    }
    let mut resolved = PathBuf::new();
    for part in document.parent().unwrap_or(Path::new("")).join(file).components() {
        match part {
            Component::ParentDir if !resolved.pop() => return Link::Above,
            Component::ParentDir | Component::CurDir => {}
            part => resolved.push(part),
        }
    }
    Link::Inside(resolved, anchor)
}

/// What is wrong with a link into the clone.
fn broken(workspace: &Workspace, file: &Path, anchor: Option<&str>) -> Result<Option<String>> {
    let path = workspace.root.join(file);
    if !path.exists() {
        return Ok(Some(format!("there is no {}", file.display())));
    }
    let Some(anchor) = anchor.filter(|_| file.extension().is_some_and(|extension| extension == "md")) else {
        return Ok(None);
    };
    let found = anchors(&std::fs::read_to_string(path)?).contains(anchor);
    Ok((!found).then(|| format!("{} has no heading #{anchor}", file.display())))
}

/// Lines outside of fenced blocks, with their numbers.
fn prose(markdown: &str) -> Vec<(usize, &str)> {
    let mut open: Option<String> = None;
    let mut lines = Vec::new();
    for (number, line) in markdown.lines().enumerate() {
        match (&open, fence(line)) {
            (Some(end), _) if line.trim_start().starts_with(end.as_str()) => open = None,
            (None, Some((begin, _))) => open = Some(begin),
            (None, None) => lines.push((number + 1, line)),
            (Some(_), _) => {}
        }
    }
    lines
}

/// Targets of links and images, with their lines.
fn links(markdown: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(markdown) {
        // What stands in backticks is text.
        let line: String = line.split('`').step_by(2).collect::<Vec<_>>().join("``");
        for (at, sign) in line.match_indices("](") {
            let rest = &line[at + sign.len()..];
            let target = rest.split([')', ' ']).next().unwrap_or_default();
            found.push((number, target.trim_matches(['<', '>']).to_owned()));
        }
        let definition = line.trim_start().strip_prefix('[').and_then(|rest| rest.split_once("]: "));
        if let Some((_, target)) = definition {
            found.push((number, target.split(' ').next().unwrap_or_default().to_owned()));
        }
    }
    found
}

/// What a link may have behind `#`: the headings as GitHub and mdBook name them.
fn anchors(markdown: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for (_, line) in prose(markdown) {
        let text = line.trim_start_matches('#');
        let level = line.len() - text.len();
        if !(1..=6).contains(&level) || !text.starts_with(' ') {
            continue;
        }
        let name = anchor(text.trim());
        let numbered = (1..).map(|count| format!("{name}-{count}"));
        let free = std::iter::once(name.clone()).chain(numbered).find(|name| !anchors.contains(name));
        anchors.extend(free);
    }
    anchors
}

fn anchor(heading: &str) -> String {
    // Of a link in a heading the text counts.
    let shown = heading.split("](").enumerate().map(|(index, part)| match (index, part.split_once(')')) {
        (1.., Some((_, rest))) => rest,
        _ => part,
    });
    let kept = shown.flat_map(str::chars).filter_map(|one| match one {
        ' ' => Some('-'),
        one if one.is_alphanumeric() || matches!(one, '-' | '_') => Some(one),
        _ => None,
    });
    kept.flat_map(char::to_lowercase).collect()
}

/// Tests that a page names as `FILE.rs::FUNCTION`, with their lines.
fn named_tests(markdown: &str) -> Vec<(usize, String, String)> {
    let mut named = Vec::new();
    for (number, line) in prose(markdown) {
        for span in line.split('`').skip(1).step_by(2) {
            if let Some((file, function)) = span.split_once(".rs::") {
                named.push((number, format!("{file}.rs"), function.to_owned()));
            }
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clone(files: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let names: Vec<PathBuf> = files.iter().map(|(name, _)| PathBuf::from(name)).collect();
        check(&Workspace::at(folder.path()), &names).unwrap()
    }

    #[test]
    fn links_that_lead_somewhere_are_no_findings() {
        let page = "# A `b` c_d: e\n[x](../a/b.rs) [y](#a-b-c_d-e) ![z](https://host/nowhere)\n## A\n## A\n[f]: #a-1\n";

        assert_eq!(
            clone(&[("docs/a.md", page), ("docs/SUMMARY.md", "[A](a.md#a)"), ("a/b.rs", "")]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_link_without_its_file_or_heading_is_found_with_its_line() {
        let page = "text\n[x](b.md)\n[y](c.md#none \"title\")\n[z](../../d)\n";

        let found =
            clone(&[("docs/a.md", page), ("docs/c.md", ""), ("docs/SUMMARY.md", "[A](a.md) [C](c.md)")]);

        assert_eq!(
            found,
            [
                "docs/a.md:2: link `b.md`: there is no docs/b.md",
                "docs/a.md:3: link `c.md#none`: docs/c.md has no heading #none",
                "docs/a.md:4: link `../../d` leaves the clone",
            ]
        );
    }

    #[test]
    fn what_stands_in_code_is_no_link() {
        assert_eq!(clone(&[("a.md", "`[x](y)`\n```sh\n[x](y)\n# z\n```\n")]), Vec::<String>::new());
        assert!(anchors("```\n# z\n```").is_empty());
    }

    #[test]
    fn a_page_that_the_book_leaves_out_is_found_and_a_list_of_work_is_not() {
        let found =
            clone(&[("docs/b/a.md", ""), ("docs/progress7.md", ""), ("docs/SUMMARY.md", ""), ("b.md", "")]);

        assert_eq!(found, ["docs/b/a.md is not in docs/SUMMARY.md"]);
    }

    #[test]
    fn a_page_that_the_book_has_twice_is_found() {
        let found = clone(&[("docs/a.md", ""), ("docs/SUMMARY.md", "- [A](a.md)\n- [A](a.md)")]);

        assert_eq!(found, ["docs/SUMMARY.md:2: docs/a.md is listed twice"]);
    }

    #[test]
    fn what_pages_need_from_outside_of_the_book_is_listed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("docs")).unwrap();
        std::fs::write(folder.path().join("docs/a.md"), "[x](../b/c.yaml) [y](d.md) [z](https://e)").unwrap();

        let beside = beside_the_book(&Workspace::at(folder.path()), &["docs/a.md".into()]).unwrap();

        assert_eq!(beside, [PathBuf::from("b/c.yaml")].into());
    }

    #[test]
    fn a_test_that_a_page_names_is_looked_up() {
        let found = clone(&[("a.md", "`b/c.rs::one`, `b/c.rs::two`"), ("b/c.rs", "fn one() {}")]);

        assert_eq!(found, ["a.md:1: b/c.rs has no function two"]);
    }
}
