//! §1.1: variables, and VERSION.

use serde_json::json;

use crate::runner::bench::Bench;
use crate::runner::call::Call;
use crate::runner::scene::{Outcome, Scene, ensure, list};
use crate::runner::subject::{Pool, Subject};
use crate::runner::table::{Case, VERSIONS};

/// The rows.
pub const CASES: &[Case] = &[
    Case::new("1.1", "CNI_COMMAND missing: code 4", |scene| {
        let pod = scene.pod()?;
        names(scene.add(&pod).without("CNI_COMMAND"), &["CNI_COMMAND"])
    }),
    Case::new("1.1", "CNI_CONTAINERID missing: code 4, named", |scene| {
        missing(scene, "CNI_CONTAINERID", &["ADD", "DEL", "CHECK"])
    }),
    Case::new("1.1", "CNI_NETNS missing: code 4, named", |scene| {
        missing(scene, "CNI_NETNS", &["ADD", "CHECK"])
    }),
    Case::new("1.1", "CNI_IFNAME missing: code 4, named", |scene| {
        missing(scene, "CNI_IFNAME", &["ADD", "DEL", "CHECK"])
    }),
    Case::new("1.1 (code)", "CNI_PATH missing: code 4, named", |scene| {
        missing(scene, "CNI_PATH", &["ADD", "DEL", "CHECK"])
    }),
    Case::new("1.1", "CNI_PATH missing on GC: code 4, named", |scene| {
        names(scene.plain("GC", Pool::Wide).without("CNI_PATH"), &["CNI_PATH"])
    })
    .since("1.1.0"),
    Case::new("1.1", "several variables missing: all named", |scene| {
        let call = scene.plain("ADD", Pool::Wide);
        names(call, &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"])
    }),
    Case::new("1.1", "wrong CNI_CONTAINERID: code 4", |scene| {
        let pod = scene.pod()?;
        for wrong in ["-a", "a/b", "a b", "../x", "ä"] {
            refused(scene, &scene.add(&pod).with("CNI_CONTAINERID", wrong), wrong, 4)?;
        }
        Ok(())
    }),
    Case::new("1.1", "wrong CNI_IFNAME: code 4", |scene| {
        let pod = scene.pod()?;
        for wrong in ["a/b", "a:b", "a b", ".", "..", "sixteen-bytes-xx"] {
            refused(scene, &scene.add(&pod).with("CNI_IFNAME", wrong), wrong, 4)?;
        }
        Ok(())
    }),
    Case::new("1.1", "unknown CNI_COMMAND: code 4", |scene| {
        let pod = scene.pod()?;
        for wrong in ["FROB", "add"] {
            refused(scene, &scene.call(wrong, &pod, Pool::Wide), wrong, 4)?;
        }
        Ok(())
    }),
    Case::new("1.1", "at a terminal: about text and versions on stderr", |scene| {
        let answer = scene.plain("", Pool::Wide).without("CNI_COMMAND").run_at_terminal()?;
        answer.succeeded()?;
        ensure(answer.stdout.is_empty(), || format!("standard output has {:?}", answer.stdout))?;
        ensure(answer.stderr.contains(scene.version), || format!("no versions in {:?}", answer.stderr))
    }),
    Case::new("1.1 VERSION", "VERSION with and without standard input", |scene| {
        for text in ["", &json!({"cniVersion": scene.version}).to_string()] {
            let words = |words| format!("standard input {text:?}: {words}");
            let answer = whole(scene.plain("VERSION", Pool::Wide)).stdin(text).run()?;
            let object = answer.result().map_err(words)?;
            ensure(object["cniVersion"].is_string(), || words("no `cniVersion`".to_owned()))?;
        }
        Ok(())
    }),
    Case::new("1.1 VERSION", "VERSION needs no other variable", |scene| {
        let call = scene.plain("VERSION", Pool::Wide).without("CNI_PATH");
        Ok(call.stdin(&json!({"cniVersion": "1.0.0"}).to_string()).run()?.succeeded()?)
    }),
    Case::new("1.1 VERSION", "VERSION lists this version", |scene| {
        debug_assert!(VERSIONS.contains(&scene.version), "the table's own versions");
        ensure(scene.spoken.iter().any(|version| version == scene.version), || {
            format!("it lists {}", scene.spoken.join(" "))
        })
    }),
];

/// What a plugin says it speaks.
pub fn spoken(subject: &Subject, bench: &Bench) -> Result<Vec<String>, String> {
    let scene = Scene::new(subject, bench, "1.0.0", &[], usize::MAX);
    let call = scene.plain("VERSION", Pool::Wide).stdin(&json!({"cniVersion": "1.0.0"}).to_string());
    let answer = whole(call).run()?.result().map_err(|words| format!("VERSION: {words}"))?;
    Ok(list(&answer["supportedVersions"]).iter().filter_map(|of| of.as_str()).map(str::to_owned).collect())
}

/// VERSION needs no container; but whether it does shows in a row of its own.
fn whole(call: Call) -> Call {
    call.with("CNI_CONTAINERID", "c").with("CNI_NETNS", "/run/netns/n").with("CNI_IFNAME", "i")
}

fn missing(scene: &Scene<'_>, variable: &'static str, commands: &[&str]) -> Outcome {
    let pod = scene.pod()?;
    for command in commands {
        if *command == "CHECK" && !scene.since("0.4.0") {
            continue;
        }
        names(scene.call(command, &pod, Pool::Wide).without(variable), &[variable])?;
        names(scene.call(command, &pod, Pool::Wide).with(variable, ""), &[variable])?;
    }
    Ok(())
}

fn names(call: Call, variables: &[&str]) -> Outcome {
    let command = call.variables.get("CNI_COMMAND").cloned().unwrap_or_default();
    let message = call.run()?.failed_with(4).map_err(|words| format!("{command}: {words}"))?;
    for variable in variables {
        ensure(message.contains(variable), || format!("{command}: {variable} is not named in {message}"))?;
    }
    Ok(())
}

/// A call that must fail with a code.
pub fn refused(scene: &Scene<'_>, call: &Call, what: &str, code: u64) -> Outcome {
    scene.run(call)?.failed_with(code).map_err(|words| format!("{what:?}: {words}"))?;
    Ok(())
}
