//! Alerts, run by promtool; and that alerts and dashboard speak of metrics that there are.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::rendered::{printed, root, tool};

fn text(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap()
}

/// Series of the metrics that docs/metrics.md has; tests of agent and operator compare that page with what they serve.
fn series() -> BTreeSet<String> {
    let page = text("docs/metrics.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let series = rows.flat_map(|row| {
        let (name, rest) = row.split_once("` | ").unwrap();
        let endings: &[&str] = match rest.split(' ').next().unwrap() {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        endings.iter().map(|ending| format!("{name}{ending}")).collect::<Vec<_>>()
    });
    series.collect()
}

/// Our metrics that an expression names.
fn named(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|one: char| !(one.is_ascii_alphanumeric() || one == '_'));
    words
        .filter(|word| word.starts_with("multi_nic_") || word.starts_with("multinic_"))
        .map(str::to_owned)
        .collect()
}

/// Alerts with their expressions.
fn alerts() -> Vec<(String, String)> {
    let rules: Value = serde_saphyr::from_str(&text("deploy/monitoring/prometheus-rules.yaml")).unwrap();
    let groups = rules["groups"].as_array().unwrap().iter();
    let of = |rule: &Value, name: &str| rule[name].as_str().unwrap().to_owned();
    groups
        .flat_map(|group| group["rules"].as_array().unwrap())
        .map(|rule| (of(rule, "alert"), of(rule, "expr")))
        .collect()
}

/// Every expression of the dashboard, and the questions of its variables.
fn dashboard() -> Vec<String> {
    let board: Value = serde_json::from_str(&text("deploy/monitoring/dashboard.json")).unwrap();
    let panels = board["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    let variables = board["templating"]["list"].as_array().unwrap().iter();
    let questions = variables.filter_map(|one| one["query"]["query"].as_str().map(str::to_owned));
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).chain(questions).collect()
}

#[test]
fn alerts_fire_when_they_should_and_not_before() {
    let file = root().join("deploy/monitoring/prometheus-rules.test.yaml");

    let said = printed(tool("promtool").args(["test", "rules"]).arg(file));

    assert!(said.contains("SUCCESS"), "{said}");
}

#[test]
fn each_alert_has_a_test_that_it_fires_and_one_that_it_does_not() {
    let tests: Value = serde_saphyr::from_str(&text("deploy/monitoring/prometheus-rules.test.yaml")).unwrap();
    let tests = tests["tests"].as_array().unwrap().iter();
    let tests: Vec<&Value> = tests.flat_map(|test| test["alert_rule_test"].as_array().unwrap()).collect();
    for (alert, _) in alerts() {
        let of = |empty: bool| {
            tests.iter().any(|test| {
                test["alertname"] == alert.as_str()
                    && test["exp_alerts"].as_array().unwrap().is_empty() == empty
            })
        };
        assert!(of(true) && of(false), "{alert}");
    }
}

#[test]
fn alerts_and_dashboard_name_metrics_that_are_served() {
    let series = series();
    let expressions = alerts().into_iter().map(|(_, expression)| expression).chain(dashboard());
    let mut seen = 0;
    for expression in expressions {
        let named = named(&expression);
        assert!(!named.is_empty(), "{expression} names no metric of ours");
        for name in named {
            assert!(series.contains(&name), "nobody serves {name}: {expression}");
            seen += 1;
        }
    }
    assert!(seen > 50, "only {seen} names");
}

#[test]
fn the_dashboards_expressions_are_promql() {
    // promtool takes expressions as rules only; Grafana puts its variables in before it asks.
    let plain = |expression: &str| expression.replace("$__rate_interval", "5m").replace('$', "");
    let questions = dashboard().into_iter().filter(|one| !one.starts_with("label_values("));
    let rules: Vec<Value> = questions
        .enumerate()
        .map(|(number, one)| serde_json::json!({"record": format!("panel:{number}"), "expr": plain(&one)}))
        .collect();
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("dashboard-rules.yaml");
    std::fs::write(&file, serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]}).to_string())
        .unwrap();

    let said = printed(tool("promtool").args(["check", "rules"]).arg(&file));

    assert!(said.contains(&format!("{} rules found", rules.len())), "{said}");
}

#[test]
fn panels_do_not_lie_over_each_other() {
    let board: Value = serde_json::from_str(&text("deploy/monitoring/dashboard.json")).unwrap();
    let mut taken = BTreeSet::new();
    for panel in board["panels"].as_array().unwrap() {
        let of = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(of("x") + of("w") <= 24, "{}", panel["title"]);
        for x in of("x")..of("x") + of("w") {
            for y in of("y")..of("y") + of("h") {
                assert!(taken.insert((x, y)), "{}", panel["title"]);
            }
        }
    }
}
