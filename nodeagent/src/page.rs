//! The page at `/`: its files, inside the executable.

/// Media types of the page's kinds of files.
const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// Name, media type and bytes of every file of the page.
static FILES: &[(&str, &str, &[u8])] = &[
    ("index.html", HTML, include_bytes!("page/index.html")),
    ("app.js", SCRIPT, include_bytes!("page/app.js")),
    ("arrange.js", SCRIPT, include_bytes!("page/arrange.js")),
    ("element.js", SCRIPT, include_bytes!("page/element.js")),
    ("facts.js", SCRIPT, include_bytes!("page/facts.js")),
    ("follow.js", SCRIPT, include_bytes!("page/follow.js")),
    ("nic_row.js", SCRIPT, include_bytes!("page/nic_row.js")),
    ("overview.js", SCRIPT, include_bytes!("page/overview.js")),
    ("pods.js", SCRIPT, include_bytes!("page/pods.js")),
    ("vf_cells.js", SCRIPT, include_bytes!("page/vf_cells.js")),
    ("words.js", SCRIPT, include_bytes!("page/words.js")),
    ("style.css", STYLE, include_bytes!("page/style.css")),
];

/// Media type and bytes of a file of the page.
pub(crate) fn file(name: &str) -> Option<(&'static str, &'static [u8])> {
    FILES.iter().find(|(known, _, _)| *known == name).map(|(_, media_type, bytes)| (*media_type, *bytes))
}

#[cfg(test)]
mod tests {
    use super::{FILES, file};
    use std::path::Path;

    #[test]
    fn every_file_of_the_folder_is_served_and_none_beside_it() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/page");
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.ends_with(".md"))
            .collect();
        names.sort();
        let mut served: Vec<&str> = FILES.iter().map(|(name, _, _)| *name).collect();
        served.sort();

        assert_eq!(served, names);
        assert!(file("../page.rs").is_none() && file("").is_none());
    }

    #[test]
    fn page_refers_to_nothing_outside() {
        for (name, _, bytes) in FILES {
            let text = std::str::from_utf8(bytes).unwrap();
            for (at, _) in text.match_indices("://") {
                let around =
                    text[..at].rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
                let rest = &text[at + 3..];
                // The SVG namespace is a name, not an address to fetch from.
                assert!(
                    rest.starts_with("www.w3.org/"),
                    "{name}: {around}://{}",
                    &rest[..rest.len().min(40)]
                );
            }
        }
    }
}
