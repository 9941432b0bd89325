//! `cargo xtask test`: every check and every test, ending with one line of counts.
//!
//! A step that fails does not stop the steps after it (but for a build that fails:
//! nothing could run). Tests that need other kernel features than this machine has
//! run inside the lab's machines, one boot a group.

mod control_plane;
mod groups;
mod report;
mod suites;
mod summary;
mod twin;
mod vm;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};

use anyhow::{Result, bail};

use crate::workspace::Workspace;
use crate::{lab, output, program, tidy};
use control_plane::ControlPlane;
use groups::{GROUPS, Group};
use report::{Outcome, Report, Tally};
use suites::{Reuse, Suites};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leave the lab out, and count what that leaves out as skipped.
    #[arg(long)]
    quick: bool,
    /// Only this crate; may be repeated.
    #[arg(short = 'p', long = "package", value_name = "CRATE")]
    packages: Vec<String>,
    /// Nothing but this group of the lab; may be repeated. For work on one of them: says nothing of the rest.
    #[arg(long = "group", value_name = "GROUP", conflicts_with = "quick", value_parser = GROUPS.iter().map(|group| group.name).collect::<Vec<_>>())]
    groups: Vec<String>,
}

/// What every test finds in its environment: snapshots are compared, never written.
const ENVIRONMENT: [(&str, &str); 2] = [("INSTA_UPDATE", "no"), ("RUST_BACKTRACE", "1")];

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let members = workspace.members();
    for package in &arguments.packages {
        if !members.iter().any(|member| member.name == *package) {
            bail!("the workspace has no crate {package}");
        }
    }
    let scope = scope(&arguments.packages);
    let mut report = Report::new();

    report.step("set-up", || set_up(&workspace, arguments.quick));
    if !arguments.groups.is_empty() {
        let mut suites = None;
        report.step("build", || {
            suites = Some(Suites::build(&workspace, &scope)?);
            Ok(Outcome::of_check(Vec::new()))
        });
        if let Some(suites) = suites {
            lab_groups(&workspace, &mut report, &suites, arguments, &scope);
        }
        return Ok(if report.close() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    report.step("fmt", || passes(workspace.cargo().args(["fmt", "--all", "--check"])));
    report.step("clippy", || {
        let mut clippy = workspace.cargo();
        clippy.args(["clippy", "--quiet", "--all-targets", "--all-features"]).args(&scope);
        passes(clippy.args(["--", "-D", "warnings"]))
    });
    // One build of the whole workspace turns on every feature and would hide what a crate lacks alone.
    for alone in tidy::BUILT_ALONE.iter().filter(|alone| in_packages(alone[1], &arguments.packages)) {
        report.step(&alone.join(" "), || passes(workspace.cargo().args(["check", "--quiet"]).args(*alone)));
    }
    report.step("licences", || tidy::licences(&workspace).map(Outcome::of_check));

    let mut suites = None;
    let built = report.step("build", || {
        let outcome = passes(workspace.cargo().args(["build", "--quiet", "--all-features"]).args(&scope))?;
        if outcome.tally.failed == 0 {
            suites = Some(Suites::build(&workspace, &scope)?);
        }
        Ok(outcome)
    });
    let Some(suites) = suites.filter(|_| built) else {
        report.close();
        return Ok(ExitCode::FAILURE);
    };

    report.step("tests", || host_tests(&workspace, &scope, &suites));
    let documented =
        members.iter().filter(|member| in_packages(&member.name, &arguments.packages) && member.has("lib"));
    if documented.count() > 0 {
        report.step("doc tests", || doc_tests(&workspace, &scope));
    }
    let (mut blocks, mut lab_blocks) = (Vec::new(), Vec::new());
    report.step("tidy", || {
        (blocks, lab_blocks) = tidy::blocks(&workspace)?;
        Ok(Outcome::of_check(tidy::check(&workspace)?))
    });
    for block in &blocks {
        report.step(&block.title(), || {
            Ok(Outcome::of_check(block.run(&workspace).err().into_iter().collect()))
        });
    }

    if suites.of_browser() > 0 && arguments.quick {
        report.leave_out("browser", suites.of_browser(), "as --quick asks");
    } else if suites.of_browser() > 0 {
        report.step("browser", || browser_tests(&workspace, &scope, &suites));
    }
    if suites.of_api_server() > 0 && arguments.quick {
        report.leave_out("API server", suites.of_api_server(), "as --quick asks");
    } else if suites.of_api_server() > 0 {
        report.step("API server", || api_server_tests(&workspace, &scope, &suites));
    }
    if arguments.quick {
        report.leave_out("lab", suites.of_lab() + lab_blocks.len() as u64, "as --quick asks");
    } else {
        lab_groups(&workspace, &mut report, &suites, arguments, &scope);
        for block in &lab_blocks {
            report.step(&block.title(), || {
                Ok(Outcome::of_check(block.run(&workspace).err().into_iter().collect()))
            });
        }
    }
    Ok(if report.close() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn scope(packages: &[String]) -> Vec<String> {
    match packages {
        [] => vec!["--workspace".to_owned()],
        packages => packages.iter().flat_map(|package| ["-p".to_owned(), package.clone()]).collect(),
    }
}

fn in_packages(name: &str, packages: &[String]) -> bool {
    packages.is_empty() || packages.iter().any(|package| package == name)
}

/// Runs a check that counts as one.
fn passes(command: &mut Command) -> Result<Outcome> {
    let status = program::status(command)?;
    let failures =
        if status.success() { vec![] } else { vec![format!("`{}`: {status}", program::shown(command))] };
    Ok(Outcome::of_check(failures))
}

fn set_up(workspace: &Workspace, quick: bool) -> Result<Outcome> {
    if quick {
        program::must(workspace.lab("packages").arg("test"))?;
    } else {
        lab::setup(workspace)?;
    }
    if program::path_of("cargo-nextest").is_none() {
        output::line("installing cargo-nextest from source");
        program::must(workspace.cargo().args(["install", "cargo-nextest", "--locked"]))?;
    }
    Ok(Outcome::default())
}

/// Unit tests and the tests of namespaces of this host.
fn host_tests(workspace: &Workspace, scope: &[String], suites: &Suites) -> Result<Outcome> {
    let junit = workspace.target.join("nextest/xtask/junit.xml");
    let _ = std::fs::remove_file(&junit);
    let mut nextest = workspace.cargo();
    nextest.args(["nextest", "run", "--profile", "xtask", "--all-features", "--color", "never"]).args(scope);
    // A crate whose tests are yet to come is no failure.
    nextest.args(["--no-tests", "pass"]).envs(ENVIRONMENT);
    let (status, printed) = program::tee(&mut nextest)?;
    let mut outcome = count_run(&printed, status, &junit);
    let stood_aside = summary::nextest(&printed).map_or(0, |tally| tally.skipped);
    // nextest's own count holds the lab's tests too; those get their turn.
    outcome.tally.skipped = outcome.tally.skipped - stood_aside + suites.ignored_for_good();
    Ok(outcome)
}

/// The tests that drive Chromium on this host.
fn browser_tests(workspace: &Workspace, scope: &[String], suites: &Suites) -> Result<Outcome> {
    program::must(workspace.lab("packages").arg("browser"))?;
    set_apart(workspace, scope, "page_", &[], suites.of_browser())
}

/// The tests against an API server on this host, one after the other: the whole cluster is theirs.
fn api_server_tests(workspace: &Workspace, scope: &[String], suites: &Suites) -> Result<Outcome> {
    let plane = ControlPlane::start(workspace, &[])?;
    let variables = [("KUBE_DIR", plane.folder.clone()), ("KUBECONFIG", plane.folder.join("kubeconfig"))];
    set_apart(workspace, scope, "kube_", &variables, suites.of_api_server())
}

/// Ignored tests of the files whose names begin so; `planned` are as many as there are.
fn set_apart(
    workspace: &Workspace,
    scope: &[String],
    prefix: &str,
    variables: &[(&str, PathBuf)],
    planned: u64,
) -> Result<Outcome> {
    let junit = workspace.target.join("nextest/xtask/junit.xml");
    let _ = std::fs::remove_file(&junit);
    let mut nextest = workspace.cargo();
    nextest.args(["nextest", "run", "--profile", "xtask", "--all-features", "--color", "never"]).args(scope);
    nextest
        .args(["--run-ignored", "only", "-E", &format!("kind(test) & binary(/^{prefix}/)")])
        .envs(ENVIRONMENT);
    nextest.envs(variables.iter().map(|(name, value)| (name, value)));
    if !variables.is_empty() {
        nextest.args(["--test-threads", "1"]);
    }
    let (status, printed) = program::tee(&mut nextest)?;
    let mut outcome = count_run(&printed, status, &junit);
    // Whatever nextest passed over belongs to other steps, which count it.
    let passed_over = summary::nextest(&printed).map_or(0, |tally| tally.skipped);
    outcome.tally.skipped -= passed_over;
    let ran = outcome.tally.passed + outcome.tally.failed + outcome.tally.skipped;
    if ran < planned {
        outcome.tally.failed += planned - ran;
        outcome.failures.push(format!("{} of {planned} tests never ran", planned - ran));
    }
    Ok(outcome)
}

/// The counts of one nextest run. Tests that printed `skipped: …` are taken from the passed ones.
fn count_run(printed: &str, status: ExitStatus, junit: &Path) -> Outcome {
    let Some(mut tally) = summary::nextest(printed) else {
        return Outcome::of_check(vec![format!("no summary ({status})")]);
    };
    let mut failures = summary::nextest_failures(printed);
    if !status.success() && tally.failed == 0 {
        tally.failed = 1;
        failures.push(format!("nextest: {status}"));
    }
    let skips = summary::printed_skips(&std::fs::read_to_string(junit).unwrap_or_default());
    skips.iter().for_each(|skip| output::line(&format!("skipped: {skip}")));
    let skipped = (skips.len() as u64).min(tally.passed);
    tally = Tally { passed: tally.passed - skipped, skipped: tally.skipped + skipped, ..tally };
    Outcome { tally, failures }
}

fn doc_tests(workspace: &Workspace, scope: &[String]) -> Result<Outcome> {
    let mut doc = workspace.cargo();
    doc.args(["test", "--doc", "--all-features"]).args(scope).envs(ENVIRONMENT);
    let (status, printed) = program::tee(&mut doc)?;
    let mut outcome = summary::libtest(&printed);
    if !status.success() && outcome.tally.failed == 0 {
        outcome.tally.failed = 1;
        outcome.failures.push(format!("`{}`: {status}", program::shown(&doc)));
    }
    Ok(outcome)
}

fn lab_groups(
    workspace: &Workspace,
    report: &mut Report,
    suites: &Suites,
    arguments: &Arguments,
    scope: &[String],
) {
    report.step("lab groups", || Ok(Outcome::of_check(suites.disagreements(&arguments.packages))));
    let mut reuse = None;
    let asked = |group: &&Group| {
        arguments.groups.is_empty() || arguments.groups.iter().any(|name| name == group.name)
    };
    for group in GROUPS.iter().filter(asked).filter(|group| !vm::selected(group, suites).is_empty()) {
        report.step(&format!("lab {}", group.name), || {
            let reuse = match &mut reuse {
                Some(reuse) => reuse,
                none => none.insert(Reuse::write(workspace, scope)?),
            };
            vm::run(workspace, group, suites, reuse)
        });
    }
}
