//! `cargo xtask docs`: the site of the documents, made by mdBook, with nothing that a browser would fetch from elsewhere.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;
use crate::{output, program, tidy};

/// The release of mdBook that the pages were looked at with.
const VERSION: &str = "0.5.4";

pub(crate) fn run() -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let mdbook = mdbook(&workspace)?;
    let site = workspace.target.join("docs");
    if site.exists() {
        std::fs::remove_dir_all(&site).with_context(|| format!("remove {}", site.display()))?;
    }
    // Links out of docs/ lead to the same places: the site has the book where the clone has docs/.
    let book = site.join("docs");
    program::must(workspace.command(mdbook).args(["build", "docs", "--dest-dir"]).arg(&book))?;
    let files = workspace.files()?;
    for beside in tidy::beside_the_book(&workspace, &files)? {
        for file in files.iter().filter(|file| file.starts_with(&beside)) {
            let to = site.join(file);
            std::fs::create_dir_all(to.parent().unwrap_or(&site))?;
            std::fs::copy(workspace.root.join(file), &to)
                .with_context(|| format!("copy {}", file.display()))?;
        }
    }
    let fetched = fetched(&book)?;
    if !fetched.is_empty() {
        bail!("the site would load from elsewhere: {}", fetched.join(", "));
    }
    output::line(&format!("wrote {}", book.join("index.html").display()));
    Ok(ExitCode::SUCCESS)
}

/// mdBook on the search path, else in the target folder, where it is built once.
fn mdbook(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(found) = program::path_of("mdbook") {
        return Ok(found);
    }
    let tools = workspace.target.join("tools");
    let built = tools.join("bin/mdbook");
    if !built.is_file() {
        output::line(&format!("installing mdbook {VERSION} below {}", tools.display()));
        let mut install = workspace.cargo();
        install.args(["install", "mdbook", "--locked", "--version", VERSION]);
        install.args(["--no-default-features", "--features", "search", "--root"]).arg(&tools);
        program::must(&mut install)?;
    }
    Ok(built)
}

/// What pages would load from another server: scripts, styles, pictures.
fn fetched(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(fetched(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "html") {
            found.extend(loads(&std::fs::read_to_string(&path)?));
        }
    }
    Ok(found)
}

/// Addresses of other servers in elements that a browser loads by itself.
fn loads(html: &str) -> Vec<String> {
    let elements = html.split('<').skip(1);
    let loading = elements.filter(|element| {
        let name = element.split(|one: char| !one.is_ascii_alphanumeric()).next().unwrap_or_default();
        ["script", "link", "img", "iframe", "source", "object", "embed"].contains(&name)
    });
    let addresses = loading.flat_map(|element| {
        let tag = element.split('>').next().unwrap_or_default();
        let values = tag.split(['"', '\'']).skip(1).step_by(2);
        let elsewhere = |value: &&str| value.starts_with("//") || value.contains("://");
        values.filter(elsewhere).map(str::to_owned).collect::<Vec<_>>()
    });
    addresses.collect()
}

#[cfg(test)]
mod tests {
    use super::loads;

    #[test]
    fn what_is_loaded_counts_and_what_is_linked_does_not() {
        let html = "<a href=\"https://a\">x</a><script src=\"b.js\"></script><link rel='stylesheet' href='//c/d.css'>\
                    <img alt=\"e\" src=\"http://f/g.png\">";

        assert_eq!(loads(html), ["//c/d.css", "http://f/g.png"]);
    }
}
