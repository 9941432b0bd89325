//! `deploy/node-isolation/node-isolation.yaml`, evaluated as an API server of Kubernetes 1.30 does (TRAPS O5). The lab's server is
//! 1.20 and does not know such policies.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code outside of test functions")]

use std::collections::BTreeMap;

use cel::{Context, Program, Value as Cel};
use serde_json::{Value, json};

const AGENT: &str = "system:serviceaccount:multi-nic-cni-operator:multi-nicd";

/// The policy's own answer: absent: allowed, or none of its business; else the message.
fn refusal(request: &Value, object: &Value, old: &Value) -> Option<String> {
    let text = include_str!("../../deploy/node-isolation/node-isolation.yaml");
    let policy: Value = serde_saphyr::from_str(text.split("\n---\n").next().unwrap()).unwrap();
    let spec = &policy["spec"];
    let mut variables = BTreeMap::new();
    for condition in spec["matchConditions"].as_array().unwrap() {
        if !holds(&condition["expression"], request, object, old, &variables) {
            return None;
        }
    }
    for variable in spec["variables"].as_array().unwrap() {
        let value = evaluate(&variable["expression"], request, object, old, &variables);
        let Cel::String(text) = value else { panic!("{value:?}") };
        variables.insert(variable["name"].as_str().unwrap().to_owned(), text.to_string());
    }
    let rules = spec["validations"].as_array().unwrap().iter();
    let broken = rules.clone().find(|rule| !holds(&rule["expression"], request, object, old, &variables));
    broken.map(|rule| rule["message"].as_str().unwrap().to_owned())
}

fn holds(
    expression: &Value,
    request: &Value,
    object: &Value,
    old: &Value,
    variables: &BTreeMap<String, String>,
) -> bool {
    match evaluate(expression, request, object, old, variables) {
        Cel::Bool(holds) => holds,
        other => panic!("{expression} gives {other:?}"),
    }
}

fn evaluate(
    expression: &Value,
    request: &Value,
    object: &Value,
    old: &Value,
    variables: &BTreeMap<String, String>,
) -> Cel {
    let program = Program::compile(expression.as_str().unwrap()).unwrap();
    let mut context = Context::default();
    context.add_variable("request", request).unwrap();
    context.add_variable("object", object).unwrap();
    context.add_variable("oldObject", old).unwrap();
    context.add_variable("variables", variables).unwrap();
    program.execute(&context).unwrap_or_else(|error| panic!("{expression}: {error}"))
}

fn request(user: &str, node: Option<&str>, resource: &str, name: &str) -> Value {
    let extra = node.map_or(json!({}), |node| json!({"authentication.kubernetes.io/node-name": [node]}));
    json!({"userInfo": {"username": user, "extra": extra}, "resource": {"resource": resource}, "name": name})
}

#[test]
fn an_agent_writes_the_host_interface_of_its_own_node_and_no_other() {
    let ask = |node, name| refusal(&request(AGENT, node, "hostinterfaces", name), &json!({}), &Value::Null);

    assert_eq!(ask(Some("n1"), "n1"), None);
    assert!(ask(Some("n1"), "n2").is_some_and(|why| why.contains("its own node")));
    assert!(ask(None, "n1").is_some_and(|why| why.contains("names no node")));
}

#[test]
fn an_agent_writes_pools_of_its_own_node_and_takes_none_of_others() {
    let pool = |host: &str| json!({"spec": {"hostName": host}});
    let ask = |new: Value, old: Value| {
        refusal(&request(AGENT, Some("n1"), "ippools", "net-10.0.0.0-24"), &new, &old)
    };

    assert_eq!(ask(pool("n1"), Value::Null), None);
    assert_eq!(ask(pool("n1"), pool("n1")), None);
    assert_eq!(ask(Value::Null, pool("n1")), None);
    for (new, old) in [(pool("n2"), Value::Null), (pool("n1"), pool("n2")), (Value::Null, pool("n2"))] {
        assert!(ask(new, old).is_some_and(|why| why.contains("IPPools")));
    }
}

#[test]
fn nobody_else_is_concerned() {
    for user in ["system:serviceaccount:multi-nic-cni-operator:multi-nic-operator", "kubernetes-admin"] {
        assert_eq!(refusal(&request(user, None, "hostinterfaces", "n2"), &json!({}), &Value::Null), None);
    }
}
