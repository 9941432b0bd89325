//! Errors: the codes that runtimes get and the kinds of problems of the REST API, after the sources that define them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result, bail};
use quote::ToTokens;
use syn::{Expr, ImplItem, Item, Lit, Pat, Stmt};

use super::cell;
use crate::workspace::Workspace;

const HEAD: &str = "# Errors

## CNI: why a pod does not start

The runtime shows code and message in the pod's events. Codes below 100 are the CNI specification's, the others ours. What to do:
[troubleshooting](../troubleshooting.md).

| code | when |
|---|---|
";

const REST: &str = "
## REST: why a request is refused

Every refusal is a problem document (RFC 9457). `type` is `urn:multi-nic:problem:` and the code; `title` and `status` go with it; `detail` says what
is wrong with this very request. Further members say what would have been right: `allowed`, `nearest`, `candidates`, `holders`,
`parameter`; and `cniCode` when an attach or a detach failed.

| status | code | when |
|---|---|---|
";

/// Both tables.
pub(super) fn page(workspace: &Workspace) -> Result<String> {
    let read = |path: &str| -> Result<syn::File> {
        let text =
            std::fs::read_to_string(workspace.root.join(path)).with_context(|| format!("read {path}"))?;
        syn::parse_file(&text).with_context(|| format!("{path} is no Rust"))
    };
    let mut page = HEAD.to_owned();
    for (code, what) in cni_codes(&read("cni/src/error.rs")?)? {
        writeln!(page, "| {code} | {} |", cell(&what))?;
    }
    page.push_str(REST);
    for (status, code, what) in problems(&read("openapi/src/problem.rs")?)? {
        writeln!(page, "| {status} | `{code}` | {} |", cell(&what))?;
    }
    Ok(page)
}

/// The constants of module `code`: value and words.
fn cni_codes(file: &syn::File) -> Result<Vec<(u32, String)>> {
    let module = file.items.iter().find_map(|item| match item {
        Item::Mod(module) if module.ident == "code" => module.content.as_ref(),
        _ => None,
    });
    let (_, items) = module.context("cni/src/error.rs has no module `code`")?;
    let mut codes = Vec::new();
    for item in items {
        let Item::Const(one) = item else { continue };
        let Expr::Lit(value) = &*one.expr else { bail!("{} is no number", one.ident) };
        let Lit::Int(value) = &value.lit else { bail!("{} is no number", one.ident) };
        codes.push((value.base10_parse()?, words(&one.attrs)));
    }
    Ok(codes)
}

/// Each problem: status, code, words; by status.
fn problems(file: &syn::File) -> Result<Vec<(String, String, String)>> {
    let variants = file.items.iter().find_map(|item| match item {
        Item::Enum(one) if one.ident == "ProblemCode" => Some(&one.variants),
        _ => None,
    });
    let variants = variants.context("openapi/src/problem.rs has no enum ProblemCode")?;
    let (names, statuses) = (matched(file, "as_str")?, matched(file, "status")?);
    let mut problems = Vec::new();
    for variant in variants {
        let of = |table: &BTreeMap<String, String>| {
            table
                .get(&variant.ident.to_string())
                .cloned()
                .with_context(|| format!("{} has no arm", variant.ident))
        };
        problems.push((of(&statuses)?, of(&names)?, words(&variant.attrs)));
    }
    problems.sort();
    Ok(problems)
}

/// A method of ProblemCode that is one match: what it makes of each variant.
fn matched(file: &syn::File, method: &str) -> Result<BTreeMap<String, String>> {
    let items = file.items.iter().filter_map(|item| match item {
        Item::Impl(one)
            if one.trait_.is_none() && one.self_ty.to_token_stream().to_string() == "ProblemCode" =>
        {
            Some(&one.items)
        }
        _ => None,
    });
    let body = items.flatten().find_map(|item| match item {
        ImplItem::Fn(one) if one.sig.ident == method => Some(&one.block.stmts),
        _ => None,
    });
    let Some([Stmt::Expr(Expr::Match(one), None)]) = body.map(Vec::as_slice) else {
        bail!("ProblemCode::{method} is not one match")
    };
    let mut table = BTreeMap::new();
    for arm in &one.arms {
        let Expr::Lit(value) = &*arm.body else { bail!("an arm of ProblemCode::{method} is no literal") };
        let value = match &value.lit {
            Lit::Str(text) => text.value(),
            Lit::Int(number) => number.base10_digits().to_owned(),
            _ => bail!("an arm of ProblemCode::{method} is neither text nor number"),
        };
        for name in variants(&arm.pat) {
            table.insert(name, value.clone());
        }
    }
    Ok(table)
}

fn variants(pattern: &Pat) -> Vec<String> {
    match pattern {
        Pat::Or(several) => several.cases.iter().flat_map(variants).collect(),
        Pat::Path(one) => one.path.segments.last().map(|last| last.ident.to_string()).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// The words of a doc comment.
fn words(attributes: &[syn::Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(one) if one.path.is_ident("doc") => match &one.value {
            Expr::Lit(value) => match &value.lit {
                Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_with_their_words() {
        let file =
            syn::parse_file("pub mod code { /// No NIC\n/// fits.\npub const A: u32 = 102; }").unwrap();

        assert_eq!(cni_codes(&file).unwrap(), [(102, "No NIC fits.".to_owned())]);
    }

    #[test]
    fn a_problem_is_put_together_and_one_without_an_arm_is_an_error() {
        let source = |arms: &str| {
            let text = format!(
                "enum ProblemCode {{ /// One.\n A, /// Two.\n B }} impl ProblemCode {{ \
                 fn as_str(self) -> &'static str {{ match self {{ Self::A => \"a\", Self::B => \"b\" }} }} \
                 fn status(self) -> u16 {{ match self {{ {arms} }} }} }}"
            );
            problems(&syn::parse_file(&text).unwrap())
        };
        let row = |code: &str, what: &str| ("404".to_owned(), code.to_owned(), what.to_owned());

        assert_eq!(source("Self::A | Self::B => 404").unwrap(), [row("a", "One."), row("b", "Two.")]);
        assert!(source("Self::A => 404").is_err());
    }
}
