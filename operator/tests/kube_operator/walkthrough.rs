//! docs/operator.md, block by block, as it stands.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::cluster::Cluster;

/// A block of the page: its language and its text.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut parts = page.split("```");
    while let (Some(_), Some(block)) = (parts.next(), parts.next()) {
        let (language, text) = block.split_once('\n').unwrap();
        blocks.push((language.to_owned(), text.to_owned()));
    }
    blocks
}

/// Every wanted line is there, in this order; `…` stands for anything.
fn shows(printed: &str, wanted: &str) -> bool {
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let fits = |line: &str, wanted: &str| {
        let (line, wanted) = (words(line), words(wanted));
        line.len() == wanted.len()
            && line.iter().zip(&wanted).all(|(is, should)| should == "…" || is == should)
    };
    let mut lines = printed.lines();
    wanted.lines().all(|wanted| lines.any(|line| fits(line, wanted)))
}

#[test]
#[ignore = "needs an API server"]
fn the_guide_does_what_it_says() {
    let cluster = Cluster::new();
    cluster.host("h1", 1, 2);
    cluster.host("h2", 2, 2);
    let _operator = cluster.operator("a");
    let folder = std::env::temp_dir().join(format!("operator-guide-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let page = include_str!("../../../docs/operator.md");
    let blocks = blocks(page);
    let mut ran = 0;
    for (index, (language, text)) in blocks.iter().enumerate() {
        match language.as_str() {
            "yaml" => {
                let name = text.lines().next().unwrap().trim_start_matches("# ");
                std::fs::write(folder.join(name), text).unwrap();
            }
            "sh" => {
                let wanted =
                    blocks.get(index + 1).filter(|(next, _)| next == "text").map(|(_, text)| text.as_str());
                until(&folder, text, wanted.unwrap_or_default());
                ran += 1;
            }
            _ => {}
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(ran >= 8, "only {ran} blocks");
}

/// Runs a block until it prints what it should: the cluster needs its time. What changes something runs once.
fn until(folder: &std::path::Path, block: &str, wanted: &str) {
    let begun = Instant::now();
    let (changes, looks): (Vec<&str>, Vec<&str>) =
        block.lines().partition(|line| !line.starts_with("kubectl get"));
    let run = |lines: &[&str]| {
        let output =
            Command::new("bash").arg("-ec").arg(lines.join("\n")).current_dir(folder).output().unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        )
    };
    let (well, said) = run(&changes);
    assert!(well, "{block}{said}");
    if looks.is_empty() {
        assert!(shows(&said, wanted), "{block}printed\n{said}\nand not\n{wanted}");
        return;
    }
    loop {
        let (_, said) = run(&looks);
        if shows(&said, wanted) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{block}printed\n{said}\nand not\n{wanted}");
        std::thread::sleep(Duration::from_millis(300));
    }
}
