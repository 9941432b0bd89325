//! Prints the definitions of our kinds as JSON: a list of file name and YAML. `cargo xtask codegen` writes the files.

use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut files = Vec::new();
    for definition in crds::definitions() {
        let yaml = serde_saphyr::to_string(&definition.object)?;
        files.push(serde_json::json!([format!("{}.yaml", definition.name), yaml]));
    }
    writeln!(std::io::stdout(), "{}", serde_json::Value::from(files))?;
    Ok(())
}
