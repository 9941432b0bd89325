//! The documents of a file.

use serde_json::Value;

/// A document: its number from 1, and what stands in it or why it cannot be read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    pub(crate) number: usize,
    pub(crate) content: Result<Value, String>,
}

/// The one document of a JSON file.
pub(crate) fn json(text: &str) -> Vec<Document> {
    let content = serde_json::from_str(text).map_err(|error| error.to_string());
    vec![Document { number: 1, content }]
}

/// The documents of a YAML file that are not empty. One that is no YAML leaves the others readable: no scalar can hold
/// a line that begins with a document marker (YAML 1.2.2 §9.1.2), so the text can be cut before it is parsed.
pub(crate) fn yaml(text: &str) -> Vec<Document> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut documents = Vec::new();
    let mut number = 0;
    for part in parts(text) {
        match serde_saphyr::from_str::<Option<Value>>(&part) {
            Ok(None | Some(Value::Null)) => {}
            Ok(Some(value)) => {
                number += 1;
                documents.push(Document { number, content: Ok(value) });
            }
            Err(error) => {
                number += 1;
                documents.push(Document { number, content: Err(first_line(&error.to_string())) });
            }
        }
    }
    documents
}

/// The texts between the markers, each behind as many empty lines as stand before it, so that the parser counts lines
/// as an editor does.
fn parts(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    for (index, line) in text.lines().enumerate() {
        let rest = line.strip_prefix("---").or_else(|| line.strip_prefix("..."));
        match rest.filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t'])) {
            None => part.push_str(line),
            Some(rest) => {
                parts.push(std::mem::replace(&mut part, "\n".repeat(index)));
                part.push_str("   ");
                part.push_str(rest);
            }
        }
        part.push('\n');
    }
    parts.push(part);
    parts
}

/// What the parser says, without its picture of the text.
fn first_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    // A hint for programmers.
    line.split(", set DuplicateKeyPolicy").next().unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{Document, yaml};

    #[test]
    fn documents_are_cut_at_markers_and_empty_ones_do_not_count() {
        let text = "\u{feff}# head\n---\n\n--- # one\na: 1\n---\nb: |\n  --- no marker\n  text\n...\n--- {c: 3}\n---\n";

        let found: Vec<_> = yaml(text).into_iter().map(|one| (one.number, one.content.unwrap())).collect();

        let wanted = [json!({"a": 1}), json!({"b": "--- no marker\ntext\n"}), json!({"c": 3})];
        assert_eq!(found, (1..).zip(wanted).collect::<Vec<_>>());
    }

    #[test]
    fn a_broken_document_leaves_the_others_and_its_line_is_that_of_the_file() {
        let found = yaml("a: 1\n---\nb: [1\nc: 2\n---\nd: 4\nd: 5\n---\ne: 5\n");

        assert_eq!(found[0].content, Ok(json!({"a": 1})));
        assert_eq!(
            found[1].content.as_ref().unwrap_err(),
            "line 4 column 2: illegal placement of ':' indicator"
        );
        assert_eq!(found[2].content.as_ref().unwrap_err(), "line 7 column 1: duplicate mapping key: d");
        assert_eq!(found[3], Document { number: 4, content: Ok(json!({"e": 5})) });
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[-. a:\\[{|\n\t#&*'\"]{0,60}") {
            yaml(&text);
        }
    }
}
