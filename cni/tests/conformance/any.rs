//! The table against any plugin: `conformance plugin EXECUTABLE CONFIG.json [ipam]`.

use std::path::PathBuf;

use serde_json::Value;

use crate::runner::bench::{Bench, WIRE};
use crate::runner::debian::{FOLDER, unreachable_gateway};
use crate::runner::subject::{Kind, Pool, Subject};
use crate::runner::table::run_all;

/// Runs and prints the table; 1 when a row is red.
///
/// In the configuration `{wire}` becomes the name of a link of the host role that can have macvlan and ipvlan links,
/// `{folder}` a folder for this run, `{case}` the number of the case, `{pool}` the word wide (100 attachments at
/// least) or narrow (two exactly), and `{last}` 199 or 11: the last bytes of addresses that such pools end with.
/// `CNI_PATH` is the environment's, or Debian's.
pub fn main(words: &[String]) -> i32 {
    let [program, config, more @ ..] = words else {
        eprintln!("usage: conformance plugin EXECUTABLE CONFIG.json [ipam]");
        return 64;
    };
    let kind = if more.iter().any(|word| word == "ipam") { Kind::Ipam } else { Kind::Main };
    let made = std::fs::read_to_string(config)
        .map_err(|error| format!("{config}: {error}"))
        .and_then(|text| run_all(|bench| subject(bench, kind, program, &text)));
    match made {
        Ok(table) => {
            println!("{}", table.show(program));
            i32::from(!table.red().is_empty())
        }
        Err(words) => {
            eprintln!("{words}");
            1
        }
    }
}

fn subject(bench: &Bench, kind: Kind, program: &str, text: &str) -> Result<Subject, String> {
    let text = text.replace("{wire}", WIRE).replace("{folder}", &bench.folder().display().to_string());
    let fill = move |pool, number: usize| {
        let (pool, last) = match pool {
            Pool::Wide => ("wide", "199"),
            Pool::Narrow => ("narrow", "11"),
        };
        text.replace("{case}", &number.to_string()).replace("{pool}", pool).replace("{last}", last)
    };
    let first: Value =
        serde_json::from_str(&fill(Pool::Wide, 0)).map_err(|error| format!("CONFIG: {error}"))?;
    if !first["name"].is_string() {
        return Err(
            "CONFIG: `name` is missing; say {pool} in it, so that the two pools are two networks".to_owned()
        );
    }
    Ok(Subject {
        name: program.to_owned(),
        kind,
        program: PathBuf::from(program),
        arguments: Vec::new(),
        environment: Vec::new(),
        path: std::env::var("CNI_PATH").unwrap_or_else(|_| FOLDER.to_owned()),
        config: Box::new(move |pool, number| serde_json::from_str(&fill(pool, number)).unwrap_or_default()),
        narrow_size: 2,
        link_name: str::to_owned,
        fault: Some(unreachable_gateway),
        takes_mac: false,
        takes_ip: None,
        uses_prev_result: false,
        keep: None,
    })
}
