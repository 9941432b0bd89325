//! Kinds, field by field, after the definitions in `deploy/crds`.

use std::fmt::Write as _;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{cell, member, range};
use crate::workspace::Workspace;

const HEAD: &str = "# Kinds

Every kind is there in two groups: `multinic.fms.io/v1`, the current one, and `net.cogadvisor.io/v1`, the predecessor's, with the same
fields. A path with `[]` is of each item, one with `{}` of each entry. A field that is not marked as required may be left out.
";

/// One chapter for each kind of the current group.
pub(super) fn page(workspace: &Workspace) -> Result<String> {
    let folder = workspace.root.join("deploy/crds");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".multinic.fms.io.yaml") {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        bail!("deploy/crds has no definitions: run cargo xtask codegen definitions");
    }
    let mut page = HEAD.to_owned();
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        let definition: Value =
            serde_saphyr::from_str(&text).with_context(|| format!("{} is no YAML", file.display()))?;
        chapter(&mut page, &definition)?;
    }
    Ok(page)
}

fn chapter(page: &mut String, definition: &Value) -> Result<()> {
    let names = &definition["spec"]["names"];
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    writeln!(page, "\n## {}\n\n{}\n", member(names, "kind"), member(schema, "description"))?;
    let short = names["shortNames"][0].as_str().unwrap_or_default();
    writeln!(page, "`kubectl get {short}`; scope: {}.", member(&definition["spec"], "scope").to_lowercase())?;
    for part in ["spec", "status"] {
        let mut rows = String::new();
        fields(&mut rows, &schema["properties"][part], part)?;
        if !rows.is_empty() {
            writeln!(page, "\n| field | type | allowed | what |\n|---|---|---|---|\n{}", rows.trim_end())?;
        }
    }
    Ok(())
}

/// A row for each field below, depth first, in the definition's order.
fn fields(rows: &mut String, schema: &Value, path: &str) -> Result<()> {
    let required = |name: &str| {
        schema["required"].as_array().is_some_and(|names| names.iter().any(|required| required == name))
    };
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        let must = if required(name) && path.starts_with("spec") { ", required" } else { "" };
        let what = cell(member(field, "description"));
        writeln!(rows, "| `{path}` | {}{must} | {} | {what} |", kind(field), cell(&range(field)))?;
        fields(rows, field, &path)?;
        fields(rows, &field["items"], &format!("{path}[]"))?;
        fields(rows, &field["additionalProperties"], &format!("{path}{{}}"))?;
    }
    Ok(())
}

/// The type in words.
fn kind(schema: &Value) -> String {
    match member(schema, "type") {
        "string" => "text".to_owned(),
        "boolean" => "yes or no".to_owned(),
        "array" => format!("list of {}", plural(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => {
            format!("map of {}", plural(&schema["additionalProperties"]))
        }
        "" => "anything".to_owned(),
        other => other.to_owned(),
    }
}

fn plural(schema: &Value) -> &'static str {
    match member(schema, "type") {
        "string" => "texts",
        "integer" => "integers",
        "boolean" => "yes or no",
        "array" => "lists",
        _ => "objects",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_field_has_a_row_with_its_path_type_range_and_words() {
        let schema = json!({"required": ["a"], "properties": {
            "a": {"type": "string", "description": "First.\nMore | less.", "maxLength": 3},
            "b": {"type": "array", "items": {"type": "object", "properties": {"c": {"type": "integer", "minimum": 1}}}},
            "d": {"type": "object", "additionalProperties": {"type": "string"}},
        }});
        let mut rows = String::new();

        fields(&mut rows, &schema, "spec").unwrap();

        assert_eq!(
            rows.lines().collect::<Vec<_>>(),
            [
                "| `spec.a` | text, required | at most 3 characters | First. More \\| less. |",
                "| `spec.b` | list of objects |  |  |",
                "| `spec.b[].c` | integer | from 1 |  |",
                "| `spec.d` | map of texts |  |  |",
            ]
        );
    }
}
