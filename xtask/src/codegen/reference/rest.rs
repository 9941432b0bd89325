//! The REST API, path by path, after the OpenAPI document.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{cell, member, range};
use crate::workspace::{Workspace, array};

const HEAD: &str = "# REST API

The agent answers on `http://127.0.0.1:11000` and, for root, on the Unix socket `/run/multi-nic/api.sock`. `/docs` browses all of this on the
running agent, with the form of every body; the document is `/openapi.json`
([openapi/multi-nicd.v1.json](../../openapi/multi-nicd.v1.json) here). Answers about hardware have an ETag. Every refusal is a problem
document; [errors.md](errors.md) has their codes.
";

/// A chapter for each tag.
pub(super) fn page(workspace: &Workspace) -> Result<String> {
    let path = workspace.root.join("openapi/multi-nicd.v1.json");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let document: Value = serde_json::from_str(&text).context("openapi/multi-nicd.v1.json is no JSON")?;
    let mut page = HEAD.to_owned();
    for tag in array(&document["tags"]) {
        writeln!(page, "\n## {}", member(tag, "description"))?;
        for (path, methods) in document["paths"].as_object().into_iter().flatten() {
            let mut tagged: Vec<(&String, &Value)> = methods.as_object().into_iter().flatten().collect();
            tagged.retain(|(_, operation)| operation["tags"][0] == tag["name"]);
            for (method, operation) in tagged {
                chapter(&mut page, &method.to_uppercase(), path, operation)?;
            }
        }
    }
    Ok(page)
}

fn chapter(page: &mut String, method: &str, path: &str, operation: &Value) -> Result<()> {
    writeln!(page, "\n### `{method} {path}`\n\n{}", member(operation, "summary"))?;
    let more = member(operation, "description");
    if !more.is_empty() {
        writeln!(page, "{more}")?;
    }
    let body = &operation["requestBody"];
    if body.is_object() {
        writeln!(page, "\nBody ({}): {}", type_of(body), member(body, "description"))?;
    }
    let parameters: Vec<&Value> = array(&operation["parameters"]).collect();
    if !parameters.is_empty() {
        writeln!(page, "\n| parameter | in | allowed | what |\n|---|---|---|---|")?;
        for parameter in parameters {
            let schema = &parameter["schema"];
            let schema = if schema["items"].is_object() { &schema["items"] } else { schema };
            let (name, place) = (member(parameter, "name"), member(parameter, "in"));
            let what = cell(member(parameter, "description"));
            writeln!(page, "| `{name}` | {place} | {} | {what} |", cell(&range(schema)))?;
        }
    }
    writeln!(page, "\n| answer | body | when |\n|---|---|---|")?;
    for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
        let what = cell(member(answer, "description"));
        writeln!(page, "| {status} | {} | {what} |", type_of(answer))?;
    }
    Ok(())
}

/// Name of the body's type, or of its format.
fn type_of(value: &Value) -> String {
    let Some((format, body)) = value["content"].as_object().and_then(|content| content.iter().next()) else {
        return String::new();
    };
    match member(&body["schema"], "$ref").rsplit('/').next() {
        Some(name) if !name.is_empty() => format!("`{name}`"),
        _ => format!("`{format}`"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_operation_is_told_whole() {
        let schema = json!({"$ref": "#/components/schemas/NicList"});
        let operation = json!({
            "summary": "Lists NICs.",
            "parameters": [{"name": "class", "in": "query", "description": "Its class.",
                "schema": {"type": "array", "items": {"enum": ["low"]}}}],
            "responses": {"200": {"description": "They.", "content": {"application/json": {"schema": schema}}}, "304": {"description": "Same."}},
        });
        let mut page = String::new();

        chapter(&mut page, "GET", "/v1/nics", &operation).unwrap();

        for line in [
            "### `GET /v1/nics`",
            "Lists NICs.",
            "| `class` | query | `low` | Its class. |",
            "| 200 | `NicList` | They. |",
            "| 304 |  | Same. |",
        ] {
            assert!(page.lines().any(|one| one == line), "no `{line}`:\n{page}");
        }
    }
}
