//! A small correct plugin, and the flaws it can be given: the proof that the table sees what it is for (P17).
//!
//! `conformance toy [--ipam] [--flaw NAME]` is the plugin: macvlan links, addresses from files. It is written from
//! the text of the specification, with `ip` and std alone. Each flaw breaks one rule; where one rule has more than
//! one row, the flaw is as narrow as the row.

pub mod flaws;
mod gc;
mod ledger;
mod link;
mod plugin;
pub mod proof;
mod result;
pub mod subject;
mod variables;

use std::collections::BTreeSet;

/// Runs the plugin with the arguments after `toy`; gives the exit status.
pub fn run(arguments: &[String]) -> i32 {
    let mut toy = Toy { ipam: false, flaws: BTreeSet::new() };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--ipam" => toy.ipam = true,
            "--flaw" => toy.flaws.extend(words.next().cloned()),
            _ => return 64,
        }
    }
    match plugin::serve(&toy) {
        Ok(output) => {
            if !output.is_empty() {
                println!("{output}");
            }
            0
        }
        Err(refusal) => {
            let hidden = toy.has("error-on-stderr") && refusal.msg.starts_with("no namespace");
            let object = serde_json::json!({"code": refusal.code, "msg": refusal.msg});
            if hidden {
                eprintln!("{object}")
            } else {
                println!("{object}")
            }
            1
        }
    }
}

/// The plugin as it was started.
struct Toy {
    ipam: bool,
    flaws: BTreeSet<String>,
}

impl Toy {
    /// Whether it has this flaw. Every name stands in [`flaws::FLAWS`]; one that is asked for nowhere turns no row
    /// red, and the test says so.
    fn has(&self, flaw: &str) -> bool {
        debug_assert!(flaws::FLAWS.iter().any(|known| known.name == flaw), "{flaw} is not in the table");
        self.flaws.contains(flaw)
    }
}

/// What is said instead of a result.
#[derive(Debug)]
struct Refusal {
    code: u64,
    msg: String,
}

fn refusal(code: u64, msg: impl Into<String>) -> Refusal {
    Refusal { code, msg: msg.into() }
}
